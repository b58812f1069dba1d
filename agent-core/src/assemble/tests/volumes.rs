//! Shared connections in volumes: records dropped at random, and nothing wrong is told.
//!
//! `cargo xtask fuzz streams --runs 100000` asks for more streams than a test has time for.
use super::{
    kernel::play_through,
    multiplex::{SIDES, connection, true_stories},
    wire::Owned,
};
use crate::{
    exchange::{Answer, Call},
    protocols::http2::tests::differential::{Dice, runs},
};

#[test]
fn streams_volume_with_records_dropped_at_random() {
    let wanted = runs(1_000);
    let (mut sent, mut told, mut named, mut answered, mut records, mut lost) = (0_u64, 0, 0, 0, 0_u64, 0_u64);
    let mut dice = Dice(7);
    for seed in 1.. {
        if sent >= wanted {
            break;
        }
        let (conversation, truth) = connection(seed, 80, 1 + dice.roll(40), seed % 2 == 0);
        // From one in a hundred to one in three.
        let one_in = 3 + dice.roll(97);
        for side in SIDES {
            let delivers = |event: &Owned| {
                records += 1;
                let delivers = dice.roll(one_in) > 0 || matches!(event, Owned::Other(_));
                lost += u64::from(!delivers);
                delivers
            };
            let out = play_through(&conversation, side, delivers).0;
            sent += truth.len() as u64;
            // Every name and value that is told is compared with the stream's own.
            for story in true_stories(&truth, &out).into_values() {
                let Call::Http(request) = story.opened.unwrap().call;
                told += 1;
                named += u64::from(!request.target.is_empty());
                let answer = story.ended.and_then(|ended| ended.answer);
                answered += u64::from(answer.is_some_and(|Answer::Http(response)| response.status > 0));
            }
        }
    }
    println!(
        "{sent} streams, {lost} of {records} records lost: {told} told, {named} with their path, {answered} with a status, none wrong"
    );
    assert!(named > told / 4 && told > sent / 2);
}
