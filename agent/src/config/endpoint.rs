//! Where OTLP goes: the specification's rules for endpoints.
//!
//! Shape: text in, URL out. Over HTTP a base URL gets `/v1/traces`; `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is used as it is. An
//! endpoint without a scheme (`collector:4317`) is TLS unless `insecure` says otherwise.
//! Source: OpenTelemetry specification, "OTLP Exporter Configuration", Endpoint URLs for OTLP/HTTP.
use super::{
    choice::Protocol,
    key::Origin,
    value::{Dialect, Knob},
};
use url::Url;

/// An endpoint as it was written, known to be one.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    text: String,
}

impl Endpoint {
    /// The URL to send to.
    pub(super) fn url(&self, protocol: Protocol, origin: &Origin, insecure: bool) -> Result<Url, String> {
        let mut url = parse(&self.text, insecure)?;
        let as_it_is = matches!(origin, Origin::Env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
        if protocol == Protocol::HttpProtobuf && !as_it_is {
            let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Ok(url)
    }

    /// The port, if it names one.
    pub(super) fn port(&self) -> Option<u16> {
        parse(&self.text, true).ok().and_then(|url| url.port())
    }
}

impl Knob for Endpoint {
    fn from_text(text: &str, _: Dialect) -> Result<Endpoint, String> {
        parse(text, true)?;
        Ok(Endpoint { text: text.to_owned() })
    }

    fn json(&self) -> serde_json::Value {
        // Someone may have put a password into it.
        match parse(&self.text, true) {
            Ok(url) if url.username().is_empty() && url.password().is_none() => self.text.clone().into(),
            _ => wirespan_core::redact::url(&self.text, &wirespan_core::redact::Rules::default()).into(),
        }
    }
}

fn parse(text: &str, insecure: bool) -> Result<Url, String> {
    let expected = |why: String| format!("expected a URL such as http://collector:4317, found `{text}`{why}");
    let scheme = if insecure { "http" } else { "https" };
    let whole = if text.contains("://") { text.to_owned() } else { format!("{scheme}://{text}") };
    let url = Url::parse(&whole).map_err(|error| expected(format!(": {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(expected(String::new()));
    }
    Ok(url)
}
