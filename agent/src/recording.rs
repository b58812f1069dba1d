//! The ring as a file: what `record` writes and `replay` reads, so that every field report becomes a test.
//!
//! Shape: a magic line, then frames of `kind: u8, len: u32 little endian, len bytes`. The first frame is [`Meta`] as JSON;
//! the others are ring records as the kernel wrote them, the facts of each process as JSON, before its first record, and
//! when it was noticed that records were lost, and until when the agent looked, as `u64` little endian: what a replay may
//! conclude depends on both.
//! Clock: records carry monotonic time; `Meta` carries the offset to Unix time, so a replay prints the times of the original.
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;
use wirespan_core::event::Nanos;

/// First bytes of every recording; the digit is the format's version.
const MAGIC: &[u8; 12] = b"wirespan-r1\n";
/// Longest frame that is believed: the largest ring record is a quarter of it.
const MAX_FRAME_BYTES: u32 = 1 << 20;

const KIND_META: u8 = 0;
const KIND_RECORD: u8 = 1;
const KIND_PROCESS: u8 = 2;
const KIND_LOSS: u8 = 3;
const KIND_END: u8 = 4;

/// Why a recording cannot be written or read.
#[derive(Debug, Error)]
pub enum Error {
    /// The file system said no.
    #[error("cannot use recording {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another kind of file, or another version.
    #[error("{} is not a recording of this version", path.display())]
    NotARecording {
        /// Which file.
        path: PathBuf,
    },
    /// A frame that no version writes.
    #[error("recording {} is damaged at byte {at}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the bad frame begins.
        at: u64,
    },
}

/// Facts of the machine and the agent that wrote a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the agent.
    pub agent: String,
    /// Unix nanoseconds minus monotonic nanoseconds when recording began.
    pub unix_minus_monotonic_ns: i64,
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a, P> {
    /// A ring record.
    Record(&'a [u8]),
    /// Facts of a process.
    Process(P),
    /// It was noticed that records had been lost; when.
    Loss(Nanos),
    /// Nothing more came until then. Missing if the recorder was killed.
    End(Nanos),
}

/// Writes a recording. Dropping it flushes what it can; [`Writer::finish`] tells whether that worked.
pub struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    records: u64,
}

impl Writer {
    /// Creates or overwrites `path`.
    pub fn create(path: &Path, meta: &Meta) -> Result<Writer, Error> {
        let file = File::create(path).map_err(|source| Error::File { path: path.into(), source })?;
        let mut writer =
            Writer { path: path.into(), file: BufWriter::with_capacity(1 << 18, file), records: 0 };
        writer.file.write_all(MAGIC).map_err(|source| writer.error(source))?;
        writer.json(KIND_META, meta)?;
        Ok(writer)
    }

    /// Appends a ring record as it is.
    pub fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.records += 1;
        self.frame(KIND_RECORD, record)
    }

    /// Appends the facts of a process.
    pub fn process<P: Serialize>(&mut self, facts: &P) -> Result<(), Error> {
        self.json(KIND_PROCESS, facts)
    }

    /// Notes that records were lost, as of `at`.
    pub fn loss(&mut self, at: Nanos) -> Result<(), Error> {
        self.frame(KIND_LOSS, &at.0.to_le_bytes())
    }

    /// Notes that nothing more came until `at`, flushes, and returns how many records were written.
    pub fn finish(mut self, at: Nanos) -> Result<u64, Error> {
        self.frame(KIND_END, &at.0.to_le_bytes())?;
        self.file.flush().map_err(|source| self.error(source))?;
        Ok(self.records)
    }

    fn json<T: Serialize>(&mut self, kind: u8, value: &T) -> Result<(), Error> {
        let bytes = serde_json::to_vec(value).map_err(|error| self.error(error.into()))?;
        self.frame(kind, &bytes)
    }

    fn frame(&mut self, kind: u8, bytes: &[u8]) -> Result<(), Error> {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let written = self.file.write_all(&[kind]).and_then(|()| self.file.write_all(&len));
        written.and_then(|()| self.file.write_all(bytes)).map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> Error {
        Error::File { path: self.path.clone(), source }
    }
}

/// Reads a recording. A file that ends inside a frame (the recorder was killed) ends at the last whole frame.
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    /// Where the current frame begins, and where the next one does.
    at: u64,
    next: u64,
    meta: Meta,
    /// The current frame.
    bytes: Vec<u8>,
}

