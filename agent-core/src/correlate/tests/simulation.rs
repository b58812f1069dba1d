//! Random histories of services on one node, with the truth about who caused whom.
//!
//! Shape: a seed and a [`World`] in, facts in order of time and the true parents out. Every exchange has a path of its own, by which
//! spans are told apart. The runtime of a service decides which thread is seen at which step; nothing else tells requests apart.
use crate::{
    event::{Actor, ConnId, Endpoints, Nanos, ProcessId, Wait},
    exchange::{
        Answer, Answering, Call, End, ExchangeId, Fact, HttpRequest, HttpResponse, Incomplete, Opened, Role,
    },
    spans::ids::Ids,
};
use std::{collections::HashMap, net::SocketAddr};

/// How the threads of a service share its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    /// One thread from reading to answering.
    ThreadPerRequest,
    /// So many event loops, each request stays on one.
    EventLoops(u32),
    /// Goroutines that wake on the worker they last ran on, but in so many of 100 cases on another.
    Stealing { workers: u32, moves: u64 },
    /// A thread reads, another works and answers.
    HandOver { readers: u32 },
    /// The reader works and answers, another thread writes and reads its calls.
    CallerPool { callers: u32 },
}

/// Work that no request caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poller {
    None,
    /// On a thread of its own, to a destination of its own, since before the first request.
    OwnThread,
    /// On a thread that also serves (event loop), to a destination of its own, since before the first request.
    Served,
    /// On a thread that also serves, to the destination of all calls, begun while requests are served.
    Armed,
}

/// One setting.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) runtimes: Vec<Runtime>,
    pub(super) requests: usize,
    pub(super) concurrency: usize,
    /// Longest pause of a client between two requests, in microseconds.
    pub(super) pause: u64,
    pub(super) poller: Poller,
    /// Calls made and not waited for, in 100 requests.
    pub(super) detached: u64,
    /// Requests whose sender sends context, in 100.
    pub(super) context: u64,
    /// Applications hand on the context they receive.
    pub(super) forwards: bool,
    /// How blocking programs wait for the answers to their calls.
    pub(super) wait: Wait,
    /// Stretches of the history that are lost.
    pub(super) losses: usize,
}

/// A history and its truth.
pub(super) struct History {
    /// By time; `None`: records were lost until now.
    pub(super) facts: Vec<(Nanos, Option<Fact>)>,
    /// Path of the exchange and role to those of its cause.
    pub(super) causes: HashMap<(String, Role), Option<(String, Role)>>,
}

pub(super) struct Random(Ids);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        let mut bytes = [9; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Random(Ids::new(bytes))
    }

    /// `0..below`.
    pub(super) fn below(&mut self, below: u64) -> u64 {
        u64::from_le_bytes(self.0.span_id().0) % below.max(1)
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A request being served: when, and its calls.
struct Serving {
    service: usize,
    path: String,
    from: u64,
    until: u64,
    cause: Option<(String, Role)>,
    context: Option<String>,
    /// Time sent, time read, path, detached.
    calls: Vec<(u64, u64, String, bool)>,
}

struct Simulator<'a> {
    world: &'a World,
    random: Random,
    served: Vec<Serving>,
    next: u64,
    facts: Vec<(Nanos, Option<Fact>)>,
    causes: HashMap<(String, Role), Option<(String, Role)>>,
}

pub(super) fn simulate(world: &World, seed: u64) -> History {
    let mut simulator = Simulator {
        world,
        random: Random::new(seed),
        served: Vec::new(),
        next: 1,
        facts: Vec::new(),
        causes: HashMap::new(),
    };
    simulator.load();
    simulator.poll();
    simulator.tell();
    simulator.lose();
    History { facts: simulator.facts, causes: simulator.causes }
}

