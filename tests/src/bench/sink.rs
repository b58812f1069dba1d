//! A collector that takes everything and keeps nothing, so that an export costs its sender only.
//!
//! Shape: OTLP/HTTP posts → `200` with an empty message. It runs until the process ends.
use anyhow::Result;
use std::{
    io::{BufRead, BufReader, Read, Write, copy, sink},
    net::{TcpListener, TcpStream},
};

/// Where it listens.
pub(super) struct Sink {
    port: u16,
}

impl Sink {
    /// Starts it on a free port.
    pub(super) fn start() -> Result<Sink> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    // A sender that hangs up is done.
                    let _ = serve(stream);
                });
            }
        });
        Ok(Sink { port })
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn serve(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(1 << 20, stream);
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line)? > 0 {
        let field = line.trim_end().to_ascii_lowercase();
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if field.is_empty() {
            copy(&mut stream.by_ref().take(length), &mut sink())?;
            let answer =
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
            stream.get_mut().write_all(answer.as_bytes())?;
            length = 0;
        }
        line.clear();
    }
    Ok(())
}
