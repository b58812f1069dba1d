//! The protocols that are understood: one file each, one line in the list below.
//!
//! Shape: a [`Protocol`] recognises the first bytes of a message; the [`Parser`] it opens cuts one connection's two streams
//! into [`Frame`]s. Bodies are never looked at: a frame says how long one is and `assemble` passes over it by arithmetic,
//! whether its bytes were copied or not. Not here: loss, pairing, time (see `assemble`).
use crate::exchange::{Answer, Call};

mod foreign;
pub(crate) mod grpc;
pub(crate) mod http2;
mod keep;

pub(crate) use {foreign::Foreign, keep::KeepList};

/// Expands to the modules and the table of protocols, in sniffing order: strictest first.
macro_rules! protocols {
    ($($module:ident::$name:ident),+ $(,)?) => {
        $(mod $module;)+
        /// The module of each row: the name of its folder of conversations.
        #[cfg(test)]
        static MODULES: &[&str] = &[$(stringify!($module)),+];
        /// Every protocol, strictest sniffer first.
        pub(crate) static PROTOCOLS: &[&dyn Protocol] = &[$(&$module::$name),+];
    };
}

protocols! {
    http1::Http1, // a whole start line with its version: nothing else looks like it
}

/// Which half of an exchange a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Requests.
    Request,
    /// Responses.
    Response,
}

/// What a sniffer makes of the first bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sniff {
    /// Not this protocol.
    No,
    /// It may be: more bytes are needed.
    Short,
    /// It is.
    Yes(Part),
}

/// A protocol, without state.
pub(crate) trait Protocol: Sync {
    /// The semantic conventions' `network.protocol.name`.
    fn name(&self) -> &'static str;
    /// Looks at what may be the start of a message.
    fn sniff(&self, bytes: &[u8]) -> Sniff;
    /// A parser for one connection.
    fn open(&self) -> Box<dyn Parser>;
}

/// What the framing of a response depends on in its request; the value is private to the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked(pub(crate) u8);

/// What a parser is told beside the bytes.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Header fields to retain.
    pub(crate) keep: &'a KeepList,
    /// For a response: what its request asked.
    pub(crate) asked: Asked,
}

/// What a parser made of the bytes that lie ahead.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Not a whole frame: come again with these bytes and more.
    Need,
    /// A frame, and how many bytes it took, at least one.
    Got(Frame, usize),
    /// Not this protocol.
    Bad,
}

/// One step of a stream.
#[derive(Debug)]
pub(crate) enum Frame {
    /// A message begins.
    Head(Head),
    /// The next so many bytes are body.
    Payload(u64),
    /// A framed body, and its message, ended.
    End,
}

/// The head of a message.
#[derive(Debug)]
pub(crate) struct Head {
    /// What it says.
    pub(crate) message: Message,
    /// What follows.
    pub(crate) body: Body,
}

/// What a head says.
#[derive(Debug)]
pub(crate) enum Message {
    /// A request.
    Request(Call, Asked),
    /// A response that is not the final one: it ends with its head.
    Interim,
    /// The final response.
    Response(Answer),
}

/// How the body that follows a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// There is none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// By frames within: ask the parser.
    Framed,
    /// By the end of the connection.
    UntilClose,
    /// It cannot be told.
    Unknown,
    /// The connection is something else from here on.
    Switch,
    /// The connection speaks HTTP/2 from here on, and this is the first stream's. RFC 7540 §3.2.
    SwitchToHttp2,
}

/// Cuts the two streams of one connection into frames.
pub(crate) trait Parser: Send {
    /// Reads the frame at the start of `bytes`, which continue the stream without a gap.
    fn read(&mut self, part: Part, bytes: &[u8], reading: &Reading<'_>) -> Progress;
    /// What the start of a head says whose rest will not come, if its start line is whole.
    fn give_up(&mut self, part: Part, bytes: &[u8], reading: &Reading<'_>) -> Option<Head>;
    /// The next bytes of this part begin a message.
    fn reset(&mut self, part: Part);
    /// The last bytes of a framed body, to wait for when its frames are not seen.
    fn tail(&self) -> &'static [u8];
}

#[cfg(test)]
mod tests;