impl Simulator<'_> {
    /// A closed loop of clients elsewhere.
    fn load(&mut self) {
        let mut free = vec![1_000u64; self.world.concurrency];
        for _ in 0..self.world.requests {
            let client = (0..free.len()).min_by_key(|&client| free[client]).unwrap();
            let from = free[client] + self.random.below(200);
            let path = self.path();
            let context = self.random.percent(self.world.context).then(|| self.context());
            free[client] =
                self.serve(0, path, from, None, context) + 50 + self.random.below(self.world.pause);
        }
    }

    fn path(&mut self) -> String {
        self.next += 1;
        format!("/x{}", self.next)
    }

    fn context(&mut self) -> String {
        let (trace, parent) = (self.random.below(u64::MAX) + 1, self.random.below(u64::MAX) + 1);
        format!("00-{trace:032x}-{parent:016x}-01")
    }

    /// One request with all it causes; when it is answered.
    fn serve(
        &mut self,
        service: usize,
        path: String,
        from: u64,
        cause: Option<(String, Role)>,
        context: Option<String>,
    ) -> u64 {
        self.causes.insert((path.clone(), Role::Server), cause.clone());
        let mut at = from + 5 + self.random.below(400);
        let mut calls = Vec::new();
        let last = service + 1 == self.world.runtimes.len();
        // Some requests call nothing, the last service calls nobody who is observed.
        for _ in 0..self.random.below(4) {
            let called = self.path();
            self.causes.insert((called.clone(), Role::Client), Some((path.clone(), Role::Server)));
            let handed = context.clone().filter(|_| self.world.forwards);
            let read = if last || self.random.percent(30) {
                at + 30 + self.random.below(2_000)
            } else {
                let cause = Some((called.clone(), Role::Client));
                let received = at + self.random.below(60);
                self.serve(service + 1, called.clone(), received, cause, handed) + 20
            };
            let detached = self.random.percent(self.world.detached);
            calls.push((at, read, called, detached));
            // Not waited for: the request goes on at once.
            at = if detached { at } else { read } + 5 + self.random.below(300);
        }
        let until = at + 10;
        self.served.push(Serving { service, path, from, until, cause, context, calls });
        until
    }

    /// Work of the first service that nobody caused.
    fn poll(&mut self) {
        let tid = match self.world.poller {
            Poller::None => return,
            Poller::OwnThread => 9_000,
            Poller::Served | Poller::Armed => 1,
        };
        let end = self.served.iter().map(|serving| serving.until).max().unwrap_or_default();
        let (mut at, host) = match self.world.poller {
            Poller::Armed => (end / 3, "next.example"),
            _ => (100, "metrics.example"),
        };
        while at < end {
            let path = self.path();
            self.causes.insert((path.clone(), Role::Client), None);
            let read = at + 100 + self.random.below(1_000);
            let actor = actor(0, tid);
            self.client((at, read, read), &path, (actor, actor), None, host, None);
            at = read + self.random.below(4_000 + self.world.pause / 4);
        }
    }

    /// Facts of what was served, with the threads that the runtimes give.
    fn tell(&mut self) {
        let mut served = std::mem::take(&mut self.served);
        served.sort_by_key(|serving| serving.from);
        let mut busy: Vec<Vec<u64>> = vec![Vec::new(); self.world.runtimes.len()];
        for serving in &served {
            let runtime = self.world.runtimes[serving.service];
            let busy = &mut busy[serving.service];
            let own = 1 + busy.iter().position(|until| *until < serving.from).unwrap_or(busy.len());
            if own > busy.len() {
                busy.push(0);
            }
            busy[own - 1] = serving.until;
            self.tell_one(serving, runtime, own as u32);
        }
        self.facts.sort_by_key(|(at, _)| *at);
    }

    fn tell_one(&mut self, serving: &Serving, runtime: Runtime, own: u32) {
        let mut worker = match runtime {
            Runtime::ThreadPerRequest | Runtime::CallerPool { .. } => own,
            Runtime::EventLoops(threads) | Runtime::Stealing { workers: threads, .. } => {
                1 + self.random.below(u64::from(threads)) as u32
            }
            Runtime::HandOver { readers } => 1 + self.random.below(u64::from(readers)) as u32,
        };
        let service = serving.service;
        let id = ExchangeId(self.next);
        self.next += 1;
        let far = serving.cause.is_none();
        let opened = opened(
            id,
            Role::Server,
            serving.from,
            &serving.path,
            actor(service, worker),
            endpoints(Role::Server, service, &serving.path, far),
            "shop.example",
            serving.context.as_deref(),
        );
        self.push(serving.from, Fact::Opened(Box::new(opened)));
        if let Runtime::HandOver { .. } = runtime {
            worker = 100 + own;
        }
        for (sent, read, path, detached) in &serving.calls {
            let sender = self.next_worker(runtime, &mut worker);
            let reader = if let Runtime::Stealing { .. } = runtime {
                self.next_worker(runtime, &mut worker)
            } else {
                sender
            };
            let observed = self.causes.contains_key(&(path.clone(), Role::Server));
            let handed = serving.context.as_deref().filter(|_| self.world.forwards);
            let to = observed.then_some(service + 1);
            let wait = match runtime {
                // Somebody who does not wait for the answer cannot block.
                Runtime::ThreadPerRequest | Runtime::CallerPool { .. } if !detached => self.world.wait,
                _ => Wait::Epoll,
            };
            let waiting = |tid| Actor { wait, ..actor(service, tid) };
            let (sender, reader) = (waiting(sender), waiting(reader));
            // What its thread does next is seen next.
            let before = if *detached { sent + 5 } else { *read };
            self.client((*sent, before, *read), path, (sender, reader), to, "next.example", handed);
        }
        let answerer = match runtime {
            Runtime::Stealing { .. } => self.next_worker(runtime, &mut worker),
            _ => worker,
        };
        let at = nanos(serving.until);
        self.push(serving.until, Fact::Answering(Answering { id, at, actor: actor(service, answerer) }));
        self.push(serving.until, Fact::Ended(ended(id, at)));
    }

    fn next_worker(&mut self, runtime: Runtime, worker: &mut u32) -> u32 {
        match runtime {
            Runtime::Stealing { workers, moves } => {
                if self.random.percent(moves) {
                    *worker = 1 + self.random.below(u64::from(workers)) as u32;
                }
                *worker
            }
            Runtime::CallerPool { callers } => 500 + self.random.below(u64::from(callers)) as u32,
            _ => *worker,
        }
    }

    /// Sent, recorded before, and read at these times, by these threads.
    fn client(
        &mut self,
        (sent, before, read): (u64, u64, u64),
        path: &str,
        (sender, reader): (Actor, Actor),
        to: Option<usize>,
        host: &str,
        context: Option<&str>,
    ) {
        let id = ExchangeId(self.next);
        self.next += 1;
        // A send is recorded when the call returns; the receiver may have been faster.
        let recorded = sent + self.random.below(40).min(before.saturating_sub(sent + 1));
        let service = sender.process.pid as usize - 1;
        let endpoints = endpoints(Role::Client, service, path, to.is_none());
        let opened = opened(id, Role::Client, recorded, path, sender, endpoints, host, context);
        self.push(recorded, Fact::Opened(Box::new(opened)));
        let at = nanos(read);
        self.push(read, Fact::Answering(Answering { id, at, actor: reader }));
        self.push(read, Fact::Ended(ended(id, at)));
    }

    fn push(&mut self, at: u64, fact: Fact) {
        self.facts.push((nanos(at), Some(fact)));
    }

    /// Stretches of up to a few milliseconds are gone; that is told up to 3 ms later.
    fn lose(&mut self) {
        let end = self.facts.last().map_or(0, |(at, _)| at.0);
        for _ in 0..self.world.losses {
            let from = self.random.below(end);
            let until = from + self.random.below(3_000_000);
            let told = until + self.random.below(3_000_000);
            self.facts.retain(|(at, fact)| fact.is_none() || !(from..until).contains(&at.0));
            self.facts.push((Nanos(told), None));
            self.facts.sort_by_key(|(at, _)| *at);
        }
    }
}

