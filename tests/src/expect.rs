//! What a world wants to see, and what to say when it is not there.
//!
//! Shape: an [`Expected`] span is a list of facts; a span that differs in none is the one. Otherwise the failure names
//! the nearest span and the facts in which it differs, because "not found" alone teaches nothing.
use crate::span::Span;
use std::fmt::Write;

/// A span as wanted: only the facts that matter to the world.
#[derive(Clone, Debug)]
pub struct Expected {
    facts: Vec<(String, Wanted)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Is(String),
    Absent,
    Present,
    OneOf(Vec<String>),
}

/// A server span of that name.
pub fn server(name: &str) -> Expected {
    Expected { facts: Vec::new() }.fact("kind", "server").fact("name", name)
}

/// A client span of that name.
pub fn client(name: &str) -> Expected {
    Expected { facts: Vec::new() }.fact("kind", "client").fact("name", name)
}

impl Expected {
    /// `url.path`.
    pub fn path(self, path: &str) -> Expected {
        self.fact("url.path", path)
    }

    /// `http.response.status_code`.
    pub fn status(self, status: u16) -> Expected {
        self.fact("http.response.status_code", &status.to_string())
    }

    /// Trace id in hex.
    pub fn trace(self, id: &str) -> Expected {
        self.fact("trace id", id)
    }

    /// Parent span id in hex.
    pub fn parent(self, id: &str) -> Expected {
        self.fact("parent id", id)
    }

    /// Child of that span, in its trace.
    pub fn child_of(self, parent: &Span) -> Expected {
        self.trace(&parent.trace_id).parent(&parent.span_id)
    }

    /// No parent.
    pub fn root(self) -> Expected {
        self.with("parent id", Wanted::Absent)
    }

    /// The W3C flags: the low eight bits.
    pub fn trace_flags(self, flags: u8) -> Expected {
        self.fact("trace flags", &format!("{flags:02x}"))
    }

    /// W3C tracestate.
    pub fn trace_state(self, state: &str) -> Expected {
        self.fact("trace state", state)
    }

    /// `service.name` of the resource.
    pub fn service(self, name: &str) -> Expected {
        self.fact("resource service.name", name)
    }

    /// An attribute with exactly that value; or one of `kind`, `name`, `trace id`, `parent id`, `span status`, `resource KEY`.
    pub fn fact(self, key: &str, value: &str) -> Expected {
        self.with(key, Wanted::Is(value.to_owned()))
    }

    /// A fact that has one of these values.
    pub fn one_of(self, key: &str, values: &[&str]) -> Expected {
        self.with(key, Wanted::OneOf(values.iter().map(|value| (*value).to_owned()).collect()))
    }

    /// A fact that is there, whatever its value.
    pub fn has(self, key: &str) -> Expected {
        self.with(key, Wanted::Present)
    }

    /// A fact that is not there.
    pub fn lacks(self, key: &str) -> Expected {
        self.with(key, Wanted::Absent)
    }

    fn with(mut self, key: &str, wanted: Wanted) -> Expected {
        self.facts.push((key.to_owned(), wanted));
        self
    }

    /// Differs in nothing.
    pub fn is(&self, span: &Span) -> bool {
        self.facts.iter().all(|(key, wanted)| wanted.accepts(&value(span, key)))
    }

    /// The facts in which the span differs, one per line.
    pub fn differences(&self, span: &Span) -> Vec<String> {
        let rows = self.facts.iter().map(|(key, wanted)| (key, wanted, value(span, key)));
        rows.filter(|(_, wanted, is)| !wanted.accepts(is))
            .map(|(key, wanted, is)| {
                format!("{key}: wanted {wanted}, is {}", if is.is_empty() { "absent" } else { &is })
            })
            .collect()
    }

    /// Why none of these spans is the one.
    pub fn explain(&self, spans: &[Span]) -> String {
        let facts: Vec<String> = self.facts.iter().map(|(key, wanted)| format!("{key} {wanted}")).collect();
        let mut text = format!("no span with {}\n", facts.join(", "));
        let Some(nearest) = spans.iter().min_by_key(|span| self.differences(span).len()) else {
            text.push_str("  there are no spans at all");
            return text;
        };
        let _ = writeln!(text, "  nearest of {}: {nearest}", spans.len());
        for difference in self.differences(nearest) {
            let _ = writeln!(text, "    {difference}");
        }
        let others: Vec<&Span> = spans.iter().filter(|span| *span != nearest).collect();
        for span in others.iter().rev().take(10) {
            let _ = writeln!(text, "  also seen: {span}");
        }
        text.trim_end().to_owned()
    }
}

impl Wanted {
    fn accepts(&self, is: &str) -> bool {
        match self {
            Wanted::Is(value) => value == is,
            Wanted::Absent => is.is_empty(),
            Wanted::Present => !is.is_empty(),
            Wanted::OneOf(values) => values.iter().any(|value| value == is),
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wanted::Is(value) => out.write_str(value),
            Wanted::Absent => out.write_str("absent"),
            Wanted::Present => out.write_str("present"),
            Wanted::OneOf(values) => out.write_str(&values.join(" or ")),
        }
    }
}

fn value(span: &Span, key: &str) -> String {
    match key {
        "kind" => span.kind.to_owned(),
        "name" => span.name.clone(),
        "trace id" => span.trace_id.clone(),
        "parent id" => span.parent_id.clone(),
        "trace flags" => format!("{:02x}", span.flags & 0xff),
        "trace state" => span.trace_state.clone(),
        "span status" => span.status.to_owned(),
        _ => match key.strip_prefix("resource ") {
            Some(key) => span.resource.get(key).cloned().unwrap_or_default(),
            None => span.attribute(key).to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::{parse_line, tests::LINE};

    #[test]
    fn a_span_that_differs_in_nothing_is_the_one() {
        let span = &parse_line(LINE).unwrap()[0];
        let wanted = server("GET").path("/a").status(200).service("shop").trace_state("a=b").trace_flags(1);
        assert!(wanted.clone().parent("00f067aa0ba902b7").lacks("error.type").has("url.path").is(span));
        assert!(!wanted.root().is(span));
    }

    #[test]
    fn a_failure_names_the_nearest_span_and_what_differs() {
        let near = parse_line(LINE).unwrap().remove(0);
        let far =
            parse_line(&LINE.replace("\"kind\":2", "\"kind\":3").replace("/a", "/b")).unwrap().remove(0);
        let text = server("GET").path("/a").status(404).lacks("http.request.header.x").explain(&[far, near]);
        assert_eq!(
            text,
            "no span with kind server, name GET, url.path /a, http.response.status_code 404, http.request.header.x absent
  nearest of 2: server GET /a 200 (trace 0af7651916cd43dd8448eb211c80319c span b7ad6b7169203331 parent 00f067aa0ba902b7)
    http.response.status_code: wanted 404, is 200
    http.request.header.x: wanted absent, is [1, 2]
  also seen: client GET /b 200 (trace 0af7651916cd43dd8448eb211c80319c span b7ad6b7169203331 parent 00f067aa0ba902b7)"
        );
    }

    #[test]
    fn a_failure_without_any_span_says_so() {
        assert_eq!(
            client("GET").explain(&[]),
            "no span with kind client, name GET\n  there are no spans at all"
        );
    }
}
