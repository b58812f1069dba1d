//! Random conversations with a known truth: exact when nothing is lost, never wrong when something is.
use super::{
    kernel::{events, play, play_through, replay},
    wire::{Conversation, Owned, Side, Step, Story, stories},
};
use crate::{
    assemble::Output,
    exchange::{Answer, Call, End, Fact},
};
use proptest::prelude::*;

/// How a body is framed.
#[derive(Clone, Debug)]
enum Body {
    Empty,
    Length(usize),
    Chunks(Vec<usize>),
}

impl Body {
    fn bytes(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Length(length) => *length as u64,
            Body::Chunks(chunks) => chunks.iter().sum::<usize>() as u64,
        }
    }

    /// Header field and body. Bodies are full of what looks like messages.
    fn append(&self, message: &mut Vec<u8>, has_body: bool) {
        match self {
            Body::Empty => message.extend(b"Content-Length: 0\r\n\r\n"),
            Body::Length(length) => {
                message.extend(format!("Content-Length: {length}\r\n\r\n").bytes());
                if has_body {
                    message.extend(decoy(*length));
                }
            }
            Body::Chunks(chunks) => {
                message.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in chunks.iter().filter(|_| has_body) {
                    message.extend(format!("{chunk:x}\r\n").bytes());
                    message.extend(decoy(*chunk));
                    message.extend(b"\r\n");
                }
                if has_body {
                    message.extend(b"0\r\n\r\n");
                }
            }
        }
    }
}

const DECOY: &[u8] = b"HTTP/1.1 599 No\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\n\r\n0\r\n\r\n";

fn decoy(length: usize) -> Vec<u8> {
    DECOY.iter().copied().cycle().take(length).collect()
}

/// One exchange as it truly was.
#[derive(Clone, Debug)]
struct Truth {
    method: &'static str,
    request: Body,
    interim: usize,
    status: u16,
    response: Body,
}

impl Truth {
    fn request_bytes(&self, index: usize) -> Vec<u8> {
        let mut bytes = format!("{} /{index} HTTP/1.1\r\nHost: shop\r\n", self.method).into_bytes();
        self.request.append(&mut bytes, true);
        bytes
    }

    fn response_bytes(&self) -> Vec<u8> {
        let mut bytes = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(self.interim);
        bytes.extend(format!("HTTP/1.1 {} Status\r\n", self.status).bytes());
        self.response.append(&mut bytes, self.has_response_body());
        bytes
    }

    fn has_response_body(&self) -> bool {
        self.method != "HEAD" && !matches!(self.status, 204 | 304)
    }

    fn response_body(&self) -> u64 {
        if self.has_response_body() { self.response.bytes() } else { 0 }
    }
}

/// A conversation, and what is true of it.
#[derive(Clone)]
struct Scene {
    truths: Vec<Truth>,
    conversation: Conversation,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let decoy = decoy(DECOY.len()).escape_ascii().to_string();
        for step in &self.conversation.steps {
            writeln!(f, "{}", format!("{step:?}").replace(&decoy, "@"))?;
        }
        Ok(())
    }
}

fn body(longest: usize) -> impl Strategy<Value = Body> {
    prop_oneof![
        2 => Just(Body::Empty),
        3 => (1..longest).prop_map(Body::Length),
        2 => prop::collection::vec(1..longest, 1..4).prop_map(Body::Chunks),
    ]
}

fn truth(longest: usize) -> impl Strategy<Value = Truth> {
    let method = prop_oneof![Just("GET"), Just("HEAD"), Just("POST"), Just("X-odd")];
    // Statuses are as good as unique, so that one answer given for another shows.
    let status = prop_oneof![4 => 205_u16..304, 4 => 305_u16..600, 1 => Just(204_u16), 1 => Just(304_u16)];
    (method, body(longest), prop_oneof![4 => Just(0_usize), 1 => 1..3_usize], status, body(longest)).prop_map(
        |(method, request, interim, status, response)| Truth { method, request, interim, status, response },
    )
}

