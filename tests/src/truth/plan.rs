//! What a request asks for, all of it in its path: how long to wait, what to answer, whom to call, one by one or at once.
//!
//! Shape: [`Plan`] → `/t/` and five characters per request of the tree, callers before the calls they make:
//!
//! ```text
//! target  mode  delay  status  calls
//! 0       s     3      2       2      service 0: calls one by one, waits 5 ms, answers 200, makes two calls
//! 1       s     0      2       0        the first of them: service 1 answers at once
//! 1       s     0      5       0        the second: it fails
//! ```
//!
//! mode: `s` one by one, `p` at once, in capitals if the wait comes after the calls instead of before. delay: an index into
//! [`DELAYS_MS`]. status: `2` 200, `4` 404, `5` 500. Every program under `tests/apps/truth` reads this.
use std::fmt::Write;

/// Waits, in milliseconds, by their digit.
pub const DELAYS_MS: [u64; 10] = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500];

/// Most requests of one tree.
const MOST: usize = 14;
/// Longest chain of calls.
const DEEPEST: usize = 6;

/// One request and the calls it causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    target: usize,
    parallel: bool,
    late: bool,
    delay: usize,
    status: u16,
    calls: Vec<Plan>,
}

/// What a world can do.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Services that call; the one after them is the leaf.
    pub callers: usize,
    /// A service may call itself: it can handle any number of requests at once.
    pub itself: bool,
    /// Calls may be made at once.
    pub parallel: bool,
    /// Calls per request, at most: a proxy makes one, always.
    pub proxy: bool,
    /// Calls per request: one to three, as most programs make.
    pub few: bool,
}

/// Numbers that look random and are the same every time (splitmix64).
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// One of these numbers, each as often as it is written.
    pub fn of(&mut self, numbers: &[usize]) -> usize {
        let at = self.next() % numbers.len().max(1) as u64;
        usize::try_from(at).ok().and_then(|at| numbers.get(at).copied()).unwrap_or(0)
    }
}

impl Plan {
    /// A request to the first service.
    pub fn roll(rules: Rules, dice: &mut Dice) -> Plan {
        let depth = dice.of(&[1, 2, 2, 3, 3, 4, 5, DEEPEST]);
        let mut budget = MOST;
        Plan::node(rules, dice, 0, depth, &mut budget)
    }

    fn node(rules: Rules, dice: &mut Dice, target: usize, depth: usize, budget: &mut usize) -> Plan {
        *budget = budget.saturating_sub(1);
        let is_leaf = target == rules.callers;
        let wanted = match (is_leaf, rules.proxy) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) if rules.few => dice.of(&[1, 1, 1, 2, 2, 3]),
            (false, false) if depth <= 1 => dice.of(&[0, 0, 1, 1, 2, 3, 5]),
            (false, false) => dice.of(&[1, 1, 2, 2, 3, 4, 5]),
        };
        let mut calls = Vec::new();
        for _ in 0..wanted.min(*budget) {
            if *budget == 0 && !rules.proxy {
                break;
            }
            let next = if depth > 1 { Plan::next(rules, dice, target) } else { rules.callers };
            calls.push(Plan::node(rules, dice, next, depth.saturating_sub(1), budget));
        }
        let status = match dice.of(&[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 4, 5]) {
            4 => 404,
            5 => 500,
            _ => 200,
        };
        Plan {
            target,
            parallel: rules.parallel && calls.len() > 1 && dice.of(&[0, 1]) == 1,
            late: dice.of(&[0, 0, 0, 1]) == 1,
            delay: dice.of(&[0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6]),
            // A proxy hands on what it was answered.
            status: calls.first().filter(|_| rules.proxy).map_or(status, |call| call.status),
            calls,
        }
    }

    /// Whom a service may call: itself if it bears that, those after it, or the leaf.
    fn next(rules: Rules, dice: &mut Dice, target: usize) -> usize {
        if rules.itself {
            return dice.of(&[target, target, rules.callers]);
        }
        let after: Vec<usize> = (target + 1..=rules.callers).chain([target + 1]).collect();
        dice.of(&after)
    }

    /// The path that asks for it.
    pub fn path(&self) -> String {
        let mut path = "/t/".to_owned();
        self.write(&mut path);
        path
    }

    /// What the first service answers.
    pub fn status(&self) -> u16 {
        self.status
    }

    fn write(&self, path: &mut String) {
        let mode = match (self.parallel, self.late) {
            (false, false) => 's',
            (false, true) => 'S',
            (true, false) => 'p',
            (true, true) => 'P',
        };
        let Plan { target, delay, status, calls, .. } = self;
        let _ = write!(path, "{target}{mode}{delay}{}{}", status / 100, calls.len());
        calls.iter().for_each(|call| call.write(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { callers: 1, itself: true, parallel: true, proxy: false, few: false };

    fn plans(rules: Rules) -> Vec<Plan> {
        let mut dice = Dice::new(7);
        (0..2_000).map(|_| Plan::roll(rules, &mut dice)).collect()
    }

    fn all(plan: &Plan, depth: usize, see: &mut dyn FnMut(&Plan, usize)) {
        see(plan, depth);
        plan.calls.iter().for_each(|call| all(call, depth + 1, see));
    }

    #[test]
    fn a_plan_is_written_callers_first() {
        let leaf = |status| Plan { target: 1, parallel: false, late: false, delay: 0, status, calls: vec![] };
        let plan = Plan {
            parallel: true,
            late: true,
            delay: 3,
            target: 0,
            calls: vec![leaf(200), leaf(500)],
            ..leaf(200)
        };
        assert_eq!(plan.path(), "/t/0P3221s0201s050");
    }

    #[test]
    fn plans_have_every_shape_that_is_asked_for() {
        let (mut fans, mut depths, mut statuses, mut modes) = ([0; 6], [0; 8], [0; 6], [0; 4]);
        for plan in plans(RULES) {
            let (mut deepest, mut size) = (0, 0);
            all(&plan, 1, &mut |plan, depth| {
                size += 1;
                deepest = depth.max(deepest);
                fans[plan.calls.len()] += 1;
                statuses[usize::from(plan.status / 100)] += 1;
                modes[usize::from(plan.parallel) * 2 + usize::from(plan.late)] += 1;
            });
            depths[deepest] += 1;
            assert!(size <= MOST, "{}", plan.path());
        }
        assert!(fans.iter().all(|count| *count > 100), "calls per request {fans:?}");
        assert!(depths[1..=DEEPEST].iter().all(|count| *count > 20), "depths {depths:?}");
        assert!(statuses[4] > 100 && statuses[5] > 100 && modes.iter().all(|count| *count > 100));
    }

    #[test]
    fn a_service_that_cannot_call_itself_calls_only_those_after_it() {
        for plan in plans(Rules { callers: 3, itself: false, parallel: false, ..RULES }) {
            all(&plan, 1, &mut |plan, _| {
                assert!(!plan.parallel && plan.calls.iter().all(|call| call.target > plan.target));
            });
        }
    }

    #[test]
    fn a_proxy_makes_exactly_one_call() {
        for plan in plans(Rules { callers: 1, itself: false, parallel: false, proxy: true, few: false }) {
            assert!(plan.calls.len() == 1 && plan.calls[0].calls.is_empty(), "{}", plan.path());
            assert_eq!(plan.status, plan.calls[0].status);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plans() {
        assert_eq!(plans(RULES), plans(RULES));
    }
}
