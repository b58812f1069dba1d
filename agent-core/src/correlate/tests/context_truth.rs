//! Nothing false among Python's contexts: random programs whose paths tell the truth, with stretches of their history lost.
//!
//! Shape: a seed → a script in which every call's path is that of the request it is made for → trees in which a child's path is its
//! parent's. What no request caused, or what nobody may know, has a path of its own. Addresses are used again as soon as they are free.
use super::{
    played::{self, lose},
    simulation::Random,
};
use proptest::prelude::*;

struct Program {
    random: Random,
    /// Time in microseconds and line.
    lines: Vec<(u64, String)>,
    /// Addresses, and when they are free again.
    addresses: Vec<u64>,
    /// Shared workers, and when they are free again.
    workers: Vec<(usize, u64)>,
    /// Threads of a pool, and when they are free again.
    pool: [u64; 3],
    /// Addresses of work that is handed to them, and when they are free again.
    items: Vec<u64>,
    /// A list of jobs, three at once: who ended the last one, and when. Whoever ends one starts the next that waits.
    limits: [Vec<(usize, u64)>; 2],
    polls_until: u64,
    calls: usize,
    /// Calls that keep to their request, by its own task and by others.
    own: usize,
    awaited: usize,
    hazards: bool,
}

impl Program {
    fn say(&mut self, at: u64, text: String) {
        self.lines.push((at, format!("A/1 {text}")));
    }

    /// A context that lives until `until`; 0: for ever.
    fn copy(&mut self, at: u64, creator: usize, until: u64) -> usize {
        let address = self.addresses.iter().position(|free| *free < at).unwrap_or(self.addresses.len());
        self.addresses.resize(self.addresses.len().max(address + 1), 0);
        self.addresses[address] = if until == 0 { u64::MAX } else { until };
        self.say(at, format!("copies {} in={creator}", address + 1_000));
        address + 1_000
    }

    fn free(&mut self, context: usize, at: u64) {
        self.addresses[context - 1_000] = at;
    }

    /// When it has its answer.
    fn call(&mut self, at: u64, context: usize, path: &str) -> u64 {
        self.calls += 1;
        let name = format!("c{}", self.calls);
        let read = at + 50 + self.random.below(2_000);
        self.say(at, format!("sends {name} /{path} in={context}"));
        self.say(read, format!("reads {name} in=7"));
        read
    }

    /// A task of its own makes a call and is awaited.
    fn child(&mut self, at: u64, parent: usize, path: &str, depth: u64) -> u64 {
        let child = self.copy(at, parent, 0);
        let begins = at + 1 + self.random.below(30);
        let done = if depth > 0 && self.random.below(3) == 0 {
            self.child(begins, child, path, depth - 1)
        } else {
            self.awaited += 1;
            self.call(begins, child, path)
        };
        self.free(child, done + 1);
        done + 2
    }

    /// One request of a kept connection; when it is answered.
    fn serve(&mut self, at: u64, connection: usize, path: &str) -> u64 {
        let reader = 100 + connection;
        self.say(at, format!("receives {path} /{path} in={reader} conn=k{connection}"));
        let task = self.copy(at + 1, reader, 0);
        let mut now = at + 2 + self.random.below(300);
        for _ in 0..self.random.below(5) {
            now = match self.random.below(if self.hazards { 14 } else { 7 }) {
                0..3 => {
                    self.own += 1;
                    self.call(now, task, path)
                }
                3..6 => {
                    let ends: Vec<u64> =
                        (0..1 + self.random.below(3)).map(|n| self.child(now + n, task, path, 2)).collect();
                    ends.into_iter().max().unwrap_or(now)
                }
                6 => {
                    self.awaited += 1;
                    self.pooled(now, task, path)
                }
                7 => self.hand_over(now, task, path),
                8 => self.leave(now, task, path),
                9 => self.poll(now, task),
                10 => {
                    self.pooled(now, task, path);
                    now
                }
                11 => self.limited(now, task, path, false),
                12 => self.limited(now, task, path, true),
                _ => {
                    let timer = self.copy(now, task, now + 5_000);
                    let at = now + self.random.below(4_000);
                    self.copy(at, timer, at + 10);
                    now
                }
            } + 5
                + self.random.below(200);
        }
        self.say(now, format!("answers {path} in={task}"));
        self.free(task, now + 1);
        now
    }

