//! HTTP exchanges in the words of the stable HTTP semantic conventions.
//!
//! Shape: an exchange's facts in, name, attributes and status out, for client and server alike. Bodies' sizes and captured fields
//! are opt-in in the conventions and given when known.
//! Source: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/> (1.4x); keys are constants of the conventions' crate.
//! Not here: routes (a later room puts `{method} {http.route}` together), parents (see `correlate`), what may leave (see `redact`).
mod rpc;
#[cfg(test)]
mod tests;

use super::{Attribute, Description, Rules, Status, Value, authority, keys};
use crate::{
    exchange::{Answer, End, Ended, Field, HttpRequest, HttpResponse, Incomplete, Opened, Role},
    protocols::grpc,
    redact,
};
use authority::Authority;
use opentelemetry_semantic_conventions::attribute as semconv;
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

/// Methods of RFC 9110 and RFC 5789; any other is `_OTHER`, so that names stay few.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
/// What stands for a method that is not in [`METHODS`].
const OTHER: &str = "_OTHER";
/// Bytes of a text taken from a field.
const TEXT_MAX_BYTES: usize = 1024;
/// Fields that attributes are made of.
pub(super) const FIELDS: [&str; 5] =
    ["user-agent", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
/// Attributes of a usual span. Their list stays below 1 KiB, from where on allocators tidy up first.
const ATTRIBUTES: usize = 17;
/// Values of one captured field.
const VALUES_MAX: usize = 16;

/// See [`super::describe`].
pub(super) fn describe(opened: &Opened, request: &HttpRequest, ended: &Ended, rules: &Rules) -> Description {
    let response = ended.answer.as_ref().map(|Answer::Http(response)| response);
    if let Some(call) = grpc::read(opened, request, response, ended) {
        return rpc::describe(opened, request, call, ended, rules);
    }
    let method = METHODS.into_iter().find(|known| *known == request.method);
    let error = error_type(opened.role, response, ended.end);
    let mut list = List(Vec::with_capacity(ATTRIBUTES));
    list.method(method, request);
    if let Some(response) = response.filter(|response| response.status > 0) {
        list.int(semconv::HTTP_RESPONSE_STATUS_CODE, i64::from(response.status));
    }
    if let Some(error) = &error {
        list.0.push((Cow::Borrowed(semconv::ERROR_TYPE), Value::Str(error.clone())));
    }
    match opened.role {
        Role::Server => list.server(opened, request, rules),
        Role::Client => list.client(opened, request, rules),
    }
    list.network(opened, request);
    list.sizes(ended);
    list.captured(semconv::HTTP_REQUEST_HEADER, &request.fields, &rules.request_fields);
    if let Some(response) = response {
        list.captured(semconv::HTTP_RESPONSE_HEADER, &response.fields, &rules.response_fields);
    }
    list.incomplete(ended);
    // The description repeats nothing: status code and error type already say it.
    let status = if error.is_some() { Status::Error(String::new()) } else { Status::Unset };
    Description { name: Cow::Borrowed(method.unwrap_or("HTTP")), attributes: list.0, status }
}

/// A status that is an error for this side, else why the exchange did not complete.
fn error_type(role: Role, response: Option<&HttpResponse>, end: End) -> Option<Cow<'static, str>> {
    let fails_from = match role {
        Role::Client => 400,
        Role::Server => 500,
    };
    if let Some(response) = response
        && response.status >= fails_from
    {
        return Some(Cow::Owned(response.status.to_string()));
    }
    end_error(end)
}

/// Why an exchange did not complete.
fn end_error(end: End) -> Option<Cow<'static, str>> {
    match end {
        // What a cap of ours cut short, or a loss of ours hid, did not fail.
        End::Complete | End::Upgraded | End::Evicted | End::Lost => None,
        End::Reset(code) => Some(reset(code)),
        End::ClientGone => Some(Cow::Borrowed(keys::error::CLIENT_DISCONNECTED)),
        End::ServerGone => Some(Cow::Borrowed(keys::error::SERVER_DISCONNECTED)),
        End::TimedOut => Some(Cow::Borrowed(keys::error::TIMEOUT)),
        End::ProcessExited => Some(Cow::Borrowed(keys::error::PROCESS_EXITED)),
    }
}

