//! The conversations of `tests/fixtures/wire`: as they are, cut at every byte, and split at every boundary.
use super::{
    kernel::{events, play, replay},
    wire::{Conversation, Side, commands, exchanges, stories},
};
use crate::exchange::{Answer, Call};
use expect_test::expect_file;
use std::{collections::HashSet, fs, path::PathBuf};

const SIDES: [Side; 2] = [Side::Server, Side::Client];

/// Every conversation of a folder, by name.
fn conversations() -> Vec<(PathBuf, Conversation)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wire/http1");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
        .into_iter()
        .map(|file| (file.clone(), Conversation::parse(&fs::read_to_string(file).unwrap())))
        .collect()
}

#[test]
fn every_conversation_gives_the_exchanges_written_beside_it() {
    for (file, conversation) in conversations() {
        let mut text = String::new();
        for side in SIDES {
            let (out, assembler) = play(&conversation, side);
            text.push_str(&exchanges(&out.facts));
            text.push_str(&commands(&out.commands));
            for (counter, value) in assembler.counts().rows() {
                if value > 0 && matches!(counter.class, "loss" | "skip") {
                    text.push_str(&format!("{}: {value} {}\n", counter.name, counter.unit));
                }
            }
            if side == Side::Server {
                text.push('\n');
            }
        }
        expect_file![file.with_extension("exchanges")].assert_eq(&text);
    }
}

#[test]
fn where_calls_are_split_changes_nothing() {
    for (file, conversation) in conversations() {
        let longest = conversation.longest_call();
        // How soon pairing is believed again after a loss depends on how many records there are.
        if conversation.bulk() > 1 << 20 || conversation.has_loss() {
            continue;
        }
        let stride = if longest > 2_000 { 97 } else { 1 };
        for side in SIDES {
            let whole = exchanges(&play(&conversation, side).0.facts);
            for at in (1..longest).step_by(stride) {
                let split = exchanges(&play(&conversation.split(at), side).0.facts);
                assert_eq!(whole, split, "{} split at {at}, seen by the {side:?}", file.display());
            }
        }
    }
}

#[test]
fn a_conversation_cut_anywhere_gives_no_exchange_that_was_not_there() {
    for (file, conversation) in conversations() {
        for side in SIDES {
            let truth: HashSet<(String, String, Option<u16>)> = seen(&conversation, side).collect();
            let bytes = conversation.bytes();
            let stride = if bytes > 4_000 { 61 } else { 1 };
            for at in (0..bytes).step_by(stride) {
                for (method, target, status) in seen(&conversation.cut(at), side) {
                    let is_true = truth.iter().any(|(true_method, true_target, true_status)| {
                        (&method, &target) == (true_method, true_target)
                            && (status.is_none() || status == *true_status || true_status.is_none())
                    });
                    assert!(is_true, "{} cut at {at}: {method} {target} {status:?}", file.display());
                }
            }
        }
    }
}

/// What is claimed of a conversation: method, target, status.
fn seen(
    conversation: &Conversation,
    side: Side,
) -> impl Iterator<Item = (String, String, Option<u16>)> + use<> {
    stories(&replay(&events(conversation, side)).0.facts).into_iter().map(|story| {
        let Call::Http(request) = story.opened.unwrap().call;
        let status = story.ended.and_then(|ended| ended.answer).map(|Answer::Http(response)| response.status);
        (request.method, request.target, status)
    })
}
