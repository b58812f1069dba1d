//! The leaf of the ledger's worlds: answers as its path says and calls nobody.
//!
//! Shape: `PORT`, `SERVICE` and `LEDGER` from the environment → hyper on loopback (or `HOST`), a row per request.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "a program under test is told by its environment, like the others"
)]

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{
    env,
    fs::File,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::net::{TcpListener, TcpSocket};
use wirespan_tests::{
    ledger::{HEADER, Kind, Row},
    truth::plan::DELAYS_MS,
};

struct Leaf {
    service: String,
    ledger: Mutex<File>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let port: u16 = env::var("PORT").context("PORT")?.parse()?;
    let service = env::var("SERVICE").context("SERVICE")?;
    let folder = PathBuf::from(env::var("LEDGER").context("LEDGER")?);
    let ledger = Mutex::new(File::create(folder.join(format!("{service}-{}.jsonl", std::process::id())))?);
    let leaf = Arc::new(Leaf { service, ledger });
    let listener = listen(port)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let leaf = leaf.clone();
        let serve = service_fn(move |request| {
            let leaf = leaf.clone();
            async move { leaf.answer(request).await }
        });
        // HTTP/1, or HTTP/2 by prior knowledge. A client that goes away is part of the play.
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            drop(builder.serve_connection(TokioIo::new(stream), serve).await)
        });
    }
}

fn listen(port: u16) -> Result<TcpListener> {
    let host = env::var("HOST").map_or(Ok(Ipv4Addr::LOCALHOST), |text| text.parse())?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((host, port)))?;
    Ok(socket.listen(4096)?)
}

impl Leaf {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let start_ns = unix_ns()?;
        let path = request.uri().path().to_owned();
        let digit = |at: usize| {
            path.as_bytes().get("/t/".len() + at).map(|digit| usize::from(digit.wrapping_sub(b'0')))
        };
        let delay = digit(2).and_then(|digit| DELAYS_MS.get(digit)).copied().unwrap_or(0);
        let status = match digit(3) {
            Some(4) => 404,
            Some(5) => 500,
            _ => 200,
        };
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let call =
            request.headers().get(HEADER).and_then(|value| value.to_str().ok()).context("an id")?.to_owned();
        let method = request.method().to_string();
        // A body that nobody reads would end the connection.
        request.into_body().collect().await?;
        let row = Row {
            id: format!("{call}/s"),
            parent: Some(call.clone()),
            kind: Kind::Server,
            call: call.clone(),
            service: self.service.clone(),
            pid: std::process::id(),
            method,
            path: path.clone(),
            status,
            start_ns,
            end_ns: unix_ns()?,
        };
        let line = serde_json::to_string(&row)? + "\n";
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())?;
        Ok(Response::builder().status(status).body(Full::from("leaf"))?)
    }
}

fn unix_ns() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}
