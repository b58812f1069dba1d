//! Where OTLP goes, by the exporter specification's rules.
//!
//! Shape: settings → one URL. `http` is plaintext and `https` TLS, whatever `insecure` says; that only decides for a gRPC
//! endpoint without a scheme. HTTP's `OTEL_EXPORTER_OTLP_ENDPOINT` is a base to which `v1/traces` is added; the traces' own
//! endpoint is used as it is. A URL without a port has its scheme's. Source: OpenTelemetry specification, protocol/exporter.
use super::settings::{Otlp, Protocol};
use url::Url;

/// An endpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL.
    #[error("`{endpoint}` is not a URL")]
    NotUrl {
        /// As the user wrote it.
        endpoint: String,
        /// Why.
        #[source]
        source: url::ParseError,
    },
    /// A scheme that OTLP does not have.
    #[error("`{endpoint}` must begin with http:// or https://")]
    Scheme {
        /// As the user wrote it.
        endpoint: String,
    },
}

/// The URL to which requests are sent.
pub(super) fn resolve(otlp: &Otlp) -> Result<Url, EndpointError> {
    if let Some(endpoint) = &otlp.traces_endpoint {
        return parse(endpoint, otlp);
    }
    let default = match otlp.protocol {
        Protocol::Grpc => "http://localhost:4317",
        Protocol::HttpProtobuf => "http://localhost:4318",
    };
    let mut url = parse(otlp.endpoint.as_deref().unwrap_or(default), otlp)?;
    if otlp.protocol == Protocol::HttpProtobuf {
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/v1/traces"));
    }
    Ok(url)
}

fn parse(endpoint: &str, otlp: &Otlp) -> Result<Url, EndpointError> {
    let endpoint = endpoint.trim();
    let has_scheme = endpoint.contains("://");
    let assumed = if otlp.protocol == Protocol::Grpc && !otlp.insecure { "https" } else { "http" };
    let text = if has_scheme { endpoint.to_owned() } else { format!("{assumed}://{endpoint}") };
    let url = Url::parse(&text)
        .map_err(|source| EndpointError::NotUrl { endpoint: endpoint.to_owned(), source })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(EndpointError::Scheme { endpoint: endpoint.to_owned() });
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grpc(endpoint: &str) -> Otlp {
        Otlp { endpoint: Some(endpoint.into()), ..Otlp::default() }
    }

    fn http(endpoint: &str) -> Otlp {
        Otlp { protocol: Protocol::HttpProtobuf, ..grpc(endpoint) }
    }

    fn check(otlp: Otlp, expected: &str) {
        assert_eq!(resolve(&otlp).unwrap().as_str(), expected);
    }

    #[test]
    fn without_an_endpoint_the_collector_is_local_on_the_protocols_own_port() {
        check(Otlp::default(), "http://localhost:4317/");
        check(
            Otlp { protocol: Protocol::HttpProtobuf, ..Otlp::default() },
            "http://localhost:4318/v1/traces",
        );
    }

    #[test]
    fn a_base_endpoint_gets_the_path_of_traces_and_keeps_its_own() {
        check(http("http://collector:4318"), "http://collector:4318/v1/traces");
        check(http("http://collector:4318/"), "http://collector:4318/v1/traces");
        check(http("https://vendor.example/otlp/"), "https://vendor.example/otlp/v1/traces");
    }

    #[test]
    fn the_traces_endpoint_is_used_as_it_is() {
        let own = |endpoint: &str| Otlp { traces_endpoint: Some(endpoint.into()), ..http("http://other") };
        check(own("http://collector:4318/mine"), "http://collector:4318/mine");
        check(own("http://collector:4318"), "http://collector:4318/");
    }

    #[test]
    fn the_scheme_decides_about_tls_and_insecure_only_without_one() {
        check(grpc("collector:4317"), "https://collector:4317/");
        check(Otlp { insecure: true, ..grpc("collector:4317") }, "http://collector:4317/");
        check(Otlp { insecure: true, ..grpc("https://collector:4317") }, "https://collector:4317/");
        check(grpc(" http://[::1]:4317 "), "http://[::1]:4317/");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_by_name() {
        assert_eq!(resolve(&grpc("http://")).unwrap_err().to_string(), "`http://` is not a URL");
        let scheme = resolve(&http("ftp://collector")).unwrap_err();
        assert_eq!(scheme.to_string(), "`ftp://collector` must begin with http:// or https://");
    }
}
