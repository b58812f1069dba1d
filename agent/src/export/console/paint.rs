//! A trace as text: label, status, duration, bar.
//!
//! Shape: spans → lines no wider than the terminal. Server spans are blocks, client spans are lines: the network is thin.
//! Colours tell services apart, red is an error and nothing else; without colours an error has a mark.
//! Everything that an observed program wrote is cleaned of control characters: it must not steer the terminal.
use super::{
    super::{settings, stamped::Stamped},
    tree::{self, Row, What},
    words::{clean, cut, hex, is_error, plural, status, time_of_day, what_was_asked},
};
use anstyle::{AnsiColor, Style};
use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    sync::Arc,
};
use unicode_width::UnicodeWidthStr;
use wirespan_core::spans::{Kind, SpanId};

/// Lines of one trace.
const ROWS: usize = 200;
/// Levels that are drawn; what is deeper is drawn at this one.
const LEVELS: usize = 32;
/// The part of a line that a status may take: `500`, or the reason why there is none.
const STATUS_PART: usize = 4;
/// Columns of a duration.
const DURATION_COLUMNS: usize = 8;
/// A bar with fewer columns says nothing.
const BAR_COLUMNS: usize = 12;
/// The narrowest and the widest line.
const WIDTHS: (usize, usize) = (40, 200);
/// Services that have a colour of their own before the palette begins again.
const SERVICES: usize = 256;
const PALETTE: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Yellow,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
];
const ERROR: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red))).bold();
const DIM: Style = Style::new().dimmed();

/// Characters to draw with.
struct Glyphs {
    fork: &'static str,
    last: &'static str,
    pass: &'static str,
    blank: &'static str,
    client: &'static str,
    absent: &'static str,
    error: &'static str,
    dot: &'static str,
    ellipsis: char,
    micro: &'static str,
    block: char,
    line: char,
    /// Parts of a cell, an eighth to seven eighths; empty if there are none.
    eighths: &'static [char],
    edge: (&'static str, &'static str),
}

const UNICODE: Glyphs = Glyphs {
    fork: "├ ",
    last: "└ ",
    pass: "│ ",
    blank: "  ",
    client: "→ ",
    absent: "┄ ",
    error: "✗",
    dot: " · ",
    ellipsis: '…',
    micro: "µs",
    block: '█',
    line: '━',
    eighths: &['▏', '▎', '▍', '▌', '▋', '▊', '▉'],
    edge: ("▕", "▏"),
};

const ASCII: Glyphs = Glyphs {
    fork: "+ ",
    last: "` ",
    pass: "| ",
    blank: "  ",
    client: "> ",
    absent: "~ ",
    error: "!",
    dot: ", ",
    ellipsis: '~',
    micro: "us",
    block: '#',
    line: '-',
    eighths: &[],
    edge: ("|", "|"),
};

/// Draws traces; remembers which service has which colour.
pub(super) struct Painter {
    is_coloured: bool,
    width: usize,
    glyphs: &'static Glyphs,
    colours: HashMap<String, AnsiColor>,
}

/// One line before it is aligned.
struct Line {
    label: Vec<(Style, String)>,
    label_columns: usize,
    status: (Style, String),
    duration: String,
    bar: Option<Bar>,
}

/// Where a bar lies, in nanoseconds from the trace's start.
struct Bar {
    style: Style,
    is_client: bool,
    from_ns: u64,
    to_ns: u64,
}

impl Painter {
    pub(super) fn new(settings: settings::Console) -> Painter {
        Painter {
            is_coloured: settings.is_coloured,
            width: settings.width.clamp(WIDTHS.0, WIDTHS.1),
            glyphs: if settings.is_unicode { &UNICODE } else { &ASCII },
            colours: HashMap::new(),
        }
    }

    /// Adds a trace to `text`. `earlier` are the spans of the same trace that were printed before.
    pub(super) fn trace(
        &mut self,
        spans: &[Arc<Stamped>],
        earlier: Option<&HashSet<SpanId>>,
        text: &mut String,
    ) {
        let Some(start) = spans.iter().map(|span| span.start_unix_ns).min() else { return };
        let end = spans.iter().map(|span| span.end_unix_ns).max().unwrap_or(start);
        let rows = tree::rows(spans);
        let hidden = rows.len().saturating_sub(ROWS);
        self.header(spans, start, end, earlier.is_some(), text);
        let lines: Vec<Line> = rows.iter().take(ROWS).map(|row| self.line(row, start, earlier)).collect();
        let columns = Columns::fit(&lines, self.width);
        for line in &lines {
            self.draw(line, &columns, end - start, text);
        }
        if hidden > 0 {
            self.style(DIM, &format!("  {} {hidden} more\n", self.glyphs.ellipsis), text);
        }
        text.push('\n');
    }

