//! Ratios, obedience and consistency of samplers.
use super::*;
use crate::spans::ids::Ids;
use proptest::prelude::*;

const TRACE: TraceId = TraceId([0x11; 16]);

fn sampler(name: &str, argument: Option<&str>) -> Sampler {
    Sampler::from_name(name, argument).unwrap()
}

fn trace(randomness: u64) -> TraceId {
    TraceId((1u128 << 100 | u128::from(randomness)).to_be_bytes())
}

fn asked(sampled: Option<bool>, trace_state: &str) -> Asked<'_> {
    Asked { sampled, trace_state }
}

#[test]
fn every_standard_name_is_known_and_nothing_else_is() {
    for name in ["always_on", "always_off", "traceidratio", "probability"] {
        assert!(!sampler(name, None).parent_based);
        assert!(sampler(&format!("parentbased_{name}"), Some("0.5")).parent_based);
    }
    assert_eq!(Sampler::from_name("jaeger_remote", None), None);
    assert_eq!(Sampler::from_name("Always_On", None), None);
    assert_eq!(sampler("traceidratio", Some("")), sampler("traceidratio", Some("1.0")));
    for bad in ["1.5", "-0.1", "NaN", "half"] {
        assert_eq!(Sampler::from_name("traceidratio", Some(bad)), None, "{bad}");
    }
}

#[test]
fn parent_based_samplers_obey_the_sender_and_decide_where_it_left_it_to_them() {
    let off = sampler("parentbased_always_off", None);
    assert!(off.decide(TRACE, asked(Some(true), "")).sampled);
    assert!(!off.decide(TRACE, asked(None, "")).sampled);
    let on = Sampler::default();
    assert!(!on.decide(TRACE, asked(Some(false), "")).sampled);
    assert!(on.decide(TRACE, asked(None, "")).sampled);
}

#[test]
fn other_samplers_do_not_ask_the_sender() {
    assert!(sampler("always_on", None).decide(TRACE, asked(Some(false), "")).sampled);
    assert!(!sampler("traceidratio", Some("0")).decide(TRACE, asked(Some(true), "")).sampled);
}

#[test]
fn the_edges_of_the_ratio_are_exact() {
    let all = sampler("traceidratio", Some("1"));
    let half = sampler("traceidratio", Some("0.5"));
    let none = sampler("traceidratio", Some("0"));
    let (low, middle, high) = (trace(0), trace(1 << 55), trace((1 << 56) - 1));
    let kept = |sampler: Sampler| [low, middle, high].map(|id| sampler.decide(id, Asked::default()).sampled);
    assert_eq!(kept(all), [true; 3]);
    assert_eq!(kept(half), [false, true, true]);
    assert_eq!(kept(none), [false; 3]);
}

#[test]
fn a_consistent_sampler_tells_its_threshold_and_keeps_what_else_is_there() {
    let half = sampler("probability", Some("0.5"));
    let told = |id, state| half.decide(id, asked(None, state)).trace_state;
    assert_eq!(told(trace(1 << 55), "").as_deref(), Some("ot=th:8"));
    assert_eq!(told(trace(1 << 55), "a=1,b=2").as_deref(), Some("ot=th:8,a=1,b=2"));
    assert_eq!(told(trace(1 << 55), "a=1,ot=th:0;x:y").as_deref(), Some("ot=th:8;x:y,a=1"));
    assert_eq!(told(trace(0), "ot=th:0,a=1").as_deref(), Some("a=1"), "what is not kept has no threshold");
    assert_eq!(told(trace(0), "a=1"), None);
    let all = sampler("probability", None);
    assert_eq!(all.decide(TRACE, Asked::default()).trace_state.as_deref(), Some("ot=th:0"));
}

#[test]
fn explicit_randomness_is_obeyed_and_malformed_randomness_is_not() {
    let half = sampler("probability", Some("0.5"));
    let kept = |state| half.decide(trace(0), asked(None, state)).sampled;
    assert!(kept("ot=rv:ffffffffffffff"));
    assert!(!kept("ot=rv:7fffffffffffff"));
    assert!(!kept("ot=rv:ff"));
    assert!(!kept("ot=rv:FFFFFFFFFFFFFF"));
    assert!(!kept("other=rv:ffffffffffffff"));
}

#[test]
fn a_full_tracestate_makes_room_for_the_threshold() {
    let full: Vec<String> = (0..32).map(|number| format!("k{number}=v")).collect();
    let decision = sampler("probability", None).decide(TRACE, asked(None, &full.join(",")));
    let state = decision.trace_state.unwrap();
    assert_eq!(state.split(',').count(), 32);
    assert!(state.starts_with("ot=th:0,k0=v,") && !state.contains("k31"));
}

proptest! {
    #[test]
    fn the_ratio_kept_is_the_ratio_asked_for(seed: [u8; 32], ratio in 0.0f64..=1.0) {
        let mut ids = Ids::new(seed);
        let sampler = sampler("traceidratio", Some(&ratio.to_string()));
        let kept = (0..4_000).filter(|_| sampler.decide(ids.trace_id(), Asked::default()).sampled).count();
        prop_assert!((kept as f64 / 4_000.0 - ratio).abs() < 0.05, "{kept} of 4000 for {ratio}");
    }

    #[test]
    fn who_keeps_more_keeps_all_that_who_keeps_less_keeps(id: [u8; 16], less in 0.0f64..=1.0, more in 0.0f64..=1.0) {
        let (less, more) = (less.min(more), less.max(more));
        let keeps = |ratio: f64| sampler("probability", Some(&ratio.to_string())).decide(TraceId(id), Asked::default()).sampled;
        prop_assert!(!keeps(less) || keeps(more));
    }

    #[test]
    fn the_threshold_that_is_told_is_the_one_that_was_used(id: [u8; 16], ratio in 0.0f64..=1.0) {
        let sampler = sampler("probability", Some(&ratio.to_string()));
        let Rule::Probability(threshold) = sampler.rule else { panic!("another rule") };
        let decision = sampler.decide(TraceId(id), Asked::default());
        if let Some(state) = &decision.trace_state {
            let mut read = OtMember::read(state);
            prop_assert_eq!(&read.write_into(""), state);
            read.set_threshold(Some(threshold.0));
            prop_assert_eq!(&read.write_into(""), state);
        }
        prop_assert_eq!(decision.sampled, decision.trace_state.is_some());
    }

    #[test]
    fn any_tracestate_is_survived(state in ".{0,200}") {
        sampler("probability", Some("0.3")).decide(TRACE, asked(None, &state));
    }
}
