//! Calls over HTTP/2 without TLS, with tonic and no generated code: `tonic-calls serve PORT`, `tonic-calls call PORT NAME` or
//! `tonic-calls busy PORT SECONDS`. The methods, and what is written down, are those of tests/apps/grpc (see its README).
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use bytes::{Buf, BufMut};
use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{
        BoxFuture, Service, http,
        tokio_stream::{self, Stream, wrappers::ReceiverStream},
    },
    server::{self, StreamingService},
    transport::{Channel, Endpoint, Server},
};

type Message = Vec<u8>;
type Answers = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["serve", port] => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
            Ok(Server::builder().serve(address, Calls).await?)
        }
        ["call", port, name] => call(connect(port).await?, name).await,
        ["busy", port, seconds] => {
            busy(connect(port).await?, Duration::from_secs(seconds.parse()?)).await;
            Ok(())
        }
        _ => bail!("usage: tonic-calls serve PORT | call PORT NAME | busy PORT SECONDS"),
    }
}

/// Messages are bytes as they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Message;
    type Decode = Message;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Message;
    type Error = Status;

    fn encode(&mut self, message: Message, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Message;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Message>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// Every method of the service.
#[derive(Clone, Copy)]
struct Calls;

impl Service<http::Request<Body>> for Calls {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move { Ok(server::Grpc::new(Raw).streaming(Method(method), request).await) })
    }
}

/// One of them, by its name.
struct Method(String);

impl StreamingService<Message> for Method {
    type Response = Message;
    type ResponseStream = Answers;
    type Future = BoxFuture<Response<Answers>, Status>;

    fn call(&mut self, request: Request<Streaming<Message>>) -> Self::Future {
        let method = self.0.clone();
        Box::pin(async move { answer(&method, request.into_inner()).await.map(Response::new) })
    }
}

async fn answer(method: &str, mut messages: Streaming<Message>) -> Result<Answers, Status> {
    match method {
        "None" => return Err(Status::unimplemented("no such method")),
        "Both" => return Ok(Box::pin(messages)),
        "Up" => {
            let mut sum = 0;
            while let Some(message) = messages.message().await? {
                sum += message.len();
            }
            return Ok(one(sum.to_string().into_bytes()));
        }
        "Down" => return Ok(Box::pin(some(20, 100, Duration::from_millis(10), Ok))),
        _ => {}
    }
    let message = messages.message().await?.unwrap_or_default();
    if message == b"fail" {
        return Err(Status::not_found("no"));
    }
    let text = String::from_utf8_lossy(&message).into_owned();
    let wait_ms = if method == "Slow" { 2_000 } else { text.parse().unwrap_or(0) };
    sleep(Duration::from_millis(wait_ms)).await;
    Ok(one(message))
}

fn one(message: Message) -> Answers {
    Box::pin(tokio_stream::once(Ok(message)))
}

/// Messages with pauses between them, each counted from the beginning, so that none adds up.
fn some<T: Send + 'static>(
    count: u32,
    size: usize,
    pause: Duration,
    wrap: fn(Message) -> T,
) -> ReceiverStream<T> {
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        let begun = Instant::now();
        for n in 1..=count {
            sleep_until(begun + pause * n).await;
            if send.send(wrap(vec![b'y'; size])).await.is_err() {
                break;
            }
        }
    });
    ReceiverStream::new(receive)
}

async fn connect(port: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?.connect().await?)
}

/// Row by row on stdout.
async fn ledger(id: &str, method: &str, attempt: impl Future<Output = Result<()>>) -> Result<()> {
    let start = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let begun = Instant::now();
    let status = match attempt.await {
        Ok(()) => 0,
        Err(error) => i32::from(error.downcast::<Status>().context("only calls fail")?.code()),
    };
    let end = start + begun.elapsed();
    println!(
        r#"{{"id":"{id}","method":"/t.Calls/{method}","status":"{status}","start":{},"end":{}}}"#,
        start.as_nanos(),
        end.as_nanos()
    );
    Ok(())
}

fn named<T>(id: &str, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-call", id.parse()?);
    Ok(request)
}

fn path(method: &str) -> Result<http::uri::PathAndQuery> {
    Ok(format!("/t.Calls/{method}").parse()?)
}

async fn unary(
    channel: &Channel,
    id: String,
    method: &str,
    message: &str,
    deadline: Option<Duration>,
) -> Result<()> {
    let mut grpc = client::Grpc::new(channel.clone());
    ledger(&id, method, async {
        grpc.ready().await?;
        let mut request = named(&id, message.as_bytes().to_vec())?;
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        grpc.unary(request, path(method)?, Raw).await?;
        Ok(())
    })
    .await
}

async fn stream(
    channel: &Channel,
    id: String,
    method: &str,
    messages: ReceiverStream<Message>,
) -> Result<()> {
    let mut grpc = client::Grpc::new(channel.clone());
    ledger(&id, method, async {
        grpc.ready().await?;
        let mut answers = grpc.streaming(named(&id, messages)?, path(method)?, Raw).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok(())
    })
    .await
}

async fn cancelled(channel: &Channel, id: String) -> Result<()> {
    let mut grpc = client::Grpc::new(channel.clone());
    ledger(&id, "Slow", async {
        grpc.ready().await?;
        let call = grpc.unary(named(&id, b"a".to_vec())?, path("Slow")?, Raw);
        match timeout(Duration::from_millis(100), call).await {
            Ok(answer) => answer.map(drop)?,
            // The future is dropped: that is how tonic's callers cancel.
            Err(_) => return Err(Status::cancelled("enough").into()),
        }
        Ok(())
    })
    .await
}

async fn call(channel: Channel, name: &str) -> Result<()> {
    let id = |kind: &str| format!("{name}-{kind}");
    let few = || some(1, 10, Duration::ZERO, |message| message);
    unary(&channel, id("warm1"), "Unary", "a", None).await?;
    stream(&channel, id("warm2"), "Both", some(2, 10, Duration::ZERO, |message| message)).await?;
    tokio::try_join!(
        unary(&channel, id("unary"), "Unary", "a", None),
        unary(&channel, id("fail"), "Unary", "fail", None),
        unary(&channel, id("none"), "None", "a", None),
        stream(&channel, id("down"), "Down", few()),
        stream(&channel, id("up"), "Up", some(50, 1_000, Duration::from_millis(5), |message| message)),
        stream(&channel, id("both"), "Both", some(100, 1_000, Duration::from_millis(50), |message| message)),
        unary(&channel, id("late"), "Slow", "a", Some(Duration::from_millis(300))),
        cancelled(&channel, id("cancelled")),
    )?;
    Ok(())
}

/// Four calls at a time, of ever more methods.
async fn busy(channel: Channel, lasts: Duration) {
    let begun = Instant::now();
    let channel = Arc::new(channel);
    let worker = |w: u64| {
        let channel = channel.clone();
        async move {
            for n in 0.. {
                let elapsed = begun.elapsed();
                if elapsed >= lasts {
                    break;
                }
                let methods = (8 + 8 * elapsed.as_secs()).min(64);
                let method = format!("M{}", (w * 31 + n * 17) % methods);
                let wait = (5 + (w * 11 + n * 7) % 25).to_string();
                if unary(&channel, format!("busy-{w}-{n}"), &method, &wait, None).await.is_err() {
                    break;
                }
            }
        }
    };
    tokio::join!(worker(0), worker(1), worker(2), worker(3));
}
