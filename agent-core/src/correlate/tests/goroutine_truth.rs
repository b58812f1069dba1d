//! Nothing false among goroutines: random programs whose paths tell the truth, with stretches of their history lost.
//!
//! Shape: a seed → a script in which every call's path is that of the request it is made for → trees in which a child's path is its
//! parent's. What no request caused, or what nobody may know, has a path of its own.
use super::{
    played::{self, lose},
    simulation::Random,
};
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
    random: Random,
    /// Time in microseconds and line.
    lines: Vec<(u64, String)>,
    /// When connections of the client are free again.
    pool: Vec<u64>,
    /// Shared workers, and when they are free again.
    workers: Vec<(u64, u64)>,
    goroutine: u64,
    calls: usize,
    /// Calls by the goroutine that read their request, and by others that keep to theirs.
    direct: usize,
    children: usize,
    /// Who sends all requests of a connection that calls share, by connection.
    senders: Vec<u64>,
    /// All `go` statements are one: a helper that starts whatever it is given. And what is left behind calls on shared connections too.
    one_site: bool,
}

impl Program {
    fn say(&mut self, at: u64, text: String) {
        let thread = 1 + self.random.below(4);
        self.lines.push((at, format!("A/{thread} {text}")));
    }

    fn bear(&mut self, at: u64, parent: u64, site: u64) -> u64 {
        self.goroutine += 1;
        let (child, site) = (self.goroutine, if self.one_site { 1 } else { site });
        self.say(at, format!("bears {child} go={parent} site={site}"));
        child
    }

    /// A call that `goroutine` asks for; when it has its answer.
    fn call(&mut self, at: u64, goroutine: u64, path: &str) -> u64 {
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

    /// A call on one of two connections that calls share; when it has its answer.
    fn call_on_shared(&mut self, at: u64, goroutine: u64, path: &str) -> u64 {
        self.calls += 1;
        let sender = self.bear(at, goroutine, STREAM);
        let (name, conn) = (format!("c{}", self.calls), self.random.below(2));
        let sent = at + 1 + self.random.below(40);
        let read = sent + 50 + self.random.below(2_000);
        self.say(sent, format!("sends {name} /{path} go={sender} conn=h{conn} shared"));
        self.say(read, format!("reads {name} go={}", 900_000 + conn));
        read
    }

    /// A call on a shared connection on which one goroutine sends for all; whoever comes first creates it.
    fn call_by_sender(&mut self, at: u64, goroutine: u64, path: &str) -> u64 {
        self.calls += 1;
        let conn = self.random.below(40) as usize;
        while self.senders.len() <= conn {
            let sender = self.bear(at, goroutine, SENDER);
            self.senders.push(sender);
        }
        let (name, sender) = (format!("c{}", self.calls), self.senders[conn]);
        let sent = at + 1 + self.random.below(400);
        self.say(sent, format!("sends {name} /{path} go={sender} conn=g{conn} shared"));
        self.say(sent + 50, format!("reads {name} go={}", 910_000 + conn));
        sent + 50
    }

    /// One request of a kept connection; when it is answered.
    fn serve(&mut self, at: u64, reader: u64, path: &str) -> u64 {
        self.say(at, format!("receives {path} /{path} go={reader} conn=k{reader}"));
        let mut now = at + 1 + self.random.below(300);
        for _ in 0..self.random.below(5) {
            now = match self.random.below(12) {
                0..5 => {
                    self.direct += 1;
                    self.call(now, reader, path)
                }
                5..7 => {
                    self.children += 1;
                    let child = self.bear(now, reader, CHILD);
                    let at = now + self.random.below(20);
                    self.call(at, child, path)
                }
                7 => {
                    self.children += 1;
                    let outer = self.bear(now, reader, OUTER);
                    let inner = self.bear(now + 1, outer, INNER);
                    self.call(now + 2, inner, path)
                }
                8 => self.hand_over(now, reader, path),
                9 => {
                    self.children += 1;
                    self.call_on_shared(now, reader, path)
                }
                10 => self.call_by_sender(now, reader, path),
                _ => {
                    let left = self.bear(now, reader, LEFT);
                    let later = now + self.random.below(9_000);
                    if self.one_site && self.random.below(2) == 0 {
                        self.call_on_shared(later, left, path);
                    } else {
                        self.call(later, left, path);
                    }
                    now
                }
            } + 5
                + self.random.below(200);
        }
        self.say(now, format!("answers {path} go={reader}"));
        now
    }

    /// By one of a few workers that the first requests start. A worker that is started takes whatever job is next.
    fn hand_over(&mut self, at: u64, reader: u64, path: &str) -> u64 {
        let mut free = self.workers.iter().position(|(_, free)| *free < at);
        if self.workers.len() < 3 {
            let worker = self.bear(at, reader, WORKER);
            self.workers.push((worker, at + self.random.below(500)));
            free = free.or(Some(self.workers.len() - 1));
        }
        let at_worker = free.unwrap_or_default();
        let (worker, busy) = self.workers[at_worker];
        let done = self.call(at.max(busy) + 1, worker, path);
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
        random: Random::new(seed),
        lines: Vec::new(),
        pool: Vec::new(),
        workers: Vec::new(),
        goroutine: 10_000,
        calls: 0,
        direct: 0,
        children: 0,
        senders: Vec::new(),
        one_site,
    };
    let mut free: Vec<u64> = vec![1_000; connections as usize];
    for request in 0..requests {
        let connection = (0..free.len()).min_by_key(|at| free[*at]).unwrap_or_default();
        let at = free[connection] + program.random.below(300);
        free[connection] = program.serve(at, 100 + connection as u64, &format!("r{request}")) + 20;
        if request % 7 == 0 {
            let at = at + program.random.below(900);
            program.call(at, 3, &format!("tick{request}"));
        }
    }
    program.lines.sort_by_key(|(at, _)| *at);
    let end = program.lines.last().map_or(0, |(at, _)| *at);
    lose(&mut program.lines, &mut program.random, losses, end);
    let end = program.lines.last().map_or(0, |(at, _)| *at);
    let played::Score { linked, wrong } = played::play(program.lines, end);
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