fn nanos(us: u64) -> Nanos {
    Nanos(1_000_000_000 + us * 1_000)
}

fn actor(service: usize, tid: u32) -> Actor {
    let process = ProcessId { pid: service as u32 + 1, start_ticks: 1 };
    Actor::thread(process, tid)
}

fn number(path: &str) -> u32 {
    path.trim_start_matches("/x").parse().unwrap()
}

/// The server of a call is the next service; `far`: the other end is on another node.
fn endpoints(role: Role, service: usize, path: &str, far: bool) -> Endpoints {
    let of = |service: usize| format!("10.0.0.{}", service + 1).parse().unwrap();
    let away = "203.0.113.9".parse().unwrap();
    let port = 20_000 + (number(path) % 20_000) as u16;
    match role {
        Role::Server => {
            let remote = if far { away } else { of(service - 1) };
            Endpoints { local: SocketAddr::new(of(service), 80), remote: SocketAddr::new(remote, port) }
        }
        Role::Client => {
            let remote = if far { away } else { of(service + 1) };
            Endpoints { local: SocketAddr::new(of(service), port), remote: SocketAddr::new(remote, 80) }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one place that knows what an opened request looks like")]
fn opened(
    id: ExchangeId,
    role: Role,
    at: u64,
    path: &str,
    actor: Actor,
    endpoints: Endpoints,
    host: &str,
    context: Option<&str>,
) -> Opened {
    let number = number(path);
    Opened {
        id,
        role,
        protocol: "http",
        conn: ConnId(u64::from(number) << 1 | u64::from(role == Role::Client)),
        stream: None,
        endpoints,
        seq: number.wrapping_mul(2_654_435_761),
        // All requests begin alike.
        fingerprint: 7,
        at: nanos(at),
        head_at: nanos(at),
        actor,
        call: Call::Http(HttpRequest {
            method: "GET".to_owned(),
            target: path.to_owned(),
            version: "1.1",
            scheme: None,
            host: Some(host.to_owned()),
            fields: context
                .map(|text| ("traceparent".to_owned(), text.to_owned().into()))
                .into_iter()
                .collect(),
            content_length: None,
        }),
    }
}

fn ended(id: ExchangeId, at: Nanos) -> Box<crate::exchange::Ended> {
    let response = HttpResponse { status: 200, ..HttpResponse::default() };
    super::script::ended(id, at, End::Complete, Some(Answer::Http(response)), Incomplete::default())
}
