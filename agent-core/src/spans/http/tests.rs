//! HTTP exchanges as spans: one picture per kind of exchange.
use super::*;
use crate::{
    event::{Actor, ConnId, Endpoints, Nanos, ProcessId},
    exchange::{Call, ExchangeId},
};
use bytes::Bytes;
use expect_test::{Expect, expect};
use std::fmt::Write;

fn field(name: &str, value: &str) -> Field {
    (name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
}

fn request(method: &str, target: &str) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        version: "1.1",
        scheme: None,
        host: Some("shop.example:8080".to_owned()),
        fields: vec![field("user-agent", "curl/8")],
        content_length: None,
    }
}

fn answered(status: u16, end: End) -> Ended {
    Ended {
        id: ExchangeId(1),
        at: Nanos(9),
        request_end: None,
        answer: (status > 0).then(|| Answer::Http(HttpResponse { status, ..HttpResponse::default() })),
        request_body_bytes: None,
        response_body_bytes: Some(12),
        end,
        incomplete: Incomplete::default(),
    }
}

fn described(role: Role, request: HttpRequest, ended: &Ended, rules: &Rules) -> Description {
    let process = ProcessId { pid: 1, start_ticks: 1 };
    let (local, remote) = match role {
        Role::Server => ("10.0.0.2:8080", "10.0.0.1:40000"),
        Role::Client => ("10.0.0.1:40000", "10.0.0.2:8080"),
    };
    let opened = Opened {
        id: ExchangeId(1),
        role,
        protocol: "http",
        conn: ConnId(1),
        stream: None,
        endpoints: Endpoints { local: local.parse().unwrap(), remote: remote.parse().unwrap() },
        seq: 0,
        fingerprint: 0,
        at: Nanos(1),
        head_at: Nanos(1),
        actor: Actor::thread(process, 1),
        call: Call::Http(request),
    };
    crate::spans::describe(&opened, ended, rules)
}

fn check(role: Role, request: HttpRequest, ended: &Ended, expect: Expect) {
    check_with(&Rules::default(), role, request, ended, expect);
}

fn check_with(rules: &Rules, role: Role, request: HttpRequest, ended: &Ended, expect: Expect) {
    let description = described(role, request, ended, rules);
    let mut text = format!("{} {:?}\n", description.name, description.status);
    for (key, value) in description.attributes {
        match value {
            Value::Str(value) => writeln!(text, "{key}: {value}"),
            Value::Int(value) => writeln!(text, "{key}: {value}"),
            value => writeln!(text, "{key}: {value:?}"),
        }
        .unwrap();
    }
    expect.assert_eq(&text);
}

fn error_of(role: Role, status: u16, end: End) -> Option<String> {
    let description = described(role, request("GET", "/"), &answered(status, end), &Rules::default());
    let error = description.attributes.into_iter().find_map(|(key, value)| match value {
        Value::Str(text) if key == "error.type" => Some(text.into_owned()),
        _ => None,
    });
    assert_eq!(
        error.is_some(),
        description.status != Status::Unset,
        "an error type and an error status go together"
    );
    error
}

