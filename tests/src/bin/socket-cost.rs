//! `socket-cost PORT`: what a socket call costs in this process, measured again at every line on stdin.
//!
//! Shape: `ROUNDS` on stdin → one JSON line with the best nanoseconds per call of each kind. The socket calls are one
//! exchange of HTTP over loopback, both ends here and in one thread: write, read, write, read, 100 bytes each, so there
//! is no scheduler in the figure. The process listens on PORT, so that the agent can be told to observe it.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use std::{
    fs::File,
    hint::black_box,
    io::{BufRead, Read, Write},
    net::{TcpListener, TcpStream},
    time::Instant,
};

/// Exchanges, or calls, per round.
const BATCH: u32 = 2_000;

fn main() -> Result<()> {
    let port: u16 = std::env::args().nth(1).context("usage: socket-cost PORT")?.parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let mut client = TcpStream::connect(("127.0.0.1", port))?;
    let (mut server, _) = listener.accept()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut zero = File::open("/dev/zero")?;
    for line in std::io::stdin().lock().lines() {
        let rounds: u32 = line?.trim().parse().context("a number of rounds")?;
        let (mut socket, mut file, mut other) = (f64::MAX, f64::MAX, f64::MAX);
        for _ in 0..rounds {
            socket = socket.min(timed(|| exchange(&mut client, &mut server))? / 4.0);
            file = file.min(timed(|| Ok(zero.read_exact(&mut [0; 100])?))?);
            other = other.min(timed(|| {
                black_box(rustix::process::getppid());
                Ok(())
            })?);
        }
        println!("{}", serde_json::json!({ "socket_ns": socket, "file_read_ns": file, "getppid_ns": other }));
    }
    Ok(())
}

fn timed(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    for _ in 0..BATCH {
        call()?;
    }
    Ok(begun.elapsed().as_nanos() as f64 / f64::from(BATCH))
}

fn exchange(client: &mut TcpStream, server: &mut TcpStream) -> Result<()> {
    const REQUEST: &[u8; 100] =
        b"GET /0123456789 HTTP/1.1\r\nHost: localhost\r\nX-Fill: 012345678901234567890123456789012345678901234\r\n\r\n";
    const RESPONSE: &[u8; 100] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nX-A: 5678\r\n\r\n01234567890123456789012345678901234567890123456789";
    let mut buffer = [0; 100];
    client.write_all(REQUEST)?;
    server.read_exact(&mut buffer)?;
    ensure!(buffer == *REQUEST, "other bytes");
    server.write_all(RESPONSE)?;
    client.read_exact(&mut buffer)?;
    Ok(())
}
