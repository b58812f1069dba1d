//! One trace as a person reads it.
//!
//! Shape: the spans of a trace → an indented tree, a bar per span on the trace's own time line, and why each span
//! stands where it does. Units: milliseconds. Not here: the agent's own drawing (`--exporter console`): xtask must build before
//! the agent can.
use super::{
    ledger::Seen,
    otlp::{Kind, Span},
};
use std::fmt::Write;

/// Columns of the time line.
const COLUMNS: u64 = 40;

/// Draws the tree. Spans without a parent among these are roots, in order of their start.
pub(super) fn draw(seen: &[Seen]) -> String {
    let mut spans: Vec<&Span> = seen.iter().map(|seen| &seen.span).collect();
    spans.sort_by_key(|span| (span.start, span.kind == Kind::Server));
    let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
    let end = spans.iter().map(|span| span.end).max().unwrap_or_default();
    let mut lines = Vec::new();
    for root in spans.iter().filter(|span| parent(span, &spans).is_none()) {
        walk(root, &spans, 0, &mut lines);
    }
    let widest = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for (label, span) in lines {
        let status = span.status.map_or("-".into(), |status| status.to_string());
        let (bar, milliseconds) = (bar(span, start, end), span.end.saturating_sub(span.start) as f64 / 1e6);
        let evidence = span.evidence.as_deref().unwrap_or_default();
        writeln!(text, "  {label:widest$}  {status:>3}  {milliseconds:>8.2} ms  │{bar}│ {evidence}").ok();
    }
    text
}

fn walk<'a>(span: &'a Span, spans: &[&'a Span], depth: usize, lines: &mut Vec<(String, &'a Span)>) {
    let arrow = if span.kind == Kind::Client { "→ " } else { "" };
    lines.push((
        format!("{}{}  {arrow}{} {}", "  ".repeat(depth), span.service, span.method, span.path),
        span,
    ));
    for child in spans.iter().filter(|child| child.parent.as_deref() == Some(&span.id) && child.id != span.id)
    {
        // A trace is no deeper than it has spans; a ring of parents would be.
        if depth < spans.len() {
            walk(child, spans, depth + 1, lines);
        }
    }
}

fn parent<'a>(span: &Span, spans: &[&'a Span]) -> Option<&'a Span> {
    let id = span.parent.as_deref()?;
    spans.iter().find(|other| other.id == id).copied()
}

fn bar(span: &Span, start: u64, end: u64) -> String {
    let length = end.saturating_sub(start).max(1);
    let column = |at: u64| (at.saturating_sub(start) * COLUMNS / length).min(COLUMNS);
    let from = column(span.start).min(COLUMNS - 1);
    let to = column(span.end).max(from + 1);
    let mark = if span.kind == Kind::Client { "─" } else { "█" };
    (0..COLUMNS).map(|at| if (from..to).contains(&at) { mark } else { " " }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(service: &'static str, kind: Kind, id: &str, parent: Option<&str>, start: u64, end: u64) -> Seen {
        let span = Span {
            trace: "aa".into(),
            id: id.into(),
            parent: parent.map(String::from),
            kind,
            service: service.into(),
            pid: None,
            method: "GET".into(),
            path: "/a".into(),
            route: None,
            evidence: parent.map(|_| "peer".into()),
            unparented: None,
            status: Some(200),
            start: start * 1_000_000,
            end: end * 1_000_000,
        };
        Seen { span, service }
    }

    #[test]
    fn children_stand_below_their_parents_on_one_time_line() {
        let drawn = draw(&[
            seen("product", Kind::Server, "3", Some("2"), 10, 30),
            seen("frontend", Kind::Client, "2", Some("1"), 10, 30),
            seen("frontend", Kind::Server, "1", None, 0, 40),
        ]);
        assert_eq!(
            drawn,
            [
                "  frontend  GET /a      200     40.00 ms  │████████████████████████████████████████│ \n",
                "    frontend  → GET /a  200     20.00 ms  │          ────────────────────          │ peer\n",
                "      product  GET /a   200     20.00 ms  │          ████████████████████          │ peer\n",
            ]
            .concat()
        );
    }
}
