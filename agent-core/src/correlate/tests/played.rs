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
