//! OTLP/JSON lines as values that tests can ask.
//!
//! Shape: one `ExportTraceServiceRequest` per line → [`Span`]s. Clock: Unix nanoseconds, as exported.
//! Source: OTLP 1.x, JSON protobuf encoding (ids in hex, 64-bit integers as strings, enums as numbers).
//! Strict on purpose: a line that is no OTLP/JSON is an error, because a collector would refuse it too.
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Keys and values as text: integers in decimal, lists in brackets.
pub type Attributes = BTreeMap<String, String>;

/// One exported span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// 16 hex digits, or empty.
    pub parent_id: String,
    /// W3C flags and the two remote bits.
    pub flags: u32,
    /// W3C tracestate.
    pub trace_state: String,
    /// Name.
    pub name: String,
    /// `server`, `client`, ….
    pub kind: &'static str,
    /// Start.
    pub start_ns: u64,
    /// End.
    pub end_ns: u64,
    /// Attributes.
    pub attributes: Attributes,
    /// `unset`, `ok`, `error`.
    pub status: &'static str,
    /// Attributes of the resource.
    pub resource: Arc<Attributes>,
}

impl Span {
    /// An attribute, or empty.
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// `url.path`.
    pub fn path(&self) -> &str {
        self.attribute("url.path")
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Span { kind, name, trace_id, span_id, parent_id, .. } = self;
        let parent = if parent_id.is_empty() { "none" } else { parent_id };
        write!(
            out,
            "{kind} {name} {} {}",
            self.attribute("url.path"),
            self.attribute("http.response.status_code")
        )?;
        write!(out, " (trace {trace_id} span {span_id} parent {parent})")
    }
}

/// All spans of one line.
pub fn parse_line(line: &str) -> Result<Vec<Span>> {
    let request: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
    let mut spans = Vec::new();
    for resource_spans in list(&request, "resourceSpans")? {
        let resource = Arc::new(attributes(resource_spans.pointer("/resource").unwrap_or(&Value::Null))?);
        for scope_spans in list(resource_spans, "scopeSpans")? {
            for value in list(scope_spans, "spans")? {
                spans.push(span(value, &resource).with_context(|| format!("span {value}"))?);
            }
        }
    }
    Ok(spans)
}

fn span(value: &Value, resource: &Arc<Attributes>) -> Result<Span> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let span = Span {
        trace_id: text("traceId"),
        span_id: text("spanId"),
        parent_id: text("parentSpanId"),
        flags: u32::try_from(value.get("flags").and_then(Value::as_u64).unwrap_or(0))?,
        trace_state: text("traceState"),
        name: text("name"),
        kind: kind(value.get("kind").and_then(Value::as_u64))?,
        start_ns: nanos(value, "startTimeUnixNano")?,
        end_ns: nanos(value, "endTimeUnixNano")?,
        attributes: attributes(value)?,
        status: match value.pointer("/status/code").and_then(Value::as_u64).unwrap_or(0) {
            0 => "unset",
            1 => "ok",
            2 => "error",
            other => bail!("status code {other}"),
        },
        resource: resource.clone(),
    };
    ensure!(is_id(&span.trace_id, 32), "trace id {:?}", span.trace_id);
    ensure!(is_id(&span.span_id, 16), "span id {:?}", span.span_id);
    ensure!(span.parent_id.is_empty() || is_id(&span.parent_id, 16), "parent id {:?}", span.parent_id);
    ensure!(span.start_ns <= span.end_ns, "ends before it starts");
    Ok(span)
}

fn is_id(id: &str, digits: usize) -> bool {
    let hex = id.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    id.len() == digits && hex && id.bytes().any(|c| c != b'0')
}

fn kind(number: Option<u64>) -> Result<&'static str> {
    Ok(match number.context("a kind is a number")? {
        1 => "internal",
        2 => "server",
        3 => "client",
        other => bail!("span kind {other}"),
    })
}

fn nanos(value: &Value, key: &str) -> Result<u64> {
    let text = value.get(key).and_then(Value::as_str).with_context(|| format!("{key} must be a string"))?;
    text.parse().with_context(|| format!("{key} {text}"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array).with_context(|| format!("no list {key}"))
}

fn attributes(of: &Value) -> Result<Attributes> {
    let mut attributes = Attributes::new();
    for row in of.get("attributes").and_then(Value::as_array).into_iter().flatten() {
        let key = row.get("key").and_then(Value::as_str).context("an attribute has a key")?;
        let value = any_value(row.get("value").unwrap_or(&Value::Null)).with_context(|| key.to_owned())?;
        ensure!(attributes.insert(key.to_owned(), value).is_none(), "attribute {key} twice");
    }
    Ok(attributes)
}

fn any_value(value: &Value) -> Result<String> {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else {
        bail!("no value: {value}")
    };
    Ok(match (kind.as_str(), inner) {
        ("stringValue" | "intValue", Value::String(text)) => text.clone(),
        ("boolValue" | "doubleValue", inner) => inner.to_string(),
        ("arrayValue", inner) => {
            let texts: Result<Vec<String>> = list(inner, "values")?.iter().map(any_value).collect();
            format!("[{}]", texts?.join(", "))
        }
        _ => bail!("not a value of OTLP/JSON: {value}"),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LINE: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"wirespan"},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","parentSpanId":"00f067aa0ba902b7","flags":257,"traceState":"a=b","name":"GET","kind":2,"startTimeUnixNano":"1000","endTimeUnixNano":"3000","attributes":[{"key":"url.path","value":{"stringValue":"/a"}},{"key":"http.response.status_code","value":{"intValue":"200"}},{"key":"http.request.header.x","value":{"arrayValue":{"values":[{"stringValue":"1"},{"stringValue":"2"}]}}}],"status":{}}]}]}]}"#;

    #[test]
    fn a_line_of_otlp_json_becomes_spans() {
        let spans = parse_line(LINE).unwrap();
        let span = &spans[0];
        assert_eq!(
            span.to_string(),
            "server GET /a 200 (trace 0af7651916cd43dd8448eb211c80319c span b7ad6b7169203331 parent 00f067aa0ba902b7)"
        );
        assert_eq!(span.attribute("http.request.header.x"), "[1, 2]");
        assert_eq!(span.resource.get("service.name").map(String::as_str), Some("shop"));
        assert_eq!((span.flags, span.trace_state.as_str(), span.status), (257, "a=b", "unset"));
    }

    #[test]
    fn what_a_collector_would_refuse_is_an_error() {
        for (good, bad) in [
            ("\"startTimeUnixNano\":\"1000\"", "\"startTimeUnixNano\":1000"),
            ("\"intValue\":\"200\"", "\"intValue\":200"),
            ("b7ad6b7169203331", "0000000000000000"),
            ("0af7651916cd43dd8448eb211c80319c", "CvdlGRbNQ92ESOshHIAxnA=="),
            ("\"kind\":2", "\"kind\":\"SPAN_KIND_SERVER\""),
            ("\"endTimeUnixNano\":\"3000\"", "\"endTimeUnixNano\":\"500\""),
        ] {
            assert!(parse_line(&LINE.replace(good, bad)).is_err(), "{bad}");
        }
    }
}
