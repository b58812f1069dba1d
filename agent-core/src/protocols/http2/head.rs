//! What a header block says: pseudo-header fields, and the fields that are kept. RFC 9113 §8.3, RFC 8441.
//!
//! A name or a value that is not known is absent, and the block is *cut*.
use super::hpack::{Decoder, Field, Malformed};
use crate::{
    exchange::{self, HttpRequest, HttpResponse},
    protocols::{KeepList, grpc},
};
use bytes::Bytes;

/// Longest target that is retained; the contract of [`HttpRequest::target`].
const TARGET_BYTES: usize = 8 * 1024;
/// Bytes of fields that are retained of one block: an indexed field costs a byte and may stand for thousands.
const KEPT_BYTES: usize = 64 * 1024;
/// What a field costs beside its octets: a block of one-byte references may have thousands of them.
const FIELD_BYTES: usize = 64;
/// Bytes of fields that are looked at in one block, for the same reason: no server takes as many (RFC 9113 §10.5.1).
const LIST_BYTES: usize = 256 * 1024;

/// A decoded header block.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) authority: Option<String>,
    pub(crate) scheme: Option<&'static str>,
    /// Of a response; 0 if there is one that is not known.
    pub(crate) status: Option<u16>,
    pub(crate) fields: Vec<exchange::Field>,
    pub(crate) content_length: Option<u64>,
    /// Something of it is not known.
    pub(crate) is_cut: bool,
    has_request_field: bool,
    /// A field has a name or a value that no sender writes, or comes where none writes it.
    is_odd: bool,
    /// Whether that is looked at: where it is known that this is a block, it is not.
    is_judged: bool,
    has_field: bool,
    has_plain_field: bool,
    host: Option<String>,
    kept_bytes: usize,
    list_bytes: usize,
}

impl Block {
    pub(super) fn decode(decoder: &mut Decoder, block: &[u8], keep: &KeepList) -> Result<Block, Malformed> {
        let mut made = Block::default();
        decoder.decode(block, |field| made.add(field, keep))?;
        Ok(made)
    }

    /// Decodes what may be a block of a connection of which nothing is known.
    pub(super) fn judge(block: &[u8]) -> Result<Block, Malformed> {
        let mut made = Block { is_judged: true, ..Block::default() };
        let keep = KeepList::default();
        Decoder::new(false).decode(block, |field| made.add(field, &keep))?;
        Ok(made)
    }

    /// Bytes held.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept_bytes.min(KEPT_BYTES)
    }

    /// Keeps no field: there is no room.
    pub(crate) fn drop_fields(&mut self) {
        self.fields = Vec::new();
        self.kept_bytes = 0;
        self.is_cut = true;
    }

    /// It stands for more than is read.
    pub(crate) fn is_too_long(&self) -> bool {
        self.list_bytes > LIST_BYTES || self.kept_bytes > KEPT_BYTES
    }

    /// It has a field that only requests have.
    pub(crate) fn is_request(&self) -> bool {
        self.has_request_field
    }

    /// Does it look as senders write blocks? Of a request at least two pseudo-header fields are known.
    pub(super) fn is_sane(&self) -> bool {
        let is_method =
            |method: &String| method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let is_path = |path: &String| path.starts_with(['/', '*']) && !path.contains(char::is_control);
        let known =
            [self.method.is_some(), self.path.is_some(), self.scheme.is_some(), self.authority.is_some()];
        let is_request = known.into_iter().filter(|known| *known).count() >= 2;
        !self.is_odd
            && self.method.as_ref().is_none_or(is_method)
            && self.path.as_ref().is_none_or(is_path)
            && self.status.is_none_or(|status| (100..600).contains(&status))
            && (!self.has_request_field || (is_request && self.status.is_none()))
    }

    fn add(&mut self, field: Field<'_>, keep: &KeepList) {
        self.is_cut |= field.name.is_none() || field.value.is_none();
        self.list_bytes += field.name.map_or(0, <[u8]>::len) + field.value.map_or(0, <[u8]>::len);
        if self.list_bytes > LIST_BYTES {
            self.is_cut = true;
            return;
        }
        if self.is_judged {
            self.look_at(field);
        }
        let Some(name) = field.name else { return };
        if name.starts_with(b":") {
            return self.add_pseudo(name, field.value);
        }
        let Some(value) = field.value else { return };
        match name {
            b"content-length" => {
                self.content_length = str::from_utf8(value).ok().and_then(|text| text.parse().ok())
            }
            b"host" => self.host = Some(text(value)),
            _ => {}
        }
        let Some(name) = keep.find(name).or_else(|| grpc::kept(name, value)) else { return };
        self.kept_bytes = self.kept_bytes.saturating_add(FIELD_BYTES + name.len() + value.len());
        if self.kept_bytes <= KEPT_BYTES {
            self.fields.push((name.to_owned(), Bytes::copy_from_slice(value)));
        } else {
            self.is_cut = true;
        }
    }

    /// Does a sender write this field here? What is no header block is full of names without a value: most of the fixed table's are.
    fn look_at(&mut self, field: Field<'_>) {
        let is_first = !std::mem::replace(&mut self.has_field, true);
        let is_strange = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        self.is_odd |= field.value.is_some_and(|value| value.is_empty() || value.iter().any(is_strange));
        let Some(name) = field.name else { return };
        let is_plain = !name.starts_with(b":");
        let is_name = |byte: &u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
        self.is_odd |= match name {
            b":status" => !is_first,
            b":method" => self.method.is_some(),
            b":path" => self.path.is_some(),
            b":authority" => self.authority.is_some(),
            b":scheme" => self.scheme.is_some(),
            name => name.is_empty() || !name.iter().all(is_name),
        };
        self.is_odd |= self.has_plain_field && !is_plain;
        self.has_plain_field |= is_plain;
    }

    fn add_pseudo(&mut self, name: &[u8], value: Option<&[u8]>) {
        self.has_request_field |= name != b":status";
        match (name, value) {
            (b":status", value) => {
                let status =
                    value.and_then(|value| str::from_utf8(value).ok()).and_then(|text| text.parse().ok());
                self.status = Some(status.unwrap_or_default());
            }
            (b":method", Some(value)) => self.method = Some(text(value)),
            (b":path", Some(value)) => {
                self.path = Some(text(value.get(..TARGET_BYTES).unwrap_or(value)));
            }
            (b":authority", Some(value)) => self.authority = Some(text(value)),
            (b":scheme", Some(b"http")) => self.scheme = Some("http"),
            (b":scheme", Some(b"https")) => self.scheme = Some("https"),
            (b":scheme" | b":protocol" | b":method" | b":path" | b":authority", _) => {}
            _ => self.is_odd = true,
        }
    }

    /// As a request; what is not known is empty.
    pub(crate) fn into_request(self) -> HttpRequest {
        HttpRequest {
            method: self.method.unwrap_or_default(),
            target: self.path.unwrap_or_default(),
            version: "2",
            scheme: self.scheme,
            host: self.authority.or(self.host),
            fields: self.fields,
            content_length: self.content_length,
        }
    }

    /// As a response.
    pub(crate) fn into_response(self) -> HttpResponse {
        HttpResponse {
            status: self.status.unwrap_or_default(),
            fields: self.fields,
            content_length: self.content_length,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
