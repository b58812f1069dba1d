//! Heads and chunks, byte by byte.
use super::{
    super::{Answer, Asked, Call, KeepList, Message},
    *,
};

const PLAIN: Asked = Asked(0);

fn read(part: Part, bytes: &[u8], asked: Asked) -> Progress {
    let keep = KeepList::new(&["x-a".into()]);
    Http1.open().read(part, bytes, &Reading { keep: &keep, asked })
}

fn body_of(part: Part, head: &str, asked: Asked) -> Body {
    match read(part, head.replace('\n', "\r\n").as_bytes(), asked) {
        Progress::Got(Frame::Head(head), _) => head.body,
        other => panic!("{head}: {other:?}"),
    }
}

#[test]
fn a_body_is_framed_as_rfc_9112_section_6_says() {
    let request = |fields: &str| body_of(Part::Request, &format!("POST / HTTP/1.1\n{fields}\n"), PLAIN);
    assert_eq!(request(""), Body::Empty);
    assert_eq!(request("Content-Length: 0\n"), Body::Empty);
    assert_eq!(request("Content-Length: 7\n"), Body::Length(7));
    assert_eq!(request("Content-Length: 7, 7\n"), Body::Length(7));
    assert_eq!(request("Content-Length: 7\nContent-Length: 8\n"), Body::Unknown);
    assert_eq!(request("Content-Length: -7\n"), Body::Unknown);
    assert_eq!(request("Content-Length: +7\n"), Body::Unknown);
    assert_eq!(request("Content-Length:\n"), Body::Unknown);
    assert_eq!(request("Content-Length: 99999999999999999999\n"), Body::Unknown);
    assert_eq!(request("Content-Length : 7\n"), Body::Unknown);
    assert_eq!(request("Content-Length: 7\n 8\n"), Body::Unknown);
    assert_eq!(request("Transfer-Encoding: chunked\n"), Body::Framed);
    assert_eq!(request("Transfer-Encoding: gzip\nTransfer-Encoding: chunked\n"), Body::Framed);
    assert_eq!(request("Transfer-Encoding: chunked\nContent-Length: 7\n"), Body::Framed);
    assert_eq!(request("Transfer-Encoding: chunked, gzip\n"), Body::Unknown);
}

#[test]
fn a_response_is_framed_by_its_status_and_by_what_was_asked() {
    let response = |start: &str, asked| body_of(Part::Response, &format!("HTTP/1.1 {start}\n\n"), asked);
    assert_eq!(response("200 OK", PLAIN), Body::UntilClose);
    assert_eq!(response("200 OK\nContent-Length: 9", PLAIN), Body::Length(9));
    assert_eq!(response("200 OK\nContent-Length: 9", Asked(asked::HEAD)), Body::Empty);
    assert_eq!(response("204 No Content\nContent-Length: 9", PLAIN), Body::Empty);
    assert_eq!(response("304 Not Modified\nTransfer-Encoding: chunked", PLAIN), Body::Empty);
    assert_eq!(response("200 OK\nTransfer-Encoding: gzip", PLAIN), Body::UntilClose);
    assert_eq!(response("200 OK\nContent-Length: 1\nContent-Length: 2", PLAIN), Body::Unknown);
    assert_eq!(response("101 Switching Protocols", PLAIN), Body::Switch);
    assert_eq!(response("200 OK", Asked(asked::CONNECT)), Body::Switch);
    assert_eq!(response("403 No\nContent-Length: 9", Asked(asked::CONNECT)), Body::Length(9));
    assert_eq!(response("100 Continue\nContent-Length: 9", PLAIN), Body::Empty);
}

#[test]
fn a_content_length_that_does_not_count_is_not_told() {
    let length = |head: &[u8]| match read(Part::Response, head, PLAIN) {
        Progress::Got(Frame::Head(Head { message: Message::Response(Answer::Http(it)), .. }), _) => {
            it.content_length
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), Some(9));
    assert_eq!(length(b"HTTP/1.1 304 OK\r\nContent-Length: 9\r\n\r\n"), Some(9));
    assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"), None);
    assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 9, 8\r\n\r\n"), None);
}

#[test]
fn a_head_is_needed_whole_and_read_no_further() {
    let head = b"\r\n\nGET /a HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n\r\n";
    let mut bytes = head.to_vec();
    bytes.extend(b"GET /b HTTP/1.1");
    for cut in 0..head.len() {
        assert!(matches!(read(Part::Request, &bytes[..cut], PLAIN), Progress::Need), "cut at {cut}");
    }
    assert!(matches!(read(Part::Request, &bytes, PLAIN), Progress::Got(_, used) if used == head.len()));
}

