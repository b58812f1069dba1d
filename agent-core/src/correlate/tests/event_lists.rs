//! Lists of user code on event loops: what is still believed where they are, and what libraries say of their own.
use super::script::check_links;
use expect_test::expect;

/// A history of requests of one loop, each with handles, connections and ids of its own.
#[derive(Default)]
struct History {
    now: u64,
    youngest: u64,
    lines: String,
}

impl History {
    fn say(&mut self, text: &str) {
        self.now += 1;
        self.youngest += 1;
        self.lines.push_str(&format!("{} A/1 {text} young={}\n", self.now, self.youngest));
    }

    /// A request is read; out: the id of what is created for it.
    fn receives(&mut self, request: &str) -> u64 {
        self.say(&format!("receives {request} /{request} conn=k{request}"));
        let handle = 1_000_000 + self.now;
        self.say(&format!("loops read in=k{request} id={handle}"));
        self.youngest + 1
    }

    /// The answer of a call is read; out: the id of what is created next.
    fn reads(&mut self, call: &str) -> u64 {
        let handle = 1_000_000 + self.now;
        self.say(&format!("reads {call}"));
        self.say(&format!("loops read out={call} id={handle}"));
        self.youngest + 1
    }

    fn sends(&mut self, call: &str) {
        self.say(&format!("sends {call} /{call}"));
    }

    fn answers(&mut self, request: &str) {
        self.say(&format!("answers {request}"));
    }

    /// Time in which nothing happens, so that what is held is decided.
    fn rest(&mut self) {
        self.lines.push_str("30000 tick\n40000 tick\n90000 tick\n");
    }

    /// A request whose call's answer is taken by a resource that was created for it.
    fn is_told(&mut self, number: usize) {
        let (request, call) = (format!("told{number}"), format!("of{number}"));
        let handler = self.receives(&request);
        self.sends(&call);
        self.reads(&call);
        self.say(&format!("loops named id={handler} trig=0"));
        self.answers(&request);
    }

    /// A request that waits for timers between its calls.
    fn waits(&mut self, request: &str, calls: &[&str]) {
        self.receives(request);
        for (n, call) in calls.iter().enumerate() {
            self.sends(call);
            let timer = self.reads(call);
            if n + 1 < calls.len() {
                self.say("loops nobody");
                self.say(&format!("loops callback id={timer} trig=0"));
            }
        }
        self.answers(request);
    }

    /// In the answer of one a list of user code lets the call of another go.
    fn hands_over(&mut self) {
        self.receives("b");
        self.receives("a");
        self.sends("ca");
        self.reads("ca");
        self.sends("cb");
        self.reads("cb");
        self.answers("b");
        self.say("loops nobody");
        self.answers("a");
    }
}

/// A pool lets the call of `b` go in the answer of `a`'s, and says so when that is answered; then `b` calls once more.
fn pool(proofs: usize) -> String {
    let mut history = History::default();
    (0..proofs).for_each(|number| history.is_told(number));
    let of_a = history.receives("a");
    history.sends("ca");
    let of_b = history.receives("b");
    history.say("loops nobody");
    history.reads("ca");
    history.sends("cb");
    history.say(&format!("loops named id={of_a} trig=0"));
    history.answers("a");
    history.reads("cb");
    history.say(&format!("loops named id={of_b} trig=0"));
    history.sends("cc");
    history.reads("cc");
    history.answers("b");
    history.rest();
    history.lines
}

#[test]
fn the_resource_that_takes_an_answer_says_whose_call_it_was() {
    check_links(&pool(32), expect!["task 35, entry 34"]);
}

#[test]
fn what_such_resources_say_is_believed_when_they_have_shown_that_it_is_true() {
    check_links(&pool(3), expect!["task 5, entry 5, uncalibrated 1"]);
}

/// Calls that follow one another by timers, or in the answers themselves, beside a list of user code.
fn beside_a_list(waiting: usize) -> String {
    let mut history = History::default();
    for number in 0..waiting {
        let calls = [format!("x{number}"), format!("y{number}")];
        history.waits(&format!("r{number}"), &[&calls[0], &calls[1]]);
    }
    history.hands_over();
    history.waits("d", &["d1", "d2", "d3"]);
    history.receives("e");
    for call in ["e1", "e2", "e3"] {
        history.sends(call);
        history.reads(call);
    }
    history.answers("e");
    history.rest();
    history.lines
}

#[test]
fn a_list_says_nothing_against_what_timers_do() {
    // Not believed: the call that was handed over, and of those that were made in answers the one that nothing else shows.
    check_links(&beside_a_list(63), expect!["task 133, entry 67, task_shared 1"]);
}

#[test]
fn beside_a_list_timers_must_show_it_themselves() {
    check_links(&beside_a_list(62), expect!["task 130, entry 66, task_shared 1, uncalibrated 1"]);
}

/// Two requests at once, each with a call by an immediate of its own, 15 of `a` and 25 of `b`; `more` happens in that of `a`.
fn immediates(more: &str) -> String {
    format!(
        "0   A/1 loops nobody young=12
         1   A/1 receives a /a conn=ka young=12
         1   A/1 loops read in=ka id=11 young=12
         2   A/1 receives b /b conn=kb young=20
         2   A/1 loops read in=kb id=12 young=20
         3   A/1 loops nobody young=30
         3   A/1 sends ca /of-a run=15 trig=11 young=30
         {more}
         4   A/1 sends cb /of-b run=25 trig=12 young=32
         5   A/1 reads ca young=33
         5   A/1 reads cb young=33
         6   A/1 loops nobody young=33
         6   A/1 answers b run=32 trig=25 young=34
         6   A/1 answers a run=31 trig=15 young=34
         3000 tick
         9000 tick"
    )
}

#[test]
fn an_immediate_that_answers_another_request_empties_a_list_for_all() {
    check_links(&immediates(""), expect!["task 2, entry 2"]);
    let other = "3.5 A/1 receives o /o conn=ko young=30
         3.6 A/1 answers o run=15 trig=11 young=30";
    // So did others like it, before it was seen.
    check_links(&immediates(other), expect!["entry 3, task_shared 2"]);
}
