//! Nothing false among the goroutines of servers whose requests share connections: random servers, some that keep to the rule that each
//! head has its goroutine created before the next read, and some that do not, with stretches of their history lost.
//!
//! Shape: a seed → a script in which every call's path is that of the request it is made for, as in `goroutine_truth`.
use super::played::{self, Goroutines};
use proptest::prelude::*;

/// Sites: who accepts connections, readers, handlers, writers of responses, handlers whose turn came late, helpers, workers.
const ACCEPTED: u64 = 1;
const READER: u64 = 2;
const HANDLER: u64 = 3;
const WRITER: u64 = 4;
const LATER: u64 = 5;
const CHILD: u64 = 6;
const WORKER: u64 = 7;
const ACCEPTOR: u64 = 9;

/// How a server works.
#[derive(Clone, Copy, Debug, Default)]
struct Habits {
    /// The reader creates handlers itself, as grpc-go's does; else who created it does, as in net/http.
    reads_itself: bool,
    /// Of a hundred heads so many are refused.
    refused: u64,
    /// So many wait for their turn, until another handler is done.
    queued: u64,
    /// So many are handed to workers that were there before.
    handed: u64,
    /// So many are given up by their client before they are answered.
    aborted: u64,
    /// All goroutines are created by one helper: one `go` statement.
    one_site: bool,
}

struct Conn {
    name: String,
    serves: u64,
    reader: u64,
    free: u64,
    queue: Vec<(u64, String)>,
}

struct Program {
    go: Goroutines,
    habits: Habits,
    requests: usize,
    /// Calls whose request can be known: none of those that the handlers' children make once a response has begun.
    knowable: usize,
    workers: Vec<u64>,
}

impl Program {
    fn chance(&mut self, percent: u64) -> bool {
        self.go.random.below(100) < percent
    }

    fn accept(&mut self, at: u64, number: u64) -> Conn {
        let serves = self.go.bear(at, ACCEPTOR, ACCEPTED);
        let reader = if self.habits.reads_itself { serves } else { self.go.bear(at + 1, serves, READER) };
        // Settings.
        self.go.bear(at + 3, serves, WRITER);
        Conn { name: format!("k{number}"), serves, reader, free: at + 10, queue: Vec::new() }
    }

    /// What a handler does from `at` on; when it is done.
    fn handle(&mut self, at: u64, handler: u64, serves: u64, path: &str) -> u64 {
        let mut now = at + 1 + self.go.random.below(300);
        let streams = self.chance(20);
        for n in 0..self.go.random.below(4) {
            if streams && n == 1 {
                let writer = self.go.bear(now, serves, WRITER);
                self.go.say(now + 1, format!("begins {path} go={writer}"));
            }
            let has_child = self.chance(30);
            self.knowable += usize::from(!has_child || !streams || n == 0);
            now = if has_child {
                let child = self.go.bear(now, handler, CHILD);
                self.go.call(now + 1, child, path)
            } else {
                self.go.call(now, handler, path)
            } + 1
                + self.go.random.below(100);
        }
        now
    }

    /// It is answered and over, unless its client gave it up meanwhile.
    fn answer(&mut self, at: u64, serves: u64, path: &str) {
        let writer = self.go.bear(at, serves, WRITER);
        self.go.say(at + 2, format!("answers {path} go={writer}"));
    }

    /// One read that completes some heads, and what comes of them.
    fn read(&mut self, conn: &mut Conn) {
        let at = conn.free + self.go.random.below(400);
        let heads = if self.habits.reads_itself { 1 + self.go.random.below(4) } else { 1 };
        let mut now = at + 1;
        for _ in 0..heads {
            self.requests += 1;
            let path = format!("r{}", self.requests);
            self.go.say(at, format!("receives {path} /{path} go={} conn={} shared", conn.reader, conn.name));
            if self.chance(self.habits.refused) {
                self.answer(now, conn.serves, &path);
            } else if self.chance(self.habits.queued) {
                conn.queue.push((now, path));
            } else if self.chance(self.habits.handed) && !self.workers.is_empty() {
                let worker = self.workers[self.go.random.below(self.workers.len() as u64) as usize];
                let done = self.handle(now, worker, conn.serves, &path);
                self.answer(done, conn.serves, &path);
            } else {
                let handler = self.go.bear(now, conn.serves, HANDLER);
                self.serve(conn, now, handler, &path);
            }
            now += 2 + self.go.random.below(10);
        }
        conn.free = now;
    }

    fn serve(&mut self, conn: &mut Conn, at: u64, handler: u64, path: &str) {
        let done = self.handle(at, handler, conn.serves, path);
        if self.chance(self.habits.aborted) {
            let gone = at + self.go.random.below(done - at);
            self.go.say(gone, format!("aborts {path} go={}", conn.reader));
        } else {
            self.answer(done, conn.serves, path);
        }
        if let Some((since, path)) = conn.queue.pop() {
            let at = done.max(since) + 5;
            let handler = self.go.bear(at, conn.serves, LATER);
            self.serve(conn, at, handler, &path);
        }
    }
}

fn play(seed: u64, conns: u64, reads: usize, losses: usize, habits: Habits) -> (usize, played::Score) {
    let mut program = Program {
        go: Goroutines::new(seed, habits.one_site),
        habits,
        requests: 0,
        knowable: 0,
        workers: Vec::new(),
    };
    for _ in 0..3 {
        let worker = program.go.bear(900, 7, WORKER);
        program.workers.push(worker);
    }
    let mut conns: Vec<Conn> = (0..conns).map(|number| program.accept(1_000 + 20 * number, number)).collect();
    for read in 0..reads {
        let next = (0..conns.len()).min_by_key(|at| conns[*at].free).unwrap_or_default();
        program.read(&mut conns[next]);
        if read % 7 == 0 {
            let at = conns[next].free + program.go.random.below(900);
            program.go.call(at, 3, &format!("tick{read}"));
        }
    }
    let (lines, end) = program.go.ended(losses);
    (program.knowable, played::play(lines, end))
}

fn habits() -> impl Strategy<Value = Habits> {
    let percent = || prop_oneof![3 => Just(0_u64), 1 => 1_u64..60];
    (any::<bool>(), percent(), percent(), percent(), percent(), prop::bool::weighted(0.2)).prop_map(
        |(reads_itself, refused, queued, handed, aborted, one_site)| Habits {
            reads_itself,
            refused,
            queued,
            handed,
            aborted,
            one_site,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_link_is_false_however_a_server_works_and_whatever_is_lost(
        seed: u64,
        conns in 1_u64..12,
        losses in 0_usize..4,
        habits in habits(),
    ) {
        let (_, score) = play(seed, conns, 300, losses, habits);
        prop_assert!(score.wrong.is_empty(), "{:?}", score.wrong);
    }
}

#[test]
fn what_can_be_known_is_known() {
    for (reads_itself, conns) in [(true, 1), (true, 8), (false, 1), (false, 8), (false, 64)] {
        let (knowable, score) = play(7, conns, 2_000, 0, Habits { reads_itself, ..Habits::default() });
        assert!(score.wrong.is_empty(), "{:?}", score.wrong);
        let linked = score.linked;
        // The first few of each statement show what it is.
        assert!(linked + 60 >= knowable, "{reads_itself} {conns}: {linked} of {knowable}");
    }
}
