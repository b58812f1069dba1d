//! Random histories as scripts: what is lost of them, and what the trees say against their paths.
//!
//! Shape: lines with their times in microseconds in; [`Score`] out. A call's path is that of the request for which it is made.
use super::{script::run, simulation::Random};
use crate::correlate::Settings;

/// A line of a script, and when.
pub(super) type Line = (u64, String);

/// What became of the calls.
pub(super) struct Score {
    /// Those that are below their own request, by task.
    pub(super) linked: usize,
    /// Those that are below another, or by other evidence.
    pub(super) wrong: Vec<String>,
}

/// A random Go program's goroutines and its client's pool of connections.
pub(super) struct Goroutines {
    pub(super) random: Random,
    pub(super) lines: Vec<Line>,
    pub(super) calls: usize,
    /// When connections of the client are free again.
    pool: Vec<u64>,
    youngest: u64,
    /// All `go` statements are one: a helper that starts whatever it is given.
    one_site: bool,
}

impl Goroutines {
    pub(super) fn new(seed: u64, one_site: bool) -> Self {
        let random = Random::new(seed);
        Self { random, lines: Vec::new(), calls: 0, pool: Vec::new(), youngest: 10_000, one_site }
    }

    pub(super) fn say(&mut self, at: u64, text: String) {
        let thread = 1 + self.random.below(4);
        self.lines.push((at, format!("A/{thread} {text}")));
    }

    /// The goroutine that `parent` creates.
    pub(super) fn bear(&mut self, at: u64, parent: u64, site: u64) -> u64 {
        self.youngest += 1;
        let (child, site) = (self.youngest, if self.one_site { 1 } else { site });
        self.say(at, format!("bears {child} go={parent} site={site}"));
        child
    }

    /// A call that `goroutine` asks for; when it has its answer.
    pub(super) fn call(&mut self, at: u64, goroutine: u64, path: &str) -> u64 {
        self.calls += 1;
        let name = format!("c{}", self.calls);
        let sent = at + 1 + self.random.below(40);
        let read = sent + 50 + self.random.below(2_000);
        let free = self.pool.iter().position(|free| *free < at);
        let conn = free.unwrap_or(self.pool.len());
        self.pool.resize(self.pool.len().max(conn + 1), 0);
        self.pool[conn] = read;
        let writer = 1_000_000 + 2 * conn;
        self.say(at, format!("claims {name} go={goroutine} conn=p{conn}"));
        self.say(sent, format!("sends {name} /{path} go={writer} conn=p{conn}"));
        self.say(read, format!("reads {name} go={} conn=p{conn}", writer + 1));
        read
    }

    /// What it did and when it ended, with losses.
    pub(super) fn ended(mut self, losses: usize) -> (Vec<Line>, u64) {
        self.lines.sort_by_key(|(at, _)| *at);
        let end = self.lines.last().map_or(0, |(at, _)| *at);
        lose(&mut self.lines, &mut self.random, losses, end);
        let end = self.lines.last().map_or(0, |(at, _)| *at);
        (self.lines, end)
    }
}

/// Loses stretches of up to three milliseconds until `end`, and tells that soon after.
pub(super) fn lose(lines: &mut Vec<Line>, random: &mut Random, losses: usize, end: u64) {
    for _ in 0..losses {
        let from = random.below(end);
        let until = from + random.below(3_000);
        lines.retain(|(at, line)| line.ends_with("lost") || !(from..until).contains(at));
        lines.push((until + random.below(3_000), "lost".to_owned()));
    }
    lines.sort_by_key(|(at, _)| *at);
}

/// Plays the lines with ticks as the pipeline sends them, until all that is held is decided.
pub(super) fn play(mut lines: Vec<Line>, end: u64) -> Score {
    lines.extend((0..end / 20_000 + 300).map(|n| (n * 20_000, "tick".to_owned())));
    lines.sort_by_key(|(at, _)| *at);
    let lines = lines.iter().map(|(at, line)| format!("{:.3} {line}\n", *at as f64 / 1e3));
    let (_, text) = run(Settings::default(), &lines.collect::<String>());
    let mut score = Score { linked: 0, wrong: Vec::new() };
    let mut server = "";
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["A", "server", path, ..] => server = path,
            ["A", "client", path, "(task)", ..] if path == server => score.linked += 1,
            ["A", "client", path, evidence, ..] if evidence != "(none:" => {
                score.wrong.push(format!("{path} below {server} by {evidence}"));
            }
            _ => {}
        }
    }
    score
}
