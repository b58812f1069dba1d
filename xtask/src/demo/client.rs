//! A browser's part: HTTP/1.1 over one kept connection.
//!
//! Shape: method, path, JSON body → status. The body is read to its end and thrown away. Source: RFC 9112 §6, §7.
//! Not here: TLS, redirects, pipelining.
use anyhow::{Context, Result, bail};
use std::{
    io::{BufRead, BufReader, Read, Write, copy, sink},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// How long an answer may take before the request counts as failed.
const PATIENCE: Duration = Duration::from_secs(15);
/// A line of a response's head is shorter than this.
const LINE: u64 = 16 * 1024;

/// A client of one port on loopback. It connects when it must.
pub(super) struct Client {
    port: u16,
    connection: Option<BufReader<TcpStream>>,
}

/// How a response's body ends.
enum Body {
    Length(u64),
    Chunked,
    Close,
}

impl Client {
    /// Nothing is connected yet.
    pub(super) fn new(port: u16) -> Client {
        Client { port, connection: None }
    }

    /// Sends one request and reads the answer. A kept connection that the server closed meanwhile is replaced once.
    pub(super) fn send(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<u16> {
        let kept = self.connection.is_some();
        match self.exchange(method, path, body) {
            Err(_) if kept => self.exchange(method, path, body),
            answer => answer,
        }
    }

    fn exchange(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<u16> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let body = body.unwrap_or_default();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port);
        request.push_str("User-Agent: shopper\r\nAccept: application/json\r\n");
        if !body.is_empty() {
            request
                .push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        connection.get_mut().write_all(request.as_bytes()).context("send a request")?;

        let (status, ending, keep) = head(&mut connection)?;
        match ending {
            Body::Length(length) => {
                let read = copy(&mut connection.by_ref().take(length), &mut sink())?;
                if read < length {
                    bail!("the answer ended after {read} of {length} bytes");
                }
            }
            Body::Chunked => skip_chunks(&mut connection)?,
            Body::Close => {
                copy(&mut connection, &mut sink())?;
            }
        }
        if keep {
            self.connection = Some(connection);
        }
        Ok(status)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}

/// Status, how the body ends, and whether the connection is kept.
fn head(connection: &mut impl BufRead) -> Result<(u16, Body, bool)> {
    let first = line(connection)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("`{first}` is no status line"))?;
    let mut body = if matches!(status, 204 | 304) { Body::Length(0) } else { Body::Close };
    let mut keep = true;
    loop {
        let field = line(connection)?;
        if field.is_empty() {
            break;
        }
        let Some((name, value)) = field.split_once(':') else { continue };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => body = Body::Length(value.parse().context("Content-Length")?),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => body = Body::Chunked,
            "connection" if value.eq_ignore_ascii_case("close") => keep = false,
            _ => {}
        }
    }
    let keep = keep && !matches!(body, Body::Close);
    Ok((status, body, keep))
}

fn skip_chunks(connection: &mut impl BufRead) -> Result<()> {
    loop {
        let size = line(connection)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).with_context(|| format!("`{size}` is no chunk size"))?;
        if size == 0 {
            break;
        }
        copy(&mut connection.by_ref().take(size + 2), &mut sink())?;
    }
    while !line(connection)?.is_empty() {}
    Ok(())
}

fn line(connection: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    let read = connection.by_ref().take(LINE).read_line(&mut line).context("read an answer")?;
    if read == 0 {
        bail!("the connection was closed before an answer");
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    /// Answers each request on one connection with the next text.
    fn server(answers: &'static [&'static str]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            for answer in answers {
                while !line(&mut stream).unwrap().is_empty() {}
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        port
    }

    #[test]
    fn one_connection_carries_answers_of_every_framing() {
        let mut client = Client::new(server(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 500 Oh\r\n\r\nuntil the end",
        ]));
        let statuses: Vec<u16> = (0..4).map(|_| client.send("GET", "/", None).unwrap()).collect();
        assert_eq!(statuses, [200, 404, 204, 500]);
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        let mut client = Client::new(server(&["HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"]));
        assert!(client.send("GET", "/", None).is_err());
    }
}
