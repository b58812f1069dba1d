//! OTLP over gRPC.
//!
//! Shape: a request → [`Outcome`]. Source: OTLP specification 1.x "OTLP/gRPC": which codes may be retried, RetryInfo, partial success.
//! The connection is made lazily and again after it broke; a request that had no answer in time gives up its connection too,
//! because a peer that is gone without a word answers on none of its streams.
use super::{
    StartError, encode,
    outcome::{Outcome, Trouble},
    settings::{Compression, Otlp},
    stamped::Stamped,
    tls,
};
use bytes::{BufMut, Bytes};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::{sync::Arc, time::Duration};
use tonic::{
    Code, Request, Response, Status,
    client::Grpc as Client,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
    transport::{Channel, Endpoint},
};

/// The method of OTLP's trace service.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A client of one collector.
pub(super) struct Grpc {
    endpoint: Endpoint,
    client: Client<Channel>,
    compression: Compression,
    headers: MetadataMap,
    timeout: Duration,
}

impl Grpc {
    /// Connects with the first request.
    pub(super) fn new(otlp: &Otlp) -> Result<Grpc, StartError> {
        let url = &otlp.endpoint;
        let mut endpoint = Endpoint::from_shared(url.to_string())
            .and_then(|endpoint| endpoint.user_agent(concat!("wirespan/", env!("CARGO_PKG_VERSION"))))
            .map_err(StartError::Grpc)?
            .connect_timeout(otlp.timeout);
        if url.scheme() == "https" {
            endpoint = endpoint.tls_config(tls::of_grpc(otlp)?).map_err(StartError::Grpc)?;
        }
        Ok(Grpc {
            client: client(&endpoint, otlp.compression),
            endpoint,
            compression: otlp.compression,
            headers: headers(&otlp.headers)?,
            timeout: otlp.timeout,
        })
    }

    pub(super) async fn send(&mut self, spans: &[Arc<Stamped>]) -> Outcome {
        let message = Bytes::from(encode::protobuf(spans));
        let bytes = message.len() as u64;
        let Ok(answer) = tokio::time::timeout(self.timeout, self.export(message)).await else {
            self.client = client(&self.endpoint, self.compression);
            return Outcome::Retry(Trouble::Timeout(self.timeout), None);
        };
        match answer {
            Ok(answer) => {
                let partial = answer.into_inner().partial_success.unwrap_or_default();
                Outcome::Delivered {
                    bytes,
                    rejected: partial.rejected_spans.max(0).unsigned_abs(),
                    message: partial.error_message,
                }
            }
            Err(status) => failure(status),
        }
    }

    async fn export(&mut self, message: Bytes) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let mut request = Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        request.set_timeout(self.timeout);
        self.client.unary(request, PathAndQuery::from_static(EXPORT), Encoded).await
    }
}

fn client(endpoint: &Endpoint, compression: Compression) -> Client<Channel> {
    let client = Client::new(endpoint.connect_lazy());
    match compression {
        Compression::None => client,
        // grpc-go answers a compressed request with a compressed answer, asked or not.
        Compression::Gzip => {
            client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip)
        }
    }
}

/// Requests come encoded, answers are decoded.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Encoded;
    type Decoder = Encoded;

    fn encoder(&mut self) -> Encoded {
        Encoded
    }

    fn decoder(&mut self) -> Encoded {
        Encoded
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<ExportTraceServiceResponse>, Status> {
        // A receiver that answers with success has taken the spans, whatever else it says.
        Ok(Some(ExportTraceServiceResponse::decode(from).unwrap_or_default()))
    }
}

fn headers(pairs: &[(String, String)]) -> Result<MetadataMap, StartError> {
    let mut headers = MetadataMap::new();
    for (name, value) in pairs {
        let broken = || StartError::Header { name: name.clone() };
        let key: AsciiMetadataKey = name.to_ascii_lowercase().parse().map_err(|_| broken())?;
        let value: AsciiMetadataValue = value.parse().map_err(|_| broken())?;
        headers.insert(key, value);
    }
    Ok(headers)
}

/// A status with a source was made on this side, from an error of the connection: the receiver has refused nothing.
fn failure(status: Status) -> Outcome {
    let hint = retry_info(status.details());
    let may_retry = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => hint.is_some(),
        _ => false,
    };
    if std::error::Error::source(&status).is_some() {
        return Outcome::Retry(Trouble::Unreachable(status.into()), None);
    }
    let trouble = Trouble::Grpc { code: status.code(), message: status.message().to_owned() };
    if may_retry { Outcome::Retry(trouble, hint) } else { Outcome::Refused(trouble) }
}

/// `google.rpc.Status` with the one detail that matters here.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<RetryDelay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct RetryDelay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// How long the receiver wants to be left alone.
fn retry_info(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
    Some(Duration::new(delay.seconds.try_into().ok()?, delay.nanos.try_into().ok()?))
}

#[cfg(test)]
pub(super) fn retry_info_details(delay: Duration) -> Vec<u8> {
    let delay = RetryDelay { seconds: delay.as_secs() as i64, nanos: delay.subsec_nanos() as i32 };
    let info = RetryInfo { retry_delay: Some(delay) };
    let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
    RpcStatus { details: vec![Any { type_url, value: info.encode_to_vec() }] }.encode_to_vec()
}
