//! Nothing false among goroutines: random programs whose paths tell the truth, with stretches of their history lost.
//!
//! Shape: a seed → a script in which every call's path is that of the request it is made for → trees in which a child's path is its
//! parent's. What no request caused, or what nobody may know, has a path of its own.
use super::played::{self, Goroutines};
use proptest::prelude::*;

/// Sites: children of handlers, the two of a nested call, shared workers, goroutines left behind, those that send one request of a
/// connection that calls share, and those that send all.
const CHILD: u64 = 1;
const OUTER: u64 = 2;
const INNER: u64 = 3;
const WORKER: u64 = 4;
const LEFT: u64 = 5;
const STREAM: u64 = 6;
const SENDER: u64 = 7;

struct Program {
    go: Goroutines,
    /// Shared workers, and when they are free again.
    workers: Vec<(u64, u64)>,
    /// Calls by the goroutine that read their request, and by others that keep to theirs.
    direct: usize,
    children: usize,
    /// Who sends all requests of a connection that calls share, by connection.
    senders: Vec<u64>,
    /// All `go` statements are one. And what is left behind calls on shared connections too.
    one_site: bool,
}

impl Program {
    /// A call on one of two connections that calls share; when it has its answer.
    fn call_on_shared(&mut self, at: u64, goroutine: u64, path: &str) -> u64 {
        self.go.calls += 1;
        let sender = self.go.bear(at, goroutine, STREAM);
        let (name, conn) = (format!("c{}", self.go.calls), self.go.random.below(2));
        let sent = at + 1 + self.go.random.below(40);
        let read = sent + 50 + self.go.random.below(2_000);
        self.go.say(sent, format!("sends {name} /{path} go={sender} conn=h{conn} shared"));
        self.go.say(read, format!("reads {name} go={}", 900_000 + conn));
        read
    }

    /// A call on a shared connection on which one goroutine sends for all; whoever comes first creates it.
    fn call_by_sender(&mut self, at: u64, goroutine: u64, path: &str) -> u64 {
        self.go.calls += 1;
        let conn = self.go.random.below(40) as usize;
        while self.senders.len() <= conn {
            let sender = self.go.bear(at, goroutine, SENDER);
            self.senders.push(sender);
        }
        let (name, sender) = (format!("c{}", self.go.calls), self.senders[conn]);
        let sent = at + 1 + self.go.random.below(400);
        self.go.say(sent, format!("sends {name} /{path} go={sender} conn=g{conn} shared"));
        self.go.say(sent + 50, format!("reads {name} go={}", 910_000 + conn));
        sent + 50
    }

    /// One request of a kept connection; when it is answered.
    fn serve(&mut self, at: u64, reader: u64, path: &str) -> u64 {
        self.go.say(at, format!("receives {path} /{path} go={reader} conn=k{reader}"));
        let mut now = at + 1 + self.go.random.below(300);
        for _ in 0..self.go.random.below(5) {
            now = match self.go.random.below(12) {
                0..5 => {
                    self.direct += 1;
                    self.go.call(now, reader, path)
                }
                5..7 => {
                    self.children += 1;
                    let child = self.go.bear(now, reader, CHILD);
                    let at = now + self.go.random.below(20);
                    self.go.call(at, child, path)
                }
                7 => {
                    self.children += 1;
                    let outer = self.go.bear(now, reader, OUTER);
                    let inner = self.go.bear(now + 1, outer, INNER);
                    self.go.call(now + 2, inner, path)
                }
                8 => self.hand_over(now, reader, path),
                9 => {
                    self.children += 1;
                    self.call_on_shared(now, reader, path)
                }
                10 => self.call_by_sender(now, reader, path),
                _ => {
                    let left = self.go.bear(now, reader, LEFT);
                    let later = now + self.go.random.below(9_000);
                    if self.one_site && self.go.random.below(2) == 0 {
                        self.call_on_shared(later, left, path);
                    } else {
                        self.go.call(later, left, path);
                    }
                    now
                }
            } + 5
                + self.go.random.below(200);
        }
        self.go.say(now, format!("answers {path} go={reader}"));
        now
    }

    /// By one of a few workers that the first requests start. A worker that is started takes whatever job is next.
    fn hand_over(&mut self, at: u64, reader: u64, path: &str) -> u64 {
        let mut free = self.workers.iter().position(|(_, free)| *free < at);
        if self.workers.len() < 3 {
            let worker = self.go.bear(at, reader, WORKER);
            self.workers.push((worker, at + self.go.random.below(500)));
            free = free.or(Some(self.workers.len() - 1));
        }
        let at_worker = free.unwrap_or_default();
        let (worker, busy) = self.workers[at_worker];
        let done = self.go.call(at.max(busy) + 1, worker, path);
        self.workers[at_worker].1 = done;
        done
    }
}

struct Score {
    direct: usize,
    children: usize,
    linked: usize,
    wrong: Vec<String>,
}

fn play(seed: u64, connections: u64, requests: usize, losses: usize, one_site: bool) -> Score {
    let mut program = Program {
        go: Goroutines::new(seed, one_site),
        workers: Vec::new(),
        direct: 0,
        children: 0,
        senders: Vec::new(),
        one_site,
    };
    let mut free: Vec<u64> = vec![1_000; connections as usize];
    for request in 0..requests {
        let connection = (0..free.len()).min_by_key(|at| free[*at]).unwrap_or_default();
        let at = free[connection] + program.go.random.below(300);
        free[connection] = program.serve(at, 100 + connection as u64, &format!("r{request}")) + 20;
        if request % 7 == 0 {
            let at = at + program.go.random.below(900);
            program.go.call(at, 3, &format!("tick{request}"));
        }
    }
    let (lines, end) = program.go.ended(losses);
    let played::Score { linked, wrong } = played::play(lines, end);
    Score { direct: program.direct, children: program.children, linked, wrong }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_link_is_false_whatever_goroutines_do_and_whatever_is_lost(
        seed: u64,
        connections in 1_u64..40,
        losses in 0_usize..4,
        one_site: bool,
    ) {
        let score = play(seed, connections, 300, losses, one_site);
        prop_assert!(score.wrong.is_empty(), "{:?}", score.wrong);
    }
}

#[test]
fn what_can_be_known_is_known() {
    for connections in [1, 8, 64] {
        let Score { direct, children, linked, wrong } = play(7, connections, 3_000, 0, false);
        assert!(wrong.is_empty(), "{wrong:?}");
        // Each of the three ways with children costs the first few, and each shared connection its first.
        assert!(linked + 20 >= direct + children, "{connections}: {linked} of {direct} and {children}");
    }
}
