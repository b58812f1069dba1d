//! Conversations in, exchanges out: the room read as a specification.
use super::*;
use expect_test::{Expect, expect};

mod wire;

use wire::{Conversation, Side};

/// What comes of a conversation, seen by the server.
#[track_caller]
fn check(text: &str, expected: Expect) {
    let conversation = Conversation::parse(text);
    expected.assert_eq(&wire::exchanges(&conversation.events(Side::Server)));
}

#[test]
fn requests_on_a_connection_that_is_kept_open_are_exchanges_of_their_own() {
    check(
        "> GET /a HTTP/1.1\n> Host: shop\n> \n~ 5ms\n< HTTP/1.1 200 OK\n< Content-Length: 2\n< \n< hi\\\n~ 1ms\n\
         > GET /b HTTP/1.1\n> Host: shop\n> \n~ 2ms\n< HTTP/1.1 404 Not Found\n< Content-Length: 0\n< \n",
        expect![[r#"
            Server GET /a host=shop -> 200 Complete in 5ms first 5ms 0/2 bytes
            Server GET /b host=shop -> 404 Complete in 2ms first 2ms 0/0 bytes
        "#]],
    );
}
