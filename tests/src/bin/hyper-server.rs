//! An ordinary hyper server, HTTP/1.1 or HTTP/2 without TLS, with routes that behave in every way that matters to an observer.
//!
//! Shape: `hyper-server PORT [h2]`. `/status/N…` answers N; `/length/N` N bytes; `/chunks/N` N chunks; `/echo…` sends the
//! request's body back in chunks as it comes; `/sink…` reads the body, then
//! answers its length; `/early…` answers 413 without reading; `/upgrade` becomes an echo.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    header,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    net::{Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{self, Poll},
};
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let port: u16 = std::env::args().nth(1).context("usage: hyper-server PORT [h2]")?.parse()?;
    let is_h2 = std::env::args().nth(2).is_some_and(|version| version == "h2");
    let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        if is_h2 {
            tokio::spawn(serve_h2(stream));
        } else {
            tokio::spawn(serve(stream));
        }
    }
}

async fn serve_h2(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let connection = http2::Builder::new(TokioExecutor::new());
    let _ = connection.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn serve(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .max_buf_size(512 * 1024)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    // A client that goes away is part of the play.
    let _ = connection.with_upgrades().await;
}

async fn answer(request: Request<Incoming>) -> Result<Answer> {
    let path = request.uri().path().to_owned();
    let mut parts = path.split('/').skip(1);
    let (route, number) =
        (parts.next().unwrap_or_default(), parts.next().and_then(|text| text.parse::<u16>().ok()));
    Ok(match (route, number) {
        ("status", Some(status)) if status == 204 || status == 304 => plain(status, empty())?,
        ("status", Some(status)) => plain(status, full(vec![b'x'; 5]))?,
        ("length", Some(length)) => plain(200, full(vec![b'x'; usize::from(length)]))?,
        ("chunks", Some(count)) => {
            plain(200, Chunks { left: count }.map_err(|never| match never {}).boxed())?
        }
        ("echo", _) => plain(200, Unsized { inner: request.into_body() }.boxed())?,
        ("sink", _) => {
            let bytes = request.into_body().collect().await?.to_bytes();
            plain(200, full(bytes.len().to_string().into_bytes()))?
        }
        ("early", _) => plain(413, full(b"too much".to_vec()))?,
        ("upgrade", _) => upgrade(request)?,
        _ => plain(200, full(path.into_bytes()))?,
    })
}

fn plain(status: u16, body: BoxBody<Bytes, hyper::Error>) -> Result<Answer> {
    Ok(Response::builder().status(status).body(body)?)
}

fn full(bytes: Vec<u8>) -> BoxBody<Bytes, hyper::Error> {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed()
}

fn empty() -> BoxBody<Bytes, hyper::Error> {
    Empty::new().map_err(|never| match never {}).boxed()
}

fn upgrade(request: Request<Incoming>) -> Result<Answer> {
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let (mut here, mut there) = tokio::io::duplex(4096);
        let (mut read, mut write) = tokio::io::split(&mut there);
        let echo = async {
            tokio::io::copy(&mut read, &mut write).await?;
            write.shutdown().await
        };
        let mut io = TokioIo::new(upgraded);
        let _ = tokio::join!(copy_bidirectional(&mut io, &mut here), echo);
    });
    let builder =
        Response::builder().status(101).header(header::UPGRADE, "echo").header(header::CONNECTION, "upgrade");
    Ok(builder.body(empty())?)
}

/// So many chunks of five bytes.
struct Chunks {
    left: u16,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"chunk")))))
    }
}

/// A body that does not tell its length, so that it is sent in chunks.
struct Unsized {
    inner: Incoming,
}

impl Body for Unsized {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        ctx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.inner).poll_frame(ctx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
