//! OTLP/JSON lines: one `ExportTraceServiceRequest` per line, and nothing else on that stream.
//!
//! Shape: a batch → a line (see `encode`) → [`Outcome`]. Every batch is flushed. A reader that went away ends the stream, it is no
//! error.
use super::{
    encode,
    outcome::{Outcome, Trouble},
    stamped::Stamped,
};
use std::{
    io::{self, ErrorKind},
    sync::Arc,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Where lines go.
pub(super) type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// A stream of lines.
pub(super) struct Json {
    output: Output,
    line: Vec<u8>,
}

impl Json {
    pub(super) fn new(output: Output) -> Json {
        Json { output, line: Vec::new() }
    }

    pub(super) async fn send(&mut self, spans: &[Arc<Stamped>]) -> Outcome {
        self.line.clear();
        if let Err(error) = encode::json(spans, &mut self.line) {
            return Outcome::Refused(Trouble::Write(error.into()));
        }
        self.line.push(b'\n');
        let bytes = self.line.len() as u64;
        written(write(&mut self.output, &self.line).await, bytes)
    }
}

/// What a write to a person or a program comes to.
pub(super) fn written(result: io::Result<()>, bytes: u64) -> Outcome {
    match result {
        Ok(()) => Outcome::Delivered { bytes, rejected: 0, message: String::new() },
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Outcome::Closed,
        Err(error) => Outcome::Refused(Trouble::Write(error)),
    }
}

/// All of it, and out of the buffers.
pub(super) async fn write(output: &mut Output, bytes: &[u8]) -> io::Result<()> {
    output.write_all(bytes).await?;
    output.flush().await
}
