//! Nothing false in nginx: random clients that pipeline, work after answers, clients that leave, with stretches of the history lost.
//!
//! Shape: a seed → a script in which every call's path is that of the request it is made for → trees in which a child's path is its
//! parent's. Work that goes on after the answer has a path of its own: nobody may be its parent.
use super::{script::run, simulation::Random};
use crate::correlate::Settings;
use proptest::prelude::*;

struct Proxy {
    random: Random,
    /// Time in microseconds and line.
    lines: Vec<(u64, String)>,
    calls: usize,
    /// Calls whose request can be known.
    knowable: usize,
}

impl Proxy {
    fn say(&mut self, at: u64, text: String) {
        self.lines.push((at, format!("A/1 {text}")));
    }

    /// A call for what the connection is at; when it has its answer.
    fn call(&mut self, at: u64, path: &str, named: &str) -> u64 {
        self.calls += 1;
        let read = at + 50 + self.random.below(4_000);
        let name = format!("c{}", self.calls);
        self.say(at, format!("sends {name} /{path} {named}"));
        self.say(read, format!("reads {name}"));
        read
    }

    fn calls(&mut self, at: u64, path: &str, named: &str) -> u64 {
        (0..self.random.below(4)).fold(at + 1 + self.random.below(900), |now, _| {
            self.knowable += 1;
            self.call(now, path, named) + 1 + self.random.below(300)
        })
    }

    /// Requests that are read at once and handled one after the other; when the last is over.
    fn batch(&mut self, at: u64, conn: &str, first: usize) -> u64 {
        let requests = 1 + self.random.below(4);
        for request in 0..requests {
            let path = format!("r{conn}n{first}n{request}");
            self.say(at, format!("receives {path} /{path} conn={conn} nginx"));
        }
        let mut now = at + 1;
        let leaves = self.random.below(12) == 0;
        for request in 0..requests {
            let path = format!("r{conn}n{first}n{request}");
            if leaves && request > 0 {
                // The client is gone: what it had asked for besides is over.
                self.say(now, format!("aborts {path}"));
                continue;
            }
            now = self.calls(now, &path, &format!("for={conn}"));
            self.say(now, format!("begins {path}"));
            if self.random.below(4) == 0 {
                now = self.calls(now + 1, &path, &format!("after={conn}"));
            }
            now += 2;
            self.say(now, format!("finishes {path}"));
            if self.random.below(4) == 0 {
                now = self.call(now + 3, &format!("left{path}"), &format!("after={conn}"));
            }
            now += 5;
        }
        now
    }

    /// Stretches of up to three milliseconds are gone, and that is told soon after.
    fn lose(&mut self, losses: usize) {
        let end = self.lines.last().map_or(0, |(at, _)| *at);
        for _ in 0..losses {
            let from = self.random.below(end);
            let until = from + self.random.below(3_000);
            self.lines.retain(|(at, line)| line.ends_with("lost") || !(from..until).contains(at));
            self.lines.push((until + self.random.below(3_000), "lost".to_owned()));
        }
        self.lines.sort_by_key(|(at, _)| *at);
    }
}

/// Calls whose request can be known, those that are linked, and what is false.
fn play(seed: u64, connections: usize, batches: usize, losses: usize) -> (usize, usize, Vec<String>) {
    let mut proxy = Proxy { random: Random::new(seed), lines: Vec::new(), calls: 0, knowable: 0 };
    let mut free = vec![1_000; connections];
    for batch in 0..batches {
        let at = (0..free.len()).min_by_key(|at| free[*at]).unwrap_or_default();
        free[at] = proxy.batch(free[at] + 1, &format!("k{at}"), batch) + proxy.random.below(500);
    }
    proxy.lines.sort_by_key(|(at, _)| *at);
    proxy.lose(losses);
    let end = proxy.lines.last().map_or(0, |(at, _)| *at);
    proxy.lines.extend((0..end / 20_000 + 300).map(|n| (n * 20_000, "tick".to_owned())));
    proxy.lines.sort_by_key(|(at, _)| *at);
    let lines = proxy.lines.iter().map(|(at, line)| format!("{:.3} {line}\n", *at as f64 / 1e3));
    let (_, text) = run(Settings::default(), &lines.collect::<String>());
    let (mut server, mut linked, mut wrong) = ("", 0, Vec::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["A", "server", path, ..] => server = path,
            ["A", "client", path, "(task)", ..] if path == server => linked += 1,
            ["A", "client", path, evidence, ..] if evidence != "(none:" => {
                wrong.push(format!("{path} below {server} by {evidence}"));
            }
            _ => {}
        }
    }
    (proxy.knowable, linked, wrong)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_link_is_false_whatever_nginx_does_and_whatever_is_lost(
        seed: u64,
        connections in 1_usize..40,
        losses in 0_usize..4,
    ) {
        let (_, _, wrong) = play(seed, connections, 150, losses);
        prop_assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn every_call_that_is_sent_before_the_end_of_its_answer_is_linked() {
    for connections in [1, 8, 64] {
        let (knowable, linked, wrong) = play(7, connections, 600, 0);
        assert!(wrong.is_empty(), "{wrong:?}");
        // A client that leaves takes its later requests along: for a moment its connection is in doubt.
        assert!(linked * 100 >= knowable * 99, "{connections}: {linked} of {knowable}");
    }
}