    /// A thread of a pool makes the call, when one is free; when it has its answer.
    fn pooled(&mut self, at: u64, task: usize, path: &str) -> u64 {
        let thread = (0..self.pool.len()).min_by_key(|thread| self.pool[*thread]).unwrap_or_default();
        let item = self.items.iter().position(|free| *free < at).unwrap_or(self.items.len());
        self.items.resize(self.items.len().max(item + 1), 0);
        let takes = at.max(self.pool[thread]) + 1 + self.random.below(40);
        let sends = takes + 1 + self.random.below(100);
        let reads = sends + 50 + self.random.below(2_000);
        self.calls += 1;
        let (tid, address, name) = (thread + 2, item + 500_000, format!("c{}", self.calls));
        self.say(at, format!("puts {address} in={task}"));
        for (at, text) in [
            (takes, format!("takes {address}")),
            (sends, format!("sends {name} /{path}")),
            (reads, format!("reads {name}")),
        ] {
            self.lines.push((at, format!("A/{tid} {text}")));
        }
        self.items[item] = reads + 1;
        self.pool[thread] = reads + 1;
        reads + 2
    }

    /// A task that nobody awaits.
    fn leave(&mut self, at: u64, task: usize, path: &str) -> u64 {
        let left = self.copy(at, task, 0);
        let later = at + self.random.below(9_000);
        let done = self.call(later, left, path);
        self.free(left, done + 1);
        at
    }

    /// A request starts what asks on nobody's behalf.
    fn poll(&mut self, at: u64, task: usize) -> u64 {
        if self.polls_until < at {
            let poller = self.copy(at, task, 0);
            let mut now = at + 1;
            for n in 0..40 {
                now = self.call(now, poller, &format!("poll{at}-{n}")) + self.random.below(8_000);
            }
            self.free(poller, now);
            self.polls_until = now;
        }
        at
    }

    /// By one of a few workers that the first requests start. A worker that is started takes whatever job is next.
    fn hand_over(&mut self, at: u64, task: usize, path: &str) -> u64 {
        let mut free = self.workers.iter().position(|(_, free)| *free < at);
        if self.workers.len() < 3 {
            let worker = self.copy(at, task, 0);
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

impl Program {
    /// Three at once, the others in a list: whoever ends one starts the next, in a context of its own (as a callback of a task does), or
    /// the request itself does if `by_owner`. When it has its answer.
    fn limited(&mut self, at: u64, task: usize, path: &str, by_owner: bool) -> u64 {
        const MOST: usize = 3;
        let jobs = self.limits[usize::from(by_owner)].clone();
        let free = jobs.iter().position(|(_, ends)| *ends < at);
        let (slot, starter, starts) = match free {
            Some(slot) => (slot, task, at),
            None if jobs.len() < MOST => (jobs.len(), task, at),
            None => {
                let slot = (0..MOST).min_by_key(|slot| jobs[*slot].1).unwrap_or_default();
                (slot, jobs[slot].0, jobs[slot].1)
            }
        };
        let by = if by_owner && starter == task { task } else { self.copy(starts, starter, 0) };
        let done = self.call(starts + 1, by, path);
        // The task that waits for it goes on right after that.
        let ended = (if by_owner { task } else { by }, done + 1);
        match self.limits[usize::from(by_owner)].get_mut(slot) {
            Some(job) => *job = ended,
            None => self.limits[usize::from(by_owner)].push(ended),
        }
        done + 3
    }
}

struct Score {
    own: usize,
    awaited: usize,
    linked: usize,
    wrong: Vec<String>,
}

fn play(seed: u64, connections: usize, requests: usize, losses: usize, hazards: bool) -> Score {
    let mut program = Program {
        random: Random::new(seed),
        lines: Vec::new(),
        addresses: Vec::new(),
        workers: Vec::new(),
        pool: [0; 3],
        items: Vec::new(),
        limits: [Vec::new(), Vec::new()],
        polls_until: 0,
        calls: 0,
        own: 0,
        awaited: 0,
        hazards,
    };
    let mut free: Vec<u64> = vec![1_000; connections];
    for request in 0..requests {
        let connection = (0..free.len()).min_by_key(|at| free[*at]).unwrap_or_default();
        let at = free[connection] + program.random.below(300);
        free[connection] = program.serve(at, connection, &format!("r{request}")) + 20;
    }
    program.lines.sort_by_key(|(at, _)| *at);
    let end = program.lines.last().map_or(0, |(at, _)| *at);
    lose(&mut program.lines, &mut program.random, losses, end);
    let end = program.lines.last().map_or(0, |(at, _)| *at);
    let played::Score { linked, wrong } = played::play(program.lines, end);
    Score { own: program.own, awaited: program.awaited, linked, wrong }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_link_is_false_whatever_contexts_do_and_whatever_is_lost(
        seed: u64,
        connections in 1_usize..40,
        losses in 0_usize..4,
        hazards: bool,
    ) {
        let score = play(seed, connections, 300, losses, hazards);
        prop_assert!(score.wrong.is_empty(), "{:?}", score.wrong);
    }
}

#[test]
fn what_can_be_known_is_known() {
    for connections in [1, 8, 64] {
        let Score { own, awaited, linked, wrong } = play(7, connections, 2_000, 0, false);
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(linked, own + awaited, "{connections}");
    }
}