/// Conversations of up to `count` exchanges, up to `depth` of them waiting at a time, in calls of up to `call` bytes.
fn scene(count: usize, depth: usize, longest: usize, call: usize) -> impl Strategy<Value = Scene> {
    let truths = prop::collection::vec(truth(longest), 1..count);
    let choices = prop::collection::vec((any::<bool>(), 1..call, 0_u64..400), 1..64);
    (truths, choices, 1..=depth).prop_map(|(truths, choices, depth)| {
        let conversation = Writer::new(&choices).write(&truths, depth);
        Scene { truths, conversation }
    })
}

/// Turns exchanges into calls.
struct Writer<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, (bool, usize, u64)>>,
    steps: Vec<Step>,
}

impl<'a> Writer<'a> {
    fn new(choices: &'a [(bool, usize, u64)]) -> Writer<'a> {
        Writer { choices: choices.iter().cycle(), steps: Vec::new() }
    }

    fn write(mut self, truths: &[Truth], depth: usize) -> Conversation {
        let (mut asked, mut answered) = (0, 0);
        while answered < truths.len() {
            let (asks, ..) = *self.choices.next().unwrap();
            let may_ask = asked < truths.len() && asked - answered < depth;
            if asked == answered || (may_ask && asks) {
                self.say(Side::Client, &truths[asked].request_bytes(asked));
                asked += 1;
            } else {
                self.say(Side::Server, &truths[answered].response_bytes());
                answered += 1;
            }
        }
        Conversation { steps: self.steps }
    }

    fn say(&mut self, from: Side, message: &[u8]) {
        let mut rest = message;
        while !rest.is_empty() {
            let (joins, call, pause) = *self.choices.next().unwrap();
            let (data, after) = rest.split_at(call.min(rest.len()));
            rest = after;
            match self.steps.last_mut() {
                // Two messages of one side in one call, now and then.
                Some(Step::Bytes { from: same, data: before }) if *same == from && joins => {
                    before.extend(data)
                }
                _ => {
                    self.steps.push(Step::Pause { ns: pause * 1_000 });
                    self.steps.push(Step::Bytes { from, data: data.to_vec() });
                }
            }
        }
    }
}

/// Everything that was said of a scene is true; what was said of each exchange, by its number.
fn true_stories(scene: &Scene, facts: &[Fact]) -> Vec<Option<Story>> {
    let mut found: Vec<Option<Story>> = vec![None; scene.truths.len()];
    for story in stories(facts) {
        let opened = story.opened.as_ref().unwrap();
        let Call::Http(request) = &opened.call;
        let index: usize =
            request.target.strip_prefix('/').unwrap().parse().expect("a request that was not made");
        let truth = &scene.truths[index];
        assert_eq!(request.method, truth.method);
        if let Some(ended) = &story.ended {
            assert!(ended.at >= opened.at);
            if let Some(Answer::Http(response)) = &ended.answer {
                assert_eq!(response.status, truth.status, "the answer of another request to /{index}");
                let counted = ended.response_body_bytes.filter(|_| ended.end == End::Complete);
                assert!(counted.is_none_or(|bytes| bytes == truth.response_body()));
            }
            assert!(ended.request_body_bytes.is_none_or(|bytes| bytes == truth.request.bytes()));
        }
        assert!(found[index].replace(story).is_none(), "/{index} came twice");
    }
    found
}

/// Every exchange was told, with its answer.
fn assert_exact(scene: &Scene, out: &Output) {
    for (index, story) in true_stories(scene, &out.facts).into_iter().enumerate() {
        let ended = story.unwrap_or_else(|| panic!("/{index} is missing")).ended;
        let ended = ended.unwrap_or_else(|| panic!("/{index} is open"));
        assert_eq!(ended.end, End::Complete, "/{index}");
        assert!(ended.answer.is_some() && !ended.incomplete.response_head && !ended.incomplete.request_head);
    }
}

/// A tick, long after everything.
fn settle(scene: &mut Scene) {
    scene.conversation.steps.push(Step::Pause { ns: 500_000_000 });
    scene.conversation.steps.push(Step::Tick);
}

const SIDES: [Side; 2] = [Side::Server, Side::Client];

proptest! {
    #[test]
    fn pipelined_conversations_that_are_copied_in_full_are_exact(scene in scene(12, 4, 40, 300)) {
        for side in SIDES {
            let (out, _) = play(&scene.conversation, side);
            assert_exact(&scene, &out);
        }
    }

    #[test]
    fn bodies_of_any_length_leave_conversations_exact(mut scene in scene(6, 1, 40_000, 30_000)) {
        settle(&mut scene);
        for side in SIDES {
            let (out, _) = play(&scene.conversation, side);
            assert_exact(&scene, &out);
        }
    }

    #[test]
    fn records_in_another_order_give_the_same(
        scene in scene(8, 3, 40, 200),
        swaps in prop::collection::vec(any::<bool>(), 64),
    ) {
        for side in SIDES {
            let mut events = events(&scene.conversation, side);
            let mut index = 0;
            // CPUs swap neighbours.
            for swap in swaps.iter().cycle().take(events.len().saturating_sub(1)) {
                if *swap && index + 1 < events.len() && index > 0 {
                    events.swap(index, index + 1);
                    index += 1;
                }
                index += 1;
            }
            assert_exact(&scene, &replay(&events).0);
        }
    }

    #[test]
    fn lost_records_never_give_a_wrong_exchange(
        mut scene in scene(16, 3, 3_000, 2_000),
        losses in prop::collection::vec(prop_oneof![6 => Just(true), 1 => Just(false)], 1..80),
    ) {
        settle(&mut scene);
        for side in SIDES {
            let mut losses = losses.iter().cycle();
            let delivers = |event: &Owned| *losses.next().unwrap() || matches!(event, Owned::Other(_));
            let (out, _) = play_through(&scene.conversation, side, delivers);
            true_stories(&scene, &out.facts);
        }
    }

    #[test]
    fn a_burst_of_lost_records_never_gives_a_wrong_exchange(
        mut scene in scene(16, 4, 400, 500),
        from in 0_usize..100,
        count in 1_usize..30,
    ) {
        settle(&mut scene);
        for side in SIDES {
            let mut index = 0;
            let (out, _) = play_through(&scene.conversation, side, |_| {
                index += 1;
                !(from..from + count).contains(&index)
            });
            true_stories(&scene, &out.facts);
        }
    }

    #[test]
    fn a_second_of_silence_after_any_loss_makes_the_next_exchange_exact(
        scene in scene(8, 2, 2_000, 2_000),
        losses in prop::collection::vec(any::<bool>(), 1..40),
    ) {
        for side in SIDES {
            let mut scene = scene.clone();
            settle(&mut scene);
            let before = scene.conversation.steps.len();
            let truth = Truth {
                method: "GET",
                request: Body::Empty,
                interim: 0,
                status: 200,
                response: Body::Length(10),
            };
            let index = scene.truths.len();
            scene.conversation.steps.push(Step::Pause { ns: 1_000_000_000 });
            scene.conversation.steps.push(Step::Bytes { from: Side::Client, data: truth.request_bytes(index) });
            scene.conversation.steps.push(Step::Bytes { from: Side::Server, data: truth.response_bytes() });
            scene.truths.push(truth);
            settle(&mut scene);
            let first = Conversation { steps: scene.conversation.steps[..before].to_vec() };
            let records = events(&first, side).len();
            let mut seen = 0;
            let mut losses = losses.iter().cycle();
            let (out, _) = play_through(&scene.conversation, side, |event| {
                seen += 1;
                let is_after = seen > 4 * records || matches!(event, Owned::Bytes { at, .. } if *at >= 11_000_000_000);
                is_after || matches!(event, Owned::Other(_)) || *losses.next().unwrap()
            });
            let story = true_stories(&scene, &out.facts).pop().unwrap().expect("the last exchange is missing");
            assert!(story.ended.is_some_and(|ended| ended.answer.is_some()), "the last exchange has no answer");
        }
    }
}