/// Codes of RST_STREAM in the words of their registry. RFC 9113 §7.
const RESETS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Why a stream was given up.
fn reset(code: u32) -> Cow<'static, str> {
    let name = usize::try_from(code).ok().and_then(|code| RESETS.get(code));
    Cow::Borrowed(name.copied().unwrap_or(OTHER))
}

/// A request target's parts. RFC 9112 §3.2.
struct Target<'a> {
    /// Only of the absolute form.
    scheme: Option<&'a str>,
    /// Of the absolute and the authority form.
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn parse(request: &'a HttpRequest) -> Target<'a> {
        if request.method == "CONNECT" {
            return Target { scheme: None, authority: Some(&request.target), path: "", query: None };
        }
        // The origin form, by far the most, begins with a slash.
        let absolute = (!request.target.starts_with('/')).then(|| request.target.split_once("://")).flatten();
        let (scheme, authority, rest) = match absolute {
            Some((scheme, rest)) if !scheme.contains(['?', '/']) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at(end);
                (Some(scheme), Some(authority), rest)
            }
            _ => (None, None, request.target.as_str()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let path = if path.is_empty() { "/" } else { path };
        Target { scheme, authority, path, query }
    }
}

/// Attributes in the order a person reads them.
struct List(Vec<Attribute>);

impl List {
    fn text(&mut self, key: &'static str, text: impl Into<String>) {
        self.0.push((Cow::Borrowed(key), Value::Str(Cow::Owned(text.into()))));
    }

    fn constant(&mut self, key: &'static str, text: &'static str) {
        self.0.push((Cow::Borrowed(key), Value::Str(Cow::Borrowed(text))));
    }

    fn int(&mut self, key: &'static str, number: i64) {
        self.0.push((Cow::Borrowed(key), Value::Int(number)));
    }

    fn method(&mut self, known: Option<&'static str>, request: &HttpRequest) {
        if request.method.is_empty() {
            return;
        }
        self.constant(semconv::HTTP_REQUEST_METHOD, known.unwrap_or(OTHER));
        if known.is_none() {
            self.text(semconv::HTTP_REQUEST_METHOD_ORIGINAL, cut(&request.method));
        }
    }

    fn server(&mut self, opened: &Opened, request: &HttpRequest, rules: &Rules) {
        let target = Target::parse(request);
        if !target.path.is_empty() && !request.target.is_empty() {
            self.text(semconv::URL_PATH, redact::path(target.path));
        }
        self.query(target.query, rules);
        let scheme = authority::forwarded(&request.fields, "proto", "x-forwarded-proto").or(target.scheme);
        let scheme = known_scheme(scheme.or(request.scheme));
        self.constant(semconv::URL_SCHEME, scheme);
        let asked = authority::forwarded(&request.fields, "host", "x-forwarded-host")
            .or(target.authority)
            .or(request.host.as_deref())
            .and_then(authority::parse);
        self.server_address(asked, scheme, opened.endpoints.local);
        match authority::forwarded(&request.fields, "for", "x-forwarded-for").and_then(authority::parse) {
            Some(client) => self.text(semconv::CLIENT_ADDRESS, cut(client.host)),
            None => self.text(semconv::CLIENT_ADDRESS, ip_text(opened.endpoints.remote.ip())),
        }
        self.user_agent(request);
    }

    fn client(&mut self, opened: &Opened, request: &HttpRequest, rules: &Rules) {
        let target = Target::parse(request);
        let scheme = known_scheme(target.scheme.or(request.scheme));
        let socket = opened.endpoints.remote;
        let written = target.authority.or(request.host.as_deref()).filter(|text| !text.is_empty());
        self.server_address(written.and_then(authority::parse), scheme, socket);
        if request.target.is_empty() {
            return self.user_agent(request);
        }
        let host = written.map_or_else(|| Cow::Owned(socket.to_string()), Cow::Borrowed);
        let query = target.query.unwrap_or_default();
        let mut url = String::with_capacity(scheme.len() + host.len() + target.path.len() + query.len() + 4);
        url.extend([scheme, "://", &host, target.path]);
        if target.query.is_some() {
            url.extend(["?", query]);
        }
        self.text(semconv::URL_FULL, redact::url(&url, &rules.redact));
        self.user_agent(request);
    }

    fn query(&mut self, query: Option<&str>, rules: &Rules) {
        let Some(query) = query.map(|query| redact::query(query, &rules.redact)) else { return };
        if !query.is_empty() {
            self.text(semconv::URL_QUERY, query);
        }
    }

    /// From what was asked for; without it from the socket, which knows only an address.
    fn server_address(&mut self, asked: Option<Authority<'_>>, scheme: &str, socket: SocketAddr) {
        let Some(asked) = asked else {
            self.text(semconv::SERVER_ADDRESS, ip_text(socket.ip()));
            self.int(semconv::SERVER_PORT, i64::from(socket.port()));
            return;
        };
        self.text(semconv::SERVER_ADDRESS, cut(asked.host));
        let default = if scheme == "https" { 443 } else { 80 };
        self.int(semconv::SERVER_PORT, i64::from(asked.port.unwrap_or(default)));
    }

    fn user_agent(&mut self, request: &HttpRequest) {
        if let Some(agent) = authority::first(&request.fields, "user-agent") {
            self.text(semconv::USER_AGENT_ORIGINAL, cut(agent));
        }
    }

    fn network(&mut self, opened: &Opened, request: &HttpRequest) {
        let peer = opened.endpoints.remote;
        self.text(semconv::NETWORK_PEER_ADDRESS, ip_text(peer.ip()));
        self.int(semconv::NETWORK_PEER_PORT, i64::from(peer.port()));
        self.constant(semconv::NETWORK_PROTOCOL_NAME, opened.protocol);
        if !request.version.is_empty() {
            self.constant(semconv::NETWORK_PROTOCOL_VERSION, request.version);
        }
    }

    fn sizes(&mut self, ended: &Ended) {
        let sizes = [
            (semconv::HTTP_REQUEST_BODY_SIZE, ended.request_body_bytes),
            (semconv::HTTP_RESPONSE_BODY_SIZE, ended.response_body_bytes),
        ];
        for (key, size) in sizes {
            if let Some(size) = size.and_then(|size| i64::try_from(size).ok()) {
                self.int(key, size);
            }
        }
    }

    /// Fields on the allow-list, each a list because a field may come more than once.
    fn captured(&mut self, prefix: &str, fields: &[Field], wanted: &[String]) {
        for name in wanted {
            let values: Vec<String> = fields
                .iter()
                .filter(|(key, _)| key == name)
                .take(VALUES_MAX)
                .map(|(_, value)| cut(&String::from_utf8_lossy(value)).to_owned())
                .collect();
            if !values.is_empty() {
                self.0.push((Cow::Owned(format!("{prefix}.{name}")), Value::Strs(values)));
            }
        }
    }

    fn incomplete(&mut self, ended: &Ended) {
        let Incomplete { request_head, response_head, request_end, response_end } = ended.incomplete;
        let parts = [
            (request_head, "request_head"),
            (response_head, "response_head"),
            (request_end, "request_end"),
            (response_end, "response_end"),
            (ended.end == End::Evicted, "evicted"),
            (ended.end == End::Lost, "response"),
        ];
        let missing: Vec<String> =
            parts.iter().filter(|(missing, _)| *missing).map(|(_, name)| (*name).to_owned()).collect();
        if !missing.is_empty() {
            self.0.push((Cow::Borrowed(keys::INCOMPLETE), Value::Strs(missing)));
        }
    }
}

/// A scheme is one of two here; what a client writes into `X-Forwarded-Proto` is not taken over.
fn known_scheme(text: Option<&str>) -> &'static str {
    match text {
        Some(text) if text.eq_ignore_ascii_case("https") || text.eq_ignore_ascii_case("wss") => "https",
        _ => "http",
    }
}

/// As `to_string`, which takes a thousand instructions for an IPv4 address; a span has two or three.
fn ip_text(ip: IpAddr) -> String {
    let IpAddr::V4(ip) = ip else { return ip.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (index, octet) in ip.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        if octet >= 100 {
            text.push(char::from(b'0' + octet / 100));
        }
        if octet >= 10 {
            text.push(char::from(b'0' + octet / 10 % 10));
        }
        text.push(char::from(b'0' + octet % 10));
    }
    text
}

fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(TEXT_MAX_BYTES);
    text.get(..end).unwrap_or_default()
}
