//! An HTTP/1.1 client that shapes every byte: how requests are cut, pipelined, left unfinished.
//!
//! Shape: bytes as given → [`Response`]s as they come. Not here: what a normal client does (worlds use curl for that).
use anyhow::{Context, Result, bail, ensure};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

/// A response, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status, interim ones included.
    pub status: u16,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body's first bytes.
    pub body: Vec<u8>,
    /// How long the whole body was.
    pub body_bytes: u64,
}

/// Of a body, that much is kept.
const KEPT: u64 = 64 * 1024;

impl Connection {
    /// Connects, without Nagle: each write is its own segment.
    pub fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        Ok(Connection { stream: BufReader::with_capacity(256 * 1024, stream) })
    }

    /// Waits that long for each part of a response, for servers that are slow on purpose.
    pub fn patient(self, patience: Duration) -> Result<Connection> {
        self.stream.get_ref().set_read_timeout(Some(patience))?;
        Ok(self)
    }

    /// One write.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes.as_ref())?)
    }

    /// The same bytes in that many writes.
    pub fn send_in(&mut self, writes: usize, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(bytes.len().div_ceil(writes).max(1)) {
            self.send(piece)?;
        }
        Ok(())
    }

    /// Half-closes: nothing more will come from us.
    pub fn finish(&mut self) -> Result<()> {
        Ok(self.stream.get_mut().shutdown(std::net::Shutdown::Write)?)
    }

    /// The local port: what the server sees as `network.peer.port`.
    pub fn local_port(&self) -> Result<u16> {
        Ok(self.stream.get_ref().local_addr()?.port())
    }

    /// Whom we ask.
    pub fn peer(&self) -> Result<SocketAddr> {
        Ok(self.stream.get_ref().peer_addr()?)
    }

    /// The next response; `method` decides whether it has a body.
    pub fn response(&mut self, method: &str) -> Result<Response> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.with_context(|| format!("not a status line: {status_line:?}"))?;
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response { status, fields, body: Vec::new(), body_bytes: 0 };
        if method != "HEAD" && status >= 200 && status != 204 && status != 304 {
            self.body(&mut response)?;
        }
        Ok(response)
    }

    /// A GET, and its response.
    pub fn get(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Response> {
        self.send(request("GET", path, fields))?;
        self.response("GET")
    }

    /// The rest of what the peer sends until it closes.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn body(&mut self, response: &mut Response) -> Result<()> {
        if response.field("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line()?;
                let size = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
                    .with_context(|| format!("not a chunk size: {line:?}"))?;
                if size == 0 {
                    break;
                }
                self.take(response, size)?;
                ensure!(self.line()?.is_empty(), "no line end after a chunk");
            }
            while !self.line()?.is_empty() {}
            return Ok(());
        }
        match response.field("content-length") {
            Some(length) => self.take(response, length.parse()?),
            None => self.take(response, u64::MAX),
        }
    }

    /// Reads that many bytes, or to the end if there is no number.
    fn take(&mut self, response: &mut Response, length: u64) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let buffer = self.stream.fill_buf()?;
            if buffer.is_empty() {
                ensure!(length == u64::MAX, "the body ended {left} bytes early");
                return Ok(());
            }
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let keep = usize::try_from(KEPT.saturating_sub(response.body_bytes))?.min(now);
            response.body.extend(buffer.iter().take(keep));
            response.body_bytes += now as u64;
            left = left.saturating_sub(now as u64);
            self.stream.consume(now);
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            bail!("the peer closed the connection where a line was due");
        }
        Ok(String::from_utf8(line)?.trim_end().to_owned())
    }
}

impl Response {
    /// A field's first value.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str())
    }
}

/// A request's head, names and values as given.
pub fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: example.test\r\n");
    for (name, value) in fields {
        head += &format!("{name}: {value}\r\n");
    }
    head + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answered(bytes: &'static [u8]) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(bytes).unwrap());
        Connection::open(address).unwrap()
    }

    #[test]
    fn chunks_lengths_and_the_end_of_the_connection_all_end_a_body() {
        let mut peer = answered(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n\
              HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nxyHTTP/1.1 204 None\r\n\r\nHTTP/1.0 200 OK\r\n\r\nrest",
        );
        let seen: Vec<(u16, Vec<u8>)> = (0..5)
            .map(|_| peer.response("GET").map(|response| (response.status, response.body)).unwrap())
            .collect();
        let bodies: [(u16, &[u8]); 5] = [(100, b""), (200, b"abc"), (404, b"xy"), (204, b""), (200, b"rest")];
        assert_eq!(seen, bodies.map(|(status, body)| (status, body.to_vec())));
    }

    #[test]
    fn a_body_that_is_cut_short_is_an_error() {
        let mut peer = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        assert_eq!(peer.response("GET").unwrap_err().to_string(), "the body ended 7 bytes early");
    }
}