#[test]
fn a_server_span_says_what_was_asked_for_and_by_whom() {
    check(
        Role::Server,
        request("GET", "/cart/7?user=anna&page=2"),
        &answered(200, End::Complete),
        expect![[r#"
        GET Unset
        http.request.method: GET
        http.response.status_code: 200
        url.path: /cart/7
        url.query: user=REDACTED&page=REDACTED
        url.scheme: http
        server.address: shop.example
        server.port: 8080
        client.address: 10.0.0.1
        user_agent.original: curl/8
        network.peer.address: 10.0.0.1
        network.peer.port: 40000
        network.protocol.name: http
        network.protocol.version: 1.1
        http.response.body.size: 12
    "#]],
    );
}

#[test]
fn a_client_span_says_whom_it_asked() {
    check(
        Role::Client,
        request("POST", "/pay?token=t0psecret"),
        &answered(402, End::Complete),
        expect![[r#"
        POST Error("")
        http.request.method: POST
        http.response.status_code: 402
        error.type: 402
        server.address: shop.example
        server.port: 8080
        url.full: http://shop.example:8080/pay?token=REDACTED
        user_agent.original: curl/8
        network.peer.address: 10.0.0.2
        network.peer.port: 8080
        network.protocol.name: http
        network.protocol.version: 1.1
        http.response.body.size: 12
    "#]],
    );
}

#[test]
fn a_server_behind_proxies_is_named_as_its_client_named_it() {
    let mut behind = request("GET", "/");
    behind.fields.push(field("forwarded", "for=\"[2001:db8::7]:4711\";host=shop.example;proto=https"));
    check(
        Role::Server,
        behind,
        &answered(204, End::Complete),
        expect![[r#"
        GET Unset
        http.request.method: GET
        http.response.status_code: 204
        url.path: /
        url.scheme: https
        server.address: shop.example
        server.port: 443
        client.address: 2001:db8::7
        user_agent.original: curl/8
        network.peer.address: 10.0.0.1
        network.peer.port: 40000
        network.protocol.name: http
        network.protocol.version: 1.1
        http.response.body.size: 12
    "#]],
    );
}

#[test]
fn without_a_host_the_socket_names_the_server() {
    let mut bare = request("GET", "/");
    (bare.host, bare.version, bare.fields) = (None, "1.0", Vec::new());
    check(
        Role::Client,
        bare,
        &answered(200, End::Complete),
        expect![[r#"
        GET Unset
        http.request.method: GET
        http.response.status_code: 200
        server.address: 10.0.0.2
        server.port: 8080
        url.full: http://10.0.0.2:8080/
        network.peer.address: 10.0.0.2
        network.peer.port: 8080
        network.protocol.name: http
        network.protocol.version: 1.0
        http.response.body.size: 12
    "#]],
    );
}

#[test]
fn an_absolute_target_beats_the_host_and_loses_its_user_info() {
    check(
        Role::Client,
        request("GET", "http://anna:pw@other.example/a?b=c"),
        &answered(200, End::Complete),
        expect![[r#"
            GET Unset
            http.request.method: GET
            http.response.status_code: 200
            server.address: other.example
            server.port: 80
            url.full: http://REDACTED:REDACTED@other.example/a?b=REDACTED
            user_agent.original: curl/8
            network.peer.address: 10.0.0.2
            network.peer.port: 8080
            network.protocol.name: http
            network.protocol.version: 1.1
            http.response.body.size: 12
        "#]],
    );
}

#[test]
fn an_unknown_method_does_not_get_into_the_name() {
    check(
        Role::Server,
        request("get", "/"),
        &answered(501, End::Complete),
        expect![[r#"
        HTTP Error("")
        http.request.method: _OTHER
        http.request.method_original: get
        http.response.status_code: 501
        error.type: 501
        url.path: /
        url.scheme: http
        server.address: shop.example
        server.port: 8080
        client.address: 10.0.0.1
        user_agent.original: curl/8
        network.peer.address: 10.0.0.1
        network.peer.port: 40000
        network.protocol.name: http
        network.protocol.version: 1.1
        http.response.body.size: 12
    "#]],
    );
}

#[test]
fn a_tunnel_has_an_authority_and_no_path() {
    check(
        Role::Server,
        request("CONNECT", "db.example:5432"),
        &answered(200, End::Upgraded),
        expect![[r#"
        CONNECT Unset
        http.request.method: CONNECT
        http.response.status_code: 200
        url.scheme: http
        server.address: db.example
        server.port: 5432
        client.address: 10.0.0.1
        user_agent.original: curl/8
        network.peer.address: 10.0.0.1
        network.peer.port: 40000
        network.protocol.name: http
        network.protocol.version: 1.1
        http.response.body.size: 12
    "#]],
    );
}

#[test]
fn fields_on_the_allow_list_are_captured_and_no_others() {
    let rules = Rules {
        request_fields: vec!["x-tenant".to_owned()],
        response_fields: vec!["x-cache".to_owned()],
        ..Rules::default()
    };
    let mut asked = request("GET", "/");
    asked.fields.extend([field("x-tenant", "a"), field("authorization", "secret"), field("x-tenant", "b")]);
    let mut ended = answered(200, End::Complete);
    let Some(Answer::Http(response)) = &mut ended.answer else { panic!("no response") };
    response.fields = vec![field("x-cache", "hit"), field("set-cookie", "secret")];
    check_with(
        &rules,
        Role::Server,
        asked,
        &ended,
        expect![[r#"
        GET Unset
        http.request.method: GET
        http.response.status_code: 200
        url.path: /
        url.scheme: http
        server.address: shop.example
        server.port: 8080
        client.address: 10.0.0.1
        user_agent.original: curl/8
        network.peer.address: 10.0.0.1
        network.peer.port: 40000
        network.protocol.name: http
        network.protocol.version: 1.1
        http.response.body.size: 12
        http.request.header.x-tenant: Strs(["a", "b"])
        http.response.header.x-cache: Strs(["hit"])
    "#]],
    );
}

#[test]
fn what_was_not_seen_is_said() {
    let mut ended = answered(200, End::Evicted);
    ended.incomplete = Incomplete { request_head: true, response_end: true, ..Incomplete::default() };
    check(
        Role::Server,
        request("GET", "/"),
        &ended,
        expect![[r#"
        GET Unset
        http.request.method: GET
        http.response.status_code: 200
        url.path: /
        url.scheme: http
        server.address: shop.example
        server.port: 8080
        client.address: 10.0.0.1
        user_agent.original: curl/8
        network.peer.address: 10.0.0.1
        network.peer.port: 40000
        network.protocol.name: http
        network.protocol.version: 1.1
        http.response.body.size: 12
        wirespan.incomplete: Strs(["request_head", "response_end", "evicted"])
    "#]],
    );
}

#[test]
fn a_status_is_an_error_for_the_side_that_is_to_blame() {
    assert_eq!(error_of(Role::Server, 404, End::Complete), None);
    assert_eq!(error_of(Role::Client, 404, End::Complete).as_deref(), Some("404"));
    assert_eq!(error_of(Role::Server, 503, End::Complete).as_deref(), Some("503"));
    assert_eq!(error_of(Role::Client, 302, End::Complete), None);
}

#[test]
fn an_exchange_cut_short_says_by_what() {
    assert_eq!(error_of(Role::Server, 0, End::ClientGone).as_deref(), Some("client_disconnected"));
    assert_eq!(error_of(Role::Server, 200, End::ClientGone).as_deref(), Some("client_disconnected"));
    assert_eq!(error_of(Role::Server, 500, End::ClientGone).as_deref(), Some("500"));
    assert_eq!(error_of(Role::Client, 0, End::ServerGone).as_deref(), Some("server_disconnected"));
    assert_eq!(error_of(Role::Client, 0, End::TimedOut).as_deref(), Some("timeout"));
    assert_eq!(error_of(Role::Client, 0, End::ProcessExited).as_deref(), Some("process_exited"));
    assert_eq!(error_of(Role::Client, 101, End::Upgraded), None);
    assert_eq!(error_of(Role::Server, 0, End::Evicted), None);
}

#[test]
fn long_texts_are_cut_between_characters() {
    let mut long = request("GET", "/");
    long.fields = vec![field("user-agent", &"é".repeat(2_000))];
    let description = described(Role::Server, long, &answered(200, End::Complete), &Rules::default());
    let agent = description.attributes.into_iter().find(|(key, _)| key == "user_agent.original");
    assert_eq!(agent.map(|(_, value)| value), Some(Value::Str("é".repeat(512).into())));
}

#[test]
fn addresses_read_as_everywhere_else() {
    for text in ["0.0.0.0", "10.200.3.40", "255.99.100.9", "127.0.0.1", "2001:db8::7"] {
        assert_eq!(ip_text(text.parse().unwrap()), text);
    }
}
