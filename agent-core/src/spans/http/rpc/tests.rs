//! gRPC calls as spans, and requests of which a part was not seen.
use super::*;
use crate::{
    event::{Actor, ConnId, Endpoints, Nanos, ProcessId},
    exchange::{Answer, Call, End, ExchangeId, HttpResponse, Incomplete},
};
use bytes::Bytes;

fn described(role: Role, request: HttpRequest, answer: Option<Answer>, end: End, ms: u64) -> Description {
    described_of(role, request, answer, end, ms, Incomplete::default())
}

fn described_of(
    role: Role,
    request: HttpRequest,
    answer: Option<Answer>,
    end: End,
    ms: u64,
    incomplete: Incomplete,
) -> Description {
    let opened = Opened {
        id: ExchangeId(1),
        role,
        protocol: "http",
        conn: ConnId(1),
        stream: Some(1),
        endpoints: Endpoints {
            local: "10.0.0.2:8080".parse().unwrap(),
            remote: "10.0.0.1:40000".parse().unwrap(),
        },
        seq: 0,
        fingerprint: 0,
        at: Nanos(1),
        head_at: Nanos(1),
        actor: Actor::thread(ProcessId { pid: 1, start_ticks: 1 }, 1),
        call: Call::Http(request),
    };
    let ended = Ended {
        id: ExchangeId(1),
        at: Nanos(1 + ms * 1_000_000),
        request_end: None,
        answer,
        request_body_bytes: None,
        response_body_bytes: None,
        end,
        incomplete,
    };
    crate::spans::describe(&opened, &ended, &Rules::default())
}

/// A gRPC call: its timeout, what came in the response's fields, how and when it ended.
fn call(role: Role, fields: &[(&str, &str)], timeout: &str, end: End, ms: u64) -> Description {
    let field = |(name, value): &(&str, &str)| ((*name).to_owned(), Bytes::from((*value).to_owned()));
    let asked = HttpRequest {
        method: "POST".to_owned(),
        target: "/shop.v1.Cart/Add".to_owned(),
        version: "2",
        host: Some("shop.example".to_owned()),
        fields: [("content-type", "application/grpc"), ("grpc-timeout", timeout)].iter().map(field).collect(),
        ..HttpRequest::default()
    };
    let answer =
        HttpResponse { status: 200, fields: fields.iter().map(field).collect(), content_length: None };
    described(role, asked, (!fields.is_empty()).then_some(Answer::Http(answer)), end, ms)
}

fn value(description: &Description, key: &str) -> Option<String> {
    let (_, value) = description.attributes.iter().find(|(name, _)| name == key)?;
    Some(match value {
        Value::Int(number) => number.to_string(),
        Value::Str(text) => text.to_string(),
        other => format!("{other:?}"),
    })
}

#[test]
fn a_grpc_call_is_named_by_its_service_and_ends_with_its_own_status() {
    let made = call(Role::Client, &[("grpc-status", "0")], "1S", End::Complete, 3);
    assert_eq!(made.name, "shop.v1.Cart/Add");
    assert_eq!(value(&made, "rpc.system").as_deref(), Some("grpc"));
    assert_eq!(value(&made, "rpc.service").as_deref(), Some("shop.v1.Cart"));
    assert_eq!(value(&made, "rpc.method").as_deref(), Some("Add"));
    assert_eq!(value(&made, "rpc.grpc.status_code").as_deref(), Some("0"));
    assert_eq!(
        (made.status, value(&call(Role::Client, &[], "1S", End::Lost, 3), "rpc.grpc.status_code")),
        (Status::Unset, None)
    );
}

#[test]
fn the_status_of_a_grpc_call_is_that_of_its_trailers_else_what_its_end_means() {
    for (role, fields, timeout, end, ms, status, error) in [
        (Role::Client, &[("grpc-status", "5")][..], "1S", End::Complete, 3, Some("5"), Some("NOT_FOUND")),
        (Role::Server, &[("grpc-status", "5")], "1S", End::Complete, 3, Some("5"), None),
        (Role::Server, &[("grpc-status", "13")], "1S", End::Complete, 3, Some("13"), Some("INTERNAL")),
        (
            Role::Client,
            &[("content-type", "application/grpc")],
            "1S",
            End::Reset(8),
            30,
            Some("1"),
            Some("CANCELLED"),
        ),
        (Role::Client, &[], "50m", End::Reset(8), 50, Some("4"), Some("DEADLINE_EXCEEDED")),
        // The request may have been sent late, or read late.
        (Role::Client, &[], "150m", End::Reset(8), 120, None, Some("CANCEL")),
        (Role::Server, &[], "150m", End::Reset(8), 120, None, Some("CANCEL")),
        (Role::Server, &[], "150m", End::Reset(8), 90, Some("1"), None),
        (Role::Client, &[], "50m", End::Reset(7), 1, Some("14"), Some("UNAVAILABLE")),
        (Role::Client, &[], "50m", End::Reset(2), 1, Some("13"), Some("INTERNAL")),
        (Role::Client, &[], "50m", End::ServerGone, 1, None, Some("server_disconnected")),
        (Role::Client, &[("content-type", "text/html")], "50m", End::Complete, 1, Some("2"), Some("UNKNOWN")),
    ] {
        let made = call(role, fields, timeout, end, ms);
        assert_eq!(value(&made, "rpc.grpc.status_code").as_deref(), status, "{fields:?} {end:?}");
        assert_eq!(value(&made, "error.type").as_deref(), error, "{fields:?} {end:?}");
    }
}