    /// `trace 0af7… · 7 spans · 4 services · 38.2 ms · 12:31:02.123Z`.
    fn header(&self, spans: &[Arc<Stamped>], start: u64, end: u64, is_continued: bool, text: &mut String) {
        let Some(first) = spans.first() else { return };
        let services: HashSet<&str> = spans.iter().map(|span| span.resource.service_name.as_str()).collect();
        let errors = spans.iter().filter(|span| is_error(span)).count();
        let dot = self.glyphs.dot;
        self.style(Style::new().bold(), &format!("trace {}", hex(&first.span.trace_id.0)), text);
        if is_continued {
            self.style(DIM, &format!("{dot}continued"), text);
        }
        let facts = format!(
            "{dot}{}{dot}{}{dot}{}{dot}{}",
            plural(spans.len(), "span"),
            plural(services.len(), "service"),
            self.duration(end - start),
            time_of_day(start),
        );
        self.style(DIM, &facts, text);
        if errors > 0 {
            self.style(ERROR, &format!("{dot}{}", plural(errors, "error")), text);
        }
        text.push('\n');
    }

    fn line(&mut self, row: &Row<'_>, start: u64, earlier: Option<&HashSet<SpanId>>) -> Line {
        let mut label = vec![(DIM, format!("  {}", self.branches(&row.branches)))];
        let mut line = match &row.what {
            What::Absent { id, is_remote } => {
                let why = match (earlier, is_remote) {
                    (Some(spans), _) if spans.contains(id) => "is printed above",
                    (_, true) => "is the caller's",
                    (_, false) => "was not seen",
                };
                label.push((DIM, format!("{}parent {} {why}", self.glyphs.absent, hex(&id.0))));
                Line {
                    label,
                    label_columns: 0,
                    status: (DIM, String::new()),
                    duration: String::new(),
                    bar: None,
                }
            }
            What::Span(stamped) => self.span(stamped, row.is_at_home, label, start),
        };
        line.label_columns = line.label.iter().map(|(_, part)| part.width()).sum();
        line
    }

    /// Server spans name their service; client spans only if they do not hang on a span of it.
    fn span(
        &mut self,
        stamped: &Stamped,
        is_at_home: bool,
        mut label: Vec<(Style, String)>,
        start: u64,
    ) -> Line {
        let is_client = stamped.span.kind == Kind::Client;
        let is_error = is_error(stamped);
        let colour = self.colour(&stamped.resource.service_name);
        if !(is_client && is_at_home) {
            label.push((colour.bold(), format!("{} ", clean(&stamped.resource.service_name))));
        }
        if is_client {
            label.push((DIM, self.glyphs.client.to_owned()));
        }
        let what = if is_error { ERROR } else { Style::new() };
        label.push((what, what_was_asked(stamped)));
        let (style, mark) = if is_error { (ERROR, self.glyphs.error) } else { (Style::new(), "") };
        Line {
            label,
            label_columns: 0,
            status: (
                style,
                cut(&format!("{mark}{}", status(stamped)), self.width / STATUS_PART, self.glyphs.ellipsis),
            ),
            duration: self.duration(stamped.end_unix_ns - stamped.start_unix_ns),
            bar: Some(Bar {
                style: if is_error { ERROR } else { colour },
                is_client,
                from_ns: stamped.start_unix_ns - start,
                to_ns: stamped.end_unix_ns - start,
            }),
        }
    }

    fn branches(&self, branches: &[bool]) -> String {
        let deepest = branches.len().min(LEVELS);
        let drawn = branches.iter().take(deepest).enumerate().map(|(level, follows)| {
            match (level + 1 == deepest, follows) {
                (true, true) => self.glyphs.fork,
                (true, false) => self.glyphs.last,
                (false, true) => self.glyphs.pass,
                (false, false) => self.glyphs.blank,
            }
        });
        drawn.collect()
    }