impl Reader {
    /// Opens `path` and reads its [`Meta`].
    pub fn open(path: &Path) -> Result<Reader, Error> {
        let failed = |source| Error::File { path: path.into(), source };
        let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(failed)?);
        let mut magic = [0; MAGIC.len()];
        let not_one = || Error::NotARecording { path: path.into() };
        file.read_exact(&mut magic).map_err(|_| not_one())?;
        if &magic != MAGIC {
            return Err(not_one());
        }
        let none = Meta { agent: String::new(), unix_minus_monotonic_ns: 0 };
        let mut reader = Reader {
            path: path.into(),
            file,
            at: 0,
            next: MAGIC.len() as u64,
            meta: none,
            bytes: Vec::new(),
        };
        match reader.frame()? {
            Some(KIND_META) => reader.meta = reader.parse()?,
            _ => return Err(not_one()),
        }
        Ok(reader)
    }

    /// Who wrote it, and when.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The next frame, `None` at the end.
    pub fn read<P: DeserializeOwned>(&mut self) -> Result<Option<Frame<'_, P>>, Error> {
        match self.frame()? {
            None => Ok(None),
            Some(KIND_RECORD) => Ok(Some(Frame::Record(&self.bytes))),
            Some(KIND_PROCESS) => Ok(Some(Frame::Process(self.parse()?))),
            Some(KIND_LOSS) => Ok(Some(Frame::Loss(self.time()?))),
            Some(KIND_END) => Ok(Some(Frame::End(self.time()?))),
            Some(_) => Err(self.damaged()),
        }
    }

    /// Reads a frame into `bytes`; its kind, or `None` if the file ends first.
    fn frame(&mut self) -> Result<Option<u8>, Error> {
        self.at = self.next;
        let mut head = [0; 5];
        if !fill(&mut self.file, &self.path, &mut head)? {
            return Ok(None);
        }
        let [kind, a, b, c, d] = head;
        let len = u32::from_le_bytes([a, b, c, d]);
        if len > MAX_FRAME_BYTES {
            return Err(self.damaged());
        }
        self.bytes.resize(len as usize, 0);
        if !fill(&mut self.file, &self.path, &mut self.bytes)? {
            return Ok(None);
        }
        self.next += 5 + u64::from(len);
        Ok(Some(kind))
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|_| self.damaged())
    }

    fn time(&self) -> Result<Nanos, Error> {
        let at = <[u8; 8]>::try_from(self.bytes.as_slice()).map_err(|_| self.damaged())?;
        Ok(Nanos(u64::from_le_bytes(at)))
    }

    fn damaged(&self) -> Error {
        Error::Damaged { path: self.path.clone(), at: self.at }
    }
}

/// False if the file ends first.
fn fill(file: &mut impl Read, path: &Path, bytes: &mut [u8]) -> Result<bool, Error> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(source) => Err(Error::File { path: path.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta { agent: "0.1.0".into(), unix_minus_monotonic_ns: -5 }
    }

    /// Frames in words.
    fn read_all(path: &Path) -> Result<Vec<String>, Error> {
        let mut reader = Reader::open(path)?;
        let mut frames = Vec::new();
        while let Some(frame) = reader.read::<String>()? {
            frames.push(match frame {
                Frame::Record(bytes) => format!("record {}", bytes.escape_ascii()),
                Frame::Process(facts) => format!("process {facts}"),
                Frame::Loss(at) => format!("loss {}", at.0),
                Frame::End(at) => format!("end {}", at.0),
            });
        }
        Ok(frames)
    }

    fn sample(path: &Path) -> Vec<String> {
        let mut writer = Writer::create(path, &meta()).unwrap();
        writer.process(&"shop").unwrap();
        writer.record(b"abc").unwrap();
        writer.loss(Nanos(7)).unwrap();
        writer.record(b"").unwrap();
        assert_eq!(writer.finish(Nanos(9)).unwrap(), 2);
        ["process shop", "record abc", "loss 7", "record ", "end 9"].map(str::to_owned).to_vec()
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let frames = sample(&path);
        assert_eq!(Reader::open(&path).unwrap().meta(), &meta());
        assert_eq!(read_all(&path).unwrap(), frames);
    }

    #[test]
    fn a_recording_cut_anywhere_is_read_up_to_its_last_whole_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let frames = sample(&path);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            match read_all(&path) {
                Ok(read) => assert!(frames.starts_with(&read), "cut at {cut}"),
                Err(Error::NotARecording { .. }) => assert!(cut < 80, "cut at {cut}"),
                Err(error) => panic!("cut at {cut}: {error}"),
            }
        }
    }

    #[test]
    fn damage_is_said_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        sample(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 13;
        bytes[last] = 99;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(read_all(&path), Err(Error::Damaged { at, .. }) if at == last as u64));
        std::fs::write(&path, b"PK\x03\x04 something else").unwrap();
        assert!(matches!(read_all(&path), Err(Error::NotARecording { .. })));
    }
}