#[test]
fn a_status_that_may_have_been_told_unseen_is_absent() {
    let asked = |fields: &[(&str, &'static str)]| HttpRequest {
        version: "2",
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from(*value))).collect(),
        ..HttpRequest::default()
    };
    let answer = Answer::Http(HttpResponse { status: 200, fields: Vec::new(), content_length: None });
    let call = asked(&[("content-type", "application/grpc")]);
    let cut = Incomplete { request_head: true, response_head: true, ..Incomplete::default() };
    for (end, whole) in [(End::Complete, "2"), (End::Reset(8), "1")] {
        let made = described(Role::Client, call.clone(), Some(answer.clone()), end, 1);
        assert_eq!(value(&made, "rpc.grpc.status_code").as_deref(), Some(whole));
        let made = described_of(Role::Client, call.clone(), Some(answer.clone()), end, 1, cut);
        assert_eq!(value(&made, "rpc.grpc.status_code"), None);
    }
}

#[test]
fn what_was_not_seen_of_a_request_is_absent() {
    let asked = HttpRequest { version: "2", ..HttpRequest::default() };
    for role in [Role::Client, Role::Server] {
        let made = described(role, asked.clone(), None, End::Reset(8), 1);
        assert_eq!(made.name, "HTTP");
        for key in ["http.request.method", "url.path", "url.full", "http.response.status_code"] {
            assert_eq!(value(&made, key), None, "{key}");
        }
        assert_eq!(value(&made, "error.type").as_deref(), Some("CANCEL"));
    }
}

/// A call of another form: its path, the fields of both sides, the HTTP status.
fn other(
    role: Role,
    target: &str,
    asked: &[(&str, &str)],
    answered: &[(&str, &str)],
    status: u16,
) -> Description {
    let field = |(name, value): &(&str, &str)| {
        let kept = grpc::kept(name.as_bytes(), value.as_bytes())?;
        Some((kept.to_owned(), Bytes::from((*value).to_owned())))
    };
    let request = HttpRequest {
        method: "POST".to_owned(),
        target: target.to_owned(),
        version: "1.1",
        fields: asked.iter().filter_map(field).collect(),
        ..HttpRequest::default()
    };
    let fields = answered.iter().filter_map(field).collect();
    let answer = Answer::Http(HttpResponse { status, fields, content_length: None });
    described(role, request, Some(answer), End::Complete, 3)
}

#[test]
fn grpc_web_and_connect_are_calls_whose_status_is_told_only_where_it_was_seen() {
    const WEB: (&str, &str) = ("Content-Type", "application/grpc-web+proto");
    const TEXT: (&str, &str) = ("Content-Type", "application/grpc-web-text");
    const STREAM: (&str, &str) = ("content-type", "application/connect+json");
    const PROTO: (&str, &str) = ("content-type", "application/proto");
    const CONNECT: (&str, &str) = ("Connect-Protocol-Version", "1");
    for (target, asked, answered, http, system, status, error) in [
        ("/t.v1.Calls/Echo", &[WEB][..], &[WEB][..], 200, "grpc", None, None),
        ("/t.v1.Calls/Echo", &[TEXT], &[TEXT], 200, "grpc", None, None),
        ("/t.v1.Calls/Echo", &[WEB], &[WEB, ("grpc-status", "5")], 200, "grpc", Some("5"), Some("NOT_FOUND")),
        ("/t.v1.Calls/Echo", &[WEB], &[], 503, "grpc", None, Some("503")),
        ("/api/t.v1.Calls/Echo", &[STREAM], &[STREAM], 200, "connect_rpc", None, None),
        ("/t.v1.Calls/Echo", &[PROTO, CONNECT], &[PROTO], 200, "connect_rpc", None, None),
        ("/t.v1.Calls/Echo", &[PROTO, CONNECT], &[], 404, "connect_rpc", None, Some("404")),
        (
            "/t.v1.Calls/Echo?encoding=json&message=%7B%7D&connect=v1",
            &[],
            &[],
            200,
            "connect_rpc",
            None,
            None,
        ),
    ] {
        let made = other(Role::Client, target, asked, answered, http);
        assert_eq!(made.name, "t.v1.Calls/Echo", "{asked:?}");
        assert_eq!(value(&made, "rpc.system").as_deref(), Some(system), "{asked:?}");
        assert_eq!(value(&made, "rpc.service").as_deref(), Some("t.v1.Calls"), "{asked:?}");
        assert_eq!(value(&made, "rpc.method").as_deref(), Some("Echo"), "{asked:?}");
        assert_eq!(value(&made, "rpc.grpc.status_code").as_deref(), status, "{asked:?}");
        assert_eq!(value(&made, "http.response.status_code"), Some(http.to_string()), "{asked:?}");
        assert_eq!(value(&made, "error.type").as_deref(), error, "{asked:?}");
    }
    // What a caller did wrong is no failure of the server.
    let made = other(Role::Server, "/t.v1.Calls/Echo", &[PROTO, CONNECT], &[], 404);
    assert_eq!((value(&made, "error.type"), made.status), (None, Status::Unset));
}

#[test]
fn what_only_looks_like_a_call_is_none() {
    for asked in [
        ("content-type", "application/grpcish"),
        ("content-type", "application/grpc-websocket"),
        ("content-type", "application/connection"),
        ("content-type", "application/proto"),
        ("connect-protocol-version", "2"),
    ] {
        let made = other(Role::Server, "/t.v1.Calls/Echo?connect=v2", &[asked], &[], 200);
        assert_eq!((made.name.as_ref(), value(&made, "rpc.system")), ("POST", None), "{asked:?}");
    }
}
