//! Reads the agent's own output.
//!
//! Shape: one line of OTLP/JSON (an ExportTraceServiceRequest) → the spans in it, with what the demo looks at.
//! Clock: Unix nanoseconds. Source: OTLP 1.x, JSON encoding: ids in hex, 64-bit numbers as strings.
use anyhow::{Context, Result};
use serde_json::Value;

/// Server or client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// An incoming request.
    Server,
    /// An outgoing one.
    Client,
}

/// One span.
#[derive(Clone, Debug)]
pub(super) struct Span {
    /// Trace, in hex.
    pub(super) trace: String,
    /// Itself, in hex.
    pub(super) id: String,
    /// Its parent, in hex.
    pub(super) parent: Option<String>,
    /// Server or client.
    pub(super) kind: Kind,
    /// `service.name`.
    pub(super) service: String,
    /// `process.pid`.
    pub(super) pid: Option<u32>,
    /// Method.
    pub(super) method: String,
    /// Path without the query.
    pub(super) path: String,
    /// `http.route`, if the agent knows it.
    pub(super) route: Option<String>,
    /// Status of the response, if there was one.
    pub(super) status: Option<u16>,
    /// Why it has its parent, in the agent's words.
    pub(super) evidence: Option<String>,
    /// Why it has none, in the agent's words.
    pub(super) unparented: Option<String>,
    /// Start.
    pub(super) start: u64,
    /// End.
    pub(super) end: u64,
}

/// All spans of one line.
pub(super) fn spans(line: &str) -> Result<Vec<Span>> {
    let request: Value = serde_json::from_str(line).context("the agent's output is no JSON")?;
    let mut spans = Vec::new();
    for of_resource in list(&request, "resourceSpans") {
        let resource = of_resource.get("resource").unwrap_or(&Value::Null);
        let service = text(resource, "service.name").unwrap_or_default();
        let pid = number(resource, "process.pid").and_then(|pid| u32::try_from(pid).ok());
        for of_scope in list(of_resource, "scopeSpans") {
            for span in list(of_scope, "spans") {
                spans.extend(read(span, &service, pid));
            }
        }
    }
    Ok(spans)
}

/// None for a span that is no HTTP request: the shop makes no other.
fn read(span: &Value, service: &str, pid: Option<u32>) -> Option<Span> {
    let field = |name: &str| span.get(name).and_then(Value::as_str).map(String::from);
    let kind = match span.get("kind")? {
        kind if kind.as_u64() == Some(2) || kind.as_str() == Some("SPAN_KIND_SERVER") => Kind::Server,
        kind if kind.as_u64() == Some(3) || kind.as_str() == Some("SPAN_KIND_CLIENT") => Kind::Client,
        _ => return None,
    };
    let url = text(span, "url.path").or_else(|| path_of(&text(span, "url.full")?))?;
    Some(Span {
        trace: field("traceId")?,
        id: field("spanId")?,
        parent: field("parentSpanId").filter(|parent| !parent.is_empty()),
        kind,
        service: service.into(),
        pid,
        method: text(span, "http.request.method")?,
        path: url,
        route: text(span, "http.route"),
        status: number(span, "http.response.status_code").and_then(|status| u16::try_from(status).ok()),
        evidence: text(span, "wirespan.evidence"),
        unparented: text(span, "wirespan.unparented.reason"),
        start: integer(span.get("startTimeUnixNano")?)?,
        end: integer(span.get("endTimeUnixNano")?)?,
    })
}

/// The path of an absolute URL.
fn path_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let path = rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/");
    path.split(['?', '#']).next().map(String::from)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn attribute<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let named = |attribute: &&Value| attribute.get("key").and_then(Value::as_str) == Some(key);
    list(value, "attributes").iter().find(named)?.get("value")
}

fn text(value: &Value, key: &str) -> Option<String> {
    attribute(value, key)?.get("stringValue")?.as_str().map(String::from)
}

fn number(value: &Value, key: &str) -> Option<u64> {
    integer(attribute(value, key)?.get("intValue")?)
}

fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_its_server_and_client_spans() {
        let line = r#"{"resourceSpans":[{"resource":{"attributes":[
            {"key":"service.name","value":{"stringValue":"order"}},
            {"key":"process.pid","value":{"intValue":"42"}}]},
          "scopeSpans":[{"spans":[
            {"traceId":"aa","spanId":"01","parentSpanId":"","kind":2,"name":"POST /orders/{id}",
             "startTimeUnixNano":"10","endTimeUnixNano":"30","attributes":[
              {"key":"http.request.method","value":{"stringValue":"POST"}},
              {"key":"url.path","value":{"stringValue":"/orders/100001"}},
              {"key":"http.response.status_code","value":{"intValue":"201"}}]},
            {"traceId":"aa","spanId":"02","parentSpanId":"01","kind":3,"name":"GET",
             "startTimeUnixNano":"11","endTimeUnixNano":"20","attributes":[
              {"key":"http.request.method","value":{"stringValue":"GET"}},
              {"key":"wirespan.evidence","value":{"stringValue":"thread"}},
              {"key":"url.full","value":{"stringValue":"http://127.0.0.1:8081/prices/1/100001?a=REDACTED"}}]}
          ]}]}]}"#;
        let spans = spans(line).unwrap();
        let [server, client] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!((server.service.as_str(), server.pid, server.status), ("order", Some(42), Some(201)));
        assert_eq!((server.kind, server.parent.as_deref()), (Kind::Server, None));
        assert_eq!((client.kind, client.parent.as_deref()), (Kind::Client, Some("01")));
        assert_eq!((client.path.as_str(), client.evidence.as_deref()), ("/prices/1/100001", Some("thread")));
    }
}