#[test]
fn a_parser_that_is_fed_byte_by_byte_ends_a_head_at_the_same_byte() {
    for head in ["GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\nA: b\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n"]
    {
        let keep = KeepList::new(&[]);
        let reading = Reading { keep: &keep, asked: PLAIN };
        let mut parser = Http1.open();
        for cut in 1..head.len() {
            let progress = parser.read(Part::Request, &head.as_bytes()[..cut], &reading);
            assert!(matches!(progress, Progress::Need), "{head:?} cut at {cut}");
        }
        assert!(
            matches!(parser.read(Part::Request, head.as_bytes(), &reading), Progress::Got(_, used) if used == head.len())
        );
    }
}

#[test]
fn what_cannot_become_a_head_is_refused_at_once() {
    for bytes in ["G\x00T / HTTP/1.1", "GET /\x01", "GET / HTTP/2.0\r\n", "(GET / HTTP/1.1"] {
        assert!(matches!(read(Part::Request, bytes.as_bytes(), PLAIN), Progress::Bad), "{bytes:?}");
    }
    for bytes in [
        "HTTP/1.1 2x0 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 099 OK\r\n",
        "GET / HTTP/1.1\r\n",
        "HTTP/2 200\r\n",
    ] {
        assert!(matches!(read(Part::Response, bytes.as_bytes(), PLAIN), Progress::Bad), "{bytes:?}");
    }
}

#[test]
fn the_host_is_the_targets_where_the_target_has_one() {
    let host = |head: &str| match read(Part::Request, head.as_bytes(), PLAIN) {
        Progress::Got(Frame::Head(Head { message: Message::Request(Call::Http(it), _), .. }), _) => it.host,
        other => panic!("{other:?}"),
    };
    assert_eq!(host("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").as_deref(), Some("a"));
    assert_eq!(host("GET http://u:p@t:80/x HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("t:80"));
    assert_eq!(host("GET http://[::1]:80?x HTTP/1.1\r\n\r\n").as_deref(), Some("[::1]:80"));
    assert_eq!(host("CONNECT t:443 HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("t:443"));
    assert_eq!(host("GET x?y=http://t/ HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("a"));
    assert_eq!(host("GET / HTTP/1.0\r\n\r\n"), None);
}

/// The frames of a chunked body.
fn frames(mut bytes: &[u8]) -> Result<Vec<u64>, &'static str> {
    let mut chunks = Chunks::START;
    let mut sizes = Vec::new();
    loop {
        match chunks.read(bytes) {
            Progress::Got(Frame::Payload(size), used) => {
                sizes.push(size);
                let Some(rest) = bytes.get(used + usize::try_from(size).unwrap()..) else {
                    return Err("short");
                };
                bytes = rest;
            }
            Progress::Got(Frame::End, _) => return Ok(sizes),
            Progress::Got(Frame::Head(_), _) => panic!("no head in a body"),
            Progress::Need => return Err("short"),
            Progress::Bad => return Err("bad"),
        }
    }
}

#[test]
fn chunks_are_read_with_extensions_padding_and_trailers() {
    assert_eq!(frames(b"5\r\nhello\r\n0\r\n\r\n"), Ok(vec![5]));
    assert_eq!(frames(b"5\nhello\n0\n\n"), Ok(vec![5]));
    assert_eq!(frames(b"005;a=b;c=\"d\"\r\nhello\r\n000;x\r\nT: 1\r\nU: 2\r\n\r\n"), Ok(vec![5]));
    assert_eq!(frames(b"A  \r\n0123456789\r\n0\r\n\r\n"), Ok(vec![10]));
}

#[test]
fn what_is_no_chunk_is_refused() {
    for bytes in [
        "\r\n",
        "x\r\n",
        "5 5\r\nhello\r\n",
        "5\r\nhelloX",
        "-5\r\n",
        "0x5\r\n",
        "1234567890abcdef0\r\n",
        "5\r\nhello5\r\n",
        "G",
    ] {
        assert_eq!(frames(bytes.as_bytes()), Err("bad"), "{bytes:?}");
    }
    assert_eq!(frames(b"5"), Err("short"));
    assert_eq!(frames(b"5\r\nhello\r"), Err("short"));
    assert_eq!(frames(b"0\r\nT: 1\r\n"), Err("short"));
}
