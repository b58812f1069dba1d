//! Bounds, and what is remembered for how long.
use super::*;

fn goroutine(number: u64) -> Goroutine {
    Goroutine::new(number).unwrap()
}

fn spawn(child: u64, parent: u64, site: u64) -> Spawn {
    Spawn { goroutine: goroutine(child), parent: goroutine(parent), site }
}

#[test]
fn claims_are_for_one_request_and_bounded() {
    let mut goroutines = Goroutines::default();
    let claim = |at| Claim { goroutine: goroutine(1), at: Nanos(at) };
    for conn in 0..3 * CLAIMS_MAX as u64 {
        goroutines.claim(ConnId(conn), claim(5));
        assert!(goroutines.claims.len() <= CLAIMS_MAX);
    }
    goroutines.claim(ConnId(1), claim(7));
    assert_eq!(goroutines.take_claim(ConnId(1), Nanos(6)), None);
    assert_eq!(goroutines.take_claim(ConnId(1), Nanos(8)), Some(claim(7)));
    assert_eq!(goroutines.take_claim(ConnId(1), Nanos(9)), None);
}

#[test]
fn a_site_that_never_acts_is_not_remembered_and_does_not_come_back() {
    let mut goroutines = Goroutines::default();
    let births = u64::from(QUIET_BIRTHS);
    for child in 1..=2 * births {
        goroutines.bear(spawn(child + 10, 1, 7), ExchangeId(1));
    }
    assert_eq!(goroutines.born.len() as u64, births);
    goroutines.acts(goroutine(11));
    goroutines.bear(spawn(5, 1, 7), ExchangeId(1));
    assert_eq!(goroutines.works_for(goroutine(5)), WorksFor::Nobody);
}

#[test]
fn descendants_are_remembered_until_links_of_their_request_are_no_longer_held() {
    let mut goroutines = Goroutines::default();
    goroutines.bear(spawn(2, 1, 7), ExchangeId(1));
    goroutines.ended(goroutine(1), ExchangeId(1), Some(Nanos(1_000)));
    goroutines.forget_old(Nanos(2_000_000_000), 2_000_000_000);
    assert_eq!(goroutines.works_for(goroutine(2)), WorksFor::Born(ExchangeId(1)));
    goroutines.forget_old(Nanos(3_100_000_000), 2_000_000_000);
    assert_eq!(goroutines.works_for(goroutine(2)), WorksFor::Nobody);
    assert!(goroutines.born.is_empty() && goroutines.families.is_empty() && goroutines.over.is_empty());
}

#[test]
fn births_sites_and_generations_are_bounded() {
    let mut goroutines = Goroutines::default();
    for child in 2..2 * BORN_MAX as u64 {
        let site = child % 500;
        goroutines.bear(spawn(child, child - 1, site), ExchangeId(1));
        goroutines.acts(goroutine(child));
    }
    assert_eq!(goroutines.born.len(), BORN_MAX);
    // Followed to its end, the way up would take longer than the answer is worth.
    assert_eq!(goroutines.standing(goroutine(BORN_MAX as u64), ExchangeId(1)), Standing::Unknown);
    for site in 0..2 * SITES_MAX as u64 {
        goroutines.bear(spawn(1 << 30 | site, 1, 1_000 + site), ExchangeId(2));
    }
    assert!(goroutines.sites.len() <= SITES_MAX);
}

#[test]
fn all_sites_on_the_way_up_count() {
    let mut goroutines = Goroutines::default();
    for family in 0..u64::from(PROOFS) {
        let (request, outer, inner) = (ExchangeId(family), 100 + 2 * family, 101 + 2 * family);
        goroutines.bear(spawn(outer, 1, 7), request);
        goroutines.bear(spawn(inner, outer, 8), request);
        let standing = goroutines.standing(goroutine(inner), request);
        let expected =
            if family < u64::from(PROOFS_THAT_STOOD) { Standing::Unknown } else { Standing::Stood };
        assert_eq!(standing, expected, "{family}");
        goroutines.stood(goroutine(inner));
        goroutines.stood(goroutine(inner));
    }
    assert_eq!(goroutines.standing(goroutine(101), ExchangeId(0)), Standing::Proven);
    assert_eq!(goroutines.standing(goroutine(101), ExchangeId(1)), Standing::Unknown, "of another request");
    goroutines.outlived(goroutine(100));
    assert_eq!(goroutines.standing(goroutine(101), ExchangeId(0)), Standing::Withdrawn);
}