    fn draw(&self, line: &Line, columns: &Columns, whole_ns: u64, text: &mut String) {
        let Some(bar) = &line.bar else {
            self.label(line, self.width, text);
            text.push('\n');
            return;
        };
        let used = self.label(line, columns.label, text);
        let (style, status) = &line.status;
        let gap = (columns.label - used) + (columns.status - status.width());
        text.push_str(&" ".repeat(gap + 1));
        self.style(*style, status, text);
        text.push_str(&" ".repeat((DURATION_COLUMNS + 1).saturating_sub(line.duration.width())));
        self.style(DIM, &line.duration, text);
        if columns.bar > 0 {
            self.style(DIM, &format!(" {}", self.glyphs.edge.0), text);
            let (before, drawn, after) = self.bar(bar, columns.bar, whole_ns);
            text.push_str(&before);
            self.style(bar.style, &drawn, text);
            text.push_str(&after);
            self.style(DIM, self.glyphs.edge.1, text);
        }
        text.push('\n');
    }

    /// Writes a label and returns its columns.
    fn label(&self, line: &Line, columns: usize, text: &mut String) -> usize {
        let mut used = 0;
        for (style, part) in &line.label {
            let part = cut(part, columns - used, self.glyphs.ellipsis);
            used += part.width();
            self.style(*style, &part, text);
        }
        used
    }

    /// Blanks, the bar, blanks: together as wide as the column. The shortest bar still has a cell.
    fn bar(&self, bar: &Bar, columns: usize, whole_ns: u64) -> (String, String, String) {
        let parts = if bar.is_client { 1 } else { self.glyphs.eighths.len() + 1 };
        let scale = |ns: u64, parts: usize| ns as f64 / whole_ns.max(1) as f64 * (columns * parts) as f64;
        // Both kinds begin at a whole cell and a line ends at one: what hangs on a span is not drawn outside of it.
        let from = (scale(bar.from_ns, 1) as usize).min(columns - 1);
        let to = scale(bar.to_ns, parts);
        let to = if bar.is_client { to.ceil() } else { to.round() } as usize;
        let length = to.min(columns * parts).saturating_sub(from * parts).max(1);
        let (cells, rest) = (length / parts, length % parts);
        let full = if bar.is_client { self.glyphs.line } else { self.glyphs.block };
        let mut drawn = full.to_string().repeat(cells);
        drawn.extend(rest.checked_sub(1).and_then(|part| self.glyphs.eighths.get(part)));
        let after = columns - from - drawn.width();
        (" ".repeat(from), drawn, " ".repeat(after))
    }

    fn duration(&self, ns: u64) -> String {
        match ns {
            0..1_000_000 => format!("{} {}", ns / 1_000, self.glyphs.micro),
            1_000_000..10_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
            10_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
            1_000_000_000..100_000_000_000 => format!("{:.2} s", ns as f64 / 1e9),
            _ => format!("{} s", ns / 1_000_000_000),
        }
    }

    fn colour(&mut self, service: &str) -> Style {
        let next = self.colours.len();
        if next >= SERVICES {
            self.colours.clear();
        }
        let pick = || PALETTE.get(next % PALETTE.len()).copied().unwrap_or(AnsiColor::White);
        let colour = self.colours.entry(service.to_owned()).or_insert_with(pick);
        colour.on_default()
    }

    fn style(&self, style: Style, part: &str, text: &mut String) {
        if self.is_coloured && style != Style::new() && !part.is_empty() {
            // Writing to a String cannot fail.
            write!(text, "{style}{part}{style:#}").ok();
        } else {
            text.push_str(part);
        }
    }
}

/// How the width is shared.
struct Columns {
    label: usize,
    status: usize,
    bar: usize,
}

impl Columns {
    /// Labels get what they need as long as the bar keeps a third; without room for a bar there is none.
    fn fit(lines: &[Line], width: usize) -> Columns {
        let spans = || lines.iter().filter(|line| line.bar.is_some());
        let label = spans().map(|line| line.label_columns).max().unwrap_or(0);
        let status = spans().map(|line| line.status.1.width()).max().unwrap_or(0);
        let fixed = status + 1 + DURATION_COLUMNS + 1;
        let edges = 3;
        let free = width.saturating_sub(fixed + edges);
        let least_bar = (width / 3).max(BAR_COLUMNS);
        let label = label.min(free.saturating_sub(least_bar)).max(20.min(free));
        let bar = free.saturating_sub(label);
        if bar < BAR_COLUMNS {
            return Columns { label: width.saturating_sub(fixed), status, bar: 0 };
        }
        Columns { label, status, bar }
    }
}
