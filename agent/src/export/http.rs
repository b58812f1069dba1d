//! OTLP over HTTP/1.1 with protobuf bodies.
//!
//! Shape: a request → [`Outcome`]. Source: OTLP specification 1.x "OTLP/HTTP": 429, 502, 503 and 504 may be retried, Retry-After in
//! seconds or as a date (RFC 9110 §10.2.3), errors carry a `google.rpc.Status`. Redirects are not followed: a collector sends none.
use super::{
    StartError, encode,
    outcome::{Outcome, Trouble},
    settings::{Compression, Otlp},
    stamped::Stamped,
    tls,
};
use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::Incoming,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::{
    io::Write,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Bytes read of an answer: more than an error message is not one.
const ANSWER_BYTES: usize = 64 * 1024;
/// Characters of an answer's message that are shown.
const MESSAGE_CHARS: usize = 300;

/// A client of one collector.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
}

impl Http {
    /// Connects with the first request.
    pub(super) fn new(otlp: &Otlp) -> Result<Http, StartError> {
        let url = &otlp.endpoint;
        let tls = tls::of_http(otlp, url.scheme() == "https")?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let uri = url.as_str().parse().map_err(|source| StartError::Uri { url: url.to_string(), source })?;
        Ok(Http {
            client: Client::builder(TokioExecutor::new()).build(connector),
            uri,
            headers: headers(otlp)?,
            compression: otlp.compression,
            timeout: otlp.timeout,
        })
    }

    pub(super) async fn send(&mut self, spans: &[Arc<Stamped>]) -> Outcome {
        let plain = encode::protobuf(spans);
        let bytes = plain.len() as u64;
        let body = match self.compression {
            Compression::None => plain,
            Compression::Gzip => match gzip(&plain) {
                Ok(body) => body,
                Err(error) => return Outcome::Refused(Trouble::Write(error)),
            },
        };
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(Ok((status, headers, body))) => outcome(status, &headers, &body, bytes),
            Ok(Err(trouble)) => Outcome::Retry(trouble, None),
            Err(_) => Outcome::Retry(Trouble::Timeout(self.timeout), None),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Trouble> {
        let answer =
            self.client.request(request).await.map_err(|error| Trouble::Unreachable(error.into()))?;
        let (head, body) = answer.into_parts();
        Ok((head.status, head.headers, read(body).await?))
    }
}

/// The body, or as much of an overlong one as says nothing: the status decides.
async fn read(body: Incoming) -> Result<Bytes, Trouble> {
    match Limited::new(body, ANSWER_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Ok(Bytes::new()),
        Err(error) => Err(Trouble::Unreachable(error)),
    }
}

fn outcome(status: StatusCode, headers: &HeaderMap, body: &[u8], bytes: u64) -> Outcome {
    if status.is_success() {
        let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
        let partial = answer.partial_success.unwrap_or_default();
        return Outcome::Delivered {
            bytes,
            rejected: partial.rejected_spans.max(0).unsigned_abs(),
            message: partial.error_message,
        };
    }
    let trouble = Trouble::Http { status: status.as_u16(), message: message(headers, body) };
    match status.as_u16() {
        429 | 502 | 503 | 504 => Outcome::Retry(trouble, retry_after(headers, SystemTime::now())),
        _ => Outcome::Refused(trouble),
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

/// What the answer says, on one line.
fn message(headers: &HeaderMap, body: &[u8]) -> String {
    let is_protobuf = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/x-protobuf");
    let text = match RpcStatus::decode(body) {
        Ok(status) if is_protobuf => status.message,
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_CHARS).collect()
}

fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

fn headers(otlp: &Otlp) -> Result<HeaderMap, StartError> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("wirespan/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &otlp.headers {
        let broken = || StartError::Header { name: name.clone() };
        let key: HeaderName = name.parse().map_err(|_| broken())?;
        headers.insert(key, value.parse().map_err(|_| broken())?);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    if otlp.compression == Compression::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(headers)
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Level::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))])
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Fri, 31 Dec 1999 23:59:50 GMT").unwrap();
        assert_eq!(retry_after(&with("120"), now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(&with("Fri, 31 Dec 1999 23:59:59 GMT"), now), Some(Duration::from_secs(9)));
        assert_eq!(retry_after(&with("Fri, 31 Dec 1999 23:59:00 GMT"), now), Some(Duration::ZERO));
        assert_eq!(retry_after(&with("soon"), now), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn an_error_is_told_on_one_line_whatever_its_form() {
        let protobuf =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))]);
        let status = RpcStatus { message: "no such tenant".into() }.encode_to_vec();
        assert_eq!(message(&protobuf, &status), "no such tenant");
        assert_eq!(message(&HeaderMap::new(), b"<h1>\r\nBad Gateway\n"), "<h1>  Bad Gateway");
    }
}
