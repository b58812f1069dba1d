//! HPACK: header blocks to fields. RFC 7541.
//!
//! Shape: a whole block in, its [`Field`]s to a sink, in order; blocks of one direction in the order of its stream.
//! A field that refers to what was not seen is *unknown*: its name, its value or both are absent, and never another one's.
//! An index counts from the newest entry, so entries that were added since the last loss are known by it whatever came before.
//! Not here: what fields mean (see `head`), never fed: a part of a block.
mod fixed;
mod huffman;
mod integer;
mod table;

use bytes::Bytes;
use table::Table;

/// Bytes of a table that are kept, whatever the peers agree on: older entries become unknown. There is one per direction.
const TABLE_MAX_BYTES: usize = 16 * 1024;
/// Bytes of a table of which it is not known how large it may be.
const TABLE_UNKNOWN_BYTES: usize = 8 * 1024;
/// Bytes of a table before anything else was said (RFC 9113 §6.5.2).
const TABLE_BYTES: usize = 4096;

/// A field of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// As on the wire: lower case, or a pseudo-header's. `None`: not known.
    pub(crate) name: Option<&'a [u8]>,
    /// `None`: not known.
    pub(crate) value: Option<&'a [u8]>,
}

/// A block that no encoder writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The fields of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Table,
    /// Every block since the start of the connection was decoded: an index beyond the table is an error.
    is_whole: bool,
}

impl Decoder {
    /// For a connection whose start was seen, or not.
    pub(crate) fn new(is_whole: bool) -> Decoder {
        // Who knows what was agreed on before: what the encoder has dropped it does not refer to, so too much is never wrong.
        let bytes = if is_whole { TABLE_BYTES } else { TABLE_UNKNOWN_BYTES };
        Decoder { table: Table::new(bytes), is_whole }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Blocks were lost: what the table holds is unknown until it is learned anew.
    pub(crate) fn forget(&mut self) {
        self.table.clear(TABLE_UNKNOWN_BYTES);
        self.is_whole = false;
    }

    /// Decodes one block. After an error everything is unknown.
    pub(crate) fn decode(&mut self, block: &[u8], mut sink: impl FnMut(Field<'_>)) -> Result<(), Malformed> {
        let result = self.fields(block, &mut sink);
        if result.is_err() {
            self.forget();
        }
        result
    }

    fn fields(&mut self, block: &[u8], sink: &mut impl FnMut(Field<'_>)) -> Result<(), Malformed> {
        let mut rest = block;
        let mut has_field = false;
        while let Some(&first) = rest.first() {
            match first {
                // §6.1 indexed
                0x80.. => {
                    let index = integer::read(&mut rest, 7)?;
                    let (name, value) = self.entry(index)?;
                    sink(Field { name: name.as_deref(), value: value.as_deref() });
                }
                // §6.2.1 literal, added to the table
                0x40.. => {
                    let (name, value) = self.literal(&mut rest, 6)?;
                    sink(Field { name: name.as_deref(), value: Some(&value) });
                    self.table.add(name, value);
                }
                // §6.3 table size: before any field (§4.2)
                0x20..0x40 if has_field => return Err(Malformed),
                0x20.. => {
                    let bytes = integer::read(&mut rest, 5)?;
                    self.is_whole &= bytes <= TABLE_MAX_BYTES;
                    self.table.resize(bytes.min(TABLE_MAX_BYTES));
                }
                // §6.2.2 and §6.2.3 literal, not added
                _ => {
                    let (name, value) = self.literal(&mut rest, 4)?;
                    sink(Field { name: name.as_deref(), value: Some(&value) });
                }
            }
            has_field |= !(0x20..0x40).contains(&first);
        }
        Ok(())
    }

    fn literal(&self, rest: &mut &[u8], prefix: u8) -> Result<(Option<Bytes>, Bytes), Malformed> {
        let index = integer::read(rest, prefix)?;
        let name = if index == 0 { Some(text(rest)?) } else { self.entry(index)?.0 };
        Ok((name, text(rest)?))
    }

    /// The entry with this index: the fixed ones come first (§2.3.3).
    fn entry(&self, index: usize) -> Result<(Option<Bytes>, Option<Bytes>), Malformed> {
        let place = index.checked_sub(1).ok_or(Malformed)?;
        if let Some((name, value)) = fixed::TABLE.get(place) {
            return Ok((
                Some(Bytes::from_static(name.as_bytes())),
                Some(Bytes::from_static(value.as_bytes())),
            ));
        }
        match self.table.get(place - fixed::TABLE.len()) {
            Some(entry) => Ok((entry.name.clone(), Some(entry.value.clone()))),
            None if self.is_whole => Err(Malformed),
            None => Ok((None, None)),
        }
    }
}

/// A string literal (§5.2).
fn text(rest: &mut &[u8]) -> Result<Bytes, Malformed> {
    let is_coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let bytes = integer::read(rest, 7)?;
    let (coded, after) = rest.split_at_checked(bytes).ok_or(Malformed)?;
    *rest = after;
    if is_coded { huffman::decode(coded).map(Bytes::from) } else { Ok(Bytes::copy_from_slice(coded)) }
}

#[cfg(test)]
mod tests;
