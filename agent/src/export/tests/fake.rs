//! A receiver in this process for every way out: a collector that speaks gRPC and HTTP on one port, and a stdout.
//!
//! What it does with the next requests is scripted; what it took is kept. It can go away and come back on the same port.
use super::super::{grpc, json::Output};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, header::HeaderMap, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use prost::Message;
use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{self, Read},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Code, Status, codec::CompressionEncoding, codegen::async_trait};

/// What the receiver does with one request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Takes all.
    Take,
    /// Takes all but so many, and says something.
    TakeWithout(i64, &'static str),
    /// Cannot now; perhaps says when.
    Later(Option<Duration>),
    /// Never.
    Never,
    /// Does not answer.
    Silence,
}

/// What happened so far.
#[derive(Default)]
pub(super) struct Log {
    pub(super) script: VecDeque<Reply>,
    pub(super) taken: Vec<ExportTraceServiceRequest>,
    /// Requests of any fate.
    pub(super) attempts: usize,
    pub(super) headers: HeaderMap,
    /// Only for [`Stdout`]: it takes nothing for now.
    pub(super) is_stuck: bool,
    pub(super) waker: Option<Waker>,
    pub(super) text: Vec<u8>,
    /// Whole lines that are not JSON: the waterfall.
    pub(super) lines: Vec<String>,
}

/// A log that receivers and tests share.
#[derive(Clone, Default)]
pub(super) struct Received(Arc<Mutex<Log>>);

impl Received {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Log) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Every span taken, in order.
    pub(super) fn spans(&self) -> Vec<Span> {
        let requests = self.with(|log| log.taken.clone());
        let scopes = requests
            .into_iter()
            .flat_map(|request| request.resource_spans)
            .flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// Their names; of a waterfall's line what stands behind the service.
    pub(super) fn names(&self) -> Vec<String> {
        let lines = self.with(|log| log.lines.clone());
        let shown = lines
            .iter()
            .filter_map(|line| line.strip_prefix("  shop ")?.split(' ').next().map(str::to_owned));
        self.spans().into_iter().map(|span| span.name).chain(shown).collect()
    }

    fn next(&self, request: ExportTraceServiceRequest, headers: HeaderMap) -> Reply {
        self.with(|log| {
            log.attempts += 1;
            log.headers = headers;
            let reply = log.script.pop_front().unwrap_or(Reply::Take);
            if matches!(reply, Reply::Take | Reply::TakeWithout(..)) {
                log.taken.push(request);
            }
            reply
        })
    }
}

/// A collector that runs until it is dropped.
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Collector {
    /// Returns when its port is free and its connections are gone.
    pub(super) async fn stop(&mut self) {
        self.task.abort();
        (&mut self.task).await.ok();
    }
}

impl Collector {
    /// On `address`, port 0 for any.
    pub(super) async fn start(address: SocketAddr, received: Received) -> Collector {
        Collector::start_with(address, received, None).await
    }

    /// The same behind TLS.
    pub(super) async fn start_with(
        address: SocketAddr,
        received: Received,
        tls: Option<TlsAcceptor>,
    ) -> Collector {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        Collector { address, task: tokio::spawn(serve(listener, received, tls)) }
    }
}

/// Connections end with the listener: the tasks are dropped together.
async fn serve(listener: TcpListener, received: Received, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (received, tls) = (received.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => answer_all(stream, received).await,
                // A client that trusts nobody breaks off: nothing to answer.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        answer_all(stream, received).await;
                    }
                }
            }
        });
    }
}

async fn answer_all(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, received: Received) {
    let service = TraceServiceServer::new(Grpc(received.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let route = service_fn(move |request: Request<Incoming>| {
        let grpc = TowerToHyperService::new(service.clone());
        let received = received.clone();
        async move {
            if request.headers().get("content-type").is_some_and(|kind| kind == "application/grpc") {
                return hyper::service::Service::call(&grpc, request).await;
            }
            Ok::<_, Infallible>(http(request, received).await.map(tonic::body::Body::new))
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    builder.serve_connection(TokioIo::new(stream), route).await.ok();
}

struct Grpc(Received);

#[async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        match self.0.next(request.into_inner(), headers) {
            Reply::Take => Ok(tonic::Response::new(answer(0, ""))),
            Reply::TakeWithout(rejected, message) => Ok(tonic::Response::new(answer(rejected, message))),
            Reply::Later(None) => Err(Status::unavailable("come back")),
            Reply::Later(Some(delay)) => {
                let details = grpc::retry_info_details(delay).into();
                Err(Status::with_details(Code::ResourceExhausted, "full", details))
            }
            Reply::Never => Err(Status::invalid_argument("no")),
            Reply::Silence => std::future::pending().await,
        }
    }
}

async fn http(request: Request<Incoming>, received: Received) -> Response<Full<Bytes>> {
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/traces"));
    let (head, body) = request.into_parts();
    let mut body = body.collect().await.unwrap().to_bytes().to_vec();
    if head.headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
        let mut plain = Vec::new();
        GzDecoder::new(body.as_slice()).read_to_end(&mut plain).unwrap();
        body = plain;
    }
    assert_eq!(head.headers["content-type"], "application/x-protobuf");
    let message = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let (status, retry_after, body) = match received.next(message, head.headers) {
        Reply::Take => (200, None, answer(0, "").encode_to_vec()),
        Reply::TakeWithout(rejected, message) => (200, None, answer(rejected, message).encode_to_vec()),
        Reply::Later(delay) => (503, delay, b"come back".to_vec()),
        Reply::Never => (400, None, b"no".to_vec()),
        Reply::Silence => std::future::pending().await,
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status.try_into().unwrap();
    if let Some(delay) = retry_after {
        response.headers_mut().insert("retry-after", delay.as_secs().into());
    }
    response
}

fn answer(rejected_spans: i64, error_message: &str) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: error_message.into() };
    ExportTraceServiceResponse { partial_success: Some(partial) }
}

/// A stdout whose reader is the test.
pub(super) struct Stdout(pub(super) Received);

impl Stdout {
    pub(super) fn boxed(received: &Received) -> Output {
        Box::new(Stdout(received.clone()))
    }
}

impl AsyncWrite for Stdout {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.with(|log| {
            if log.is_stuck {
                log.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            // A pipe takes what it has room for.
            let part = &bytes[..bytes.len().min(4096)];
            if log.text.is_empty() {
                log.attempts += 1;
                if matches!(log.script.pop_front(), Some(Reply::Never)) {
                    return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
                }
            }
            log.text.extend_from_slice(part);
            while let Some(end) = log.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = log.text.drain(..=end).collect();
                match serde_json::from_slice(&line) {
                    Ok(request) => log.taken.push(request),
                    Err(_) => log.lines.push(String::from_utf8(line).unwrap()),
                }
            }
            Poll::Ready(Ok(part.len()))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A stdout whose reader is gone.
pub(super) struct Nobody;

impl AsyncWrite for Nobody {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
