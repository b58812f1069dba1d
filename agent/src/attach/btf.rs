//! Reads what is needed of a BTF blob: where a member is in its struct, what a function's parameters are, what names exist.
//!
//! Shape: the bytes of `/sys/kernel/btf/vmlinux` in, numbers out; pure. Hostile input yields `None` or an error, never a panic.
//! Source: Documentation/bpf/btf.rst (v6.18). Not here: BTF relocations, which Rust does not emit; split BTF of modules.
use std::{collections::HashMap, ops::Range};
use thiserror::Error;

/// Why a blob is not BTF.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// Wrong magic number or a version other than 1.
    #[error("not BTF of version 1 in this machine's byte order")]
    Format,
    /// A section or type reaches past the end.
    #[error("cut short at byte {0}")]
    Truncated(usize),
    /// A type of a kind that this reader does not know the length of.
    #[error("unknown type kind {0}")]
    UnknownKind(u32),
}

const MAGIC: u16 = 0xeb9f;
const HEADER_BYTES: usize = 24;
const TYPE_BYTES: usize = 12;
/// Types that modify another without moving anything: typedef, volatile, const, restrict, type tag.
const MODIFIERS: [u32; 5] = [8, 9, 10, 11, 18];
/// Longest chain of modifiers or nesting of anonymous members that is followed.
const DEPTH: usize = 32;

/// Kinds of types that have a name worth looking up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `struct` and `union`.
    Struct,
    /// `enum`.
    Enum,
    /// A function.
    Function,
    /// `typedef`; tracepoints are `btf_trace_<name>`.
    Typedef,
}

impl Kind {
    fn of(number: u32) -> Option<Self> {
        match number {
            4 | 5 => Some(Self::Struct),
            6 | 19 => Some(Self::Enum),
            12 => Some(Self::Function),
            8 => Some(Self::Typedef),
            _ => None,
        }
    }
}

/// A parsed blob: the position of each type.
pub struct Btf<'a> {
    bytes: &'a [u8],
    strings: Range<usize>,
    /// Position of type `id` at `id - 1`; type 0 is `void`.
    types: Vec<u32>,
}

/// The head of a type.
#[derive(Clone, Copy)]
struct Head {
    name: u32,
    kind: u32,
    vlen: usize,
    /// Members carry bit-field sizes in the upper byte of their offset.
    flag: bool,
    /// Size of the type, or id of the type it refers to.
    size_or_type: u32,
    /// Where what follows the head begins.
    rest: usize,
}

impl<'a> Btf<'a> {
    /// Finds the types of a blob.
    ///
    /// # Errors
    /// When it is not BTF, or cut short.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let word = |at: usize| read_u32(bytes, at).ok_or(Error::Truncated(at));
        let magic = word(0)?;
        if magic & 0xffff != u32::from(MAGIC) || (magic >> 16) & 0xff != 1 {
            return Err(Error::Format);
        }
        let start = word(4)? as usize;
        if start < HEADER_BYTES {
            return Err(Error::Format);
        }
        let types = section(bytes, start, word(8)?, word(12)?)?;
        let strings = section(bytes, start, word(16)?, word(20)?)?;
        let mut btf = Self { bytes, strings, types: Vec::with_capacity(types.len() / 24) };
        let mut at = types.start;
        while at < types.end {
            let head = btf.head(at).ok_or(Error::Truncated(at))?;
            let len =
                head.rest - at + following(head.kind, head.vlen).ok_or(Error::UnknownKind(head.kind))?;
            if len > types.end - at {
                return Err(Error::Truncated(at));
            }
            btf.types.push(u32::try_from(at).map_err(|_| Error::Truncated(at))?);
            at += len;
        }
        Ok(btf)
    }

    /// Ids of the wanted names, found in one pass; absent ones are absent.
    #[must_use]
    pub fn find<'n>(&self, wanted: &[(Kind, &'n str)]) -> HashMap<(Kind, &'n str), u32> {
        let names: HashMap<(Kind, &[u8]), &'n str> =
            wanted.iter().map(|&(kind, name)| ((kind, name.as_bytes()), name)).collect();
        let mut found = HashMap::with_capacity(wanted.len());
        for (index, &at) in self.types.iter().enumerate() {
            let Some(head) = self.head(at as usize) else { continue };
            let Some(kind) = Kind::of(head.kind) else { continue };
            // A struct that is only declared has no members to find.
            if head.name == 0 || (kind == Kind::Struct && head.vlen == 0) {
                continue;
            }
            let Some(&name) = names.get(&(kind, self.name(head.name))) else { continue };
            let Ok(id) = u32::try_from(index + 1) else { continue };
            found.entry((kind, name)).or_insert(id);
        }
        found
    }

    /// Offset in bytes of a member, named by a path with dots; members of anonymous structs and unions need no step.
    #[must_use]
    pub fn member(&self, structure: u32, path: &str) -> Option<u32> {
        let mut id = structure;
        let mut bits = 0_u32;
        for step in path.split('.') {
            let (offset, member) = self.step(self.strip(id)?, step.as_bytes(), 0)?;
            bits = bits.checked_add(offset)?;
            id = member;
        }
        bits.is_multiple_of(8).then_some(bits / 8)
    }

    /// Names of a function's parameters.
    #[must_use]
    pub fn parameters(&self, function: u32) -> Option<Vec<String>> {
        const PARAMETER_BYTES: usize = 8;
        let prototype = self.of_id(self.of_id(function)?.size_or_type)?;
        if prototype.kind != 13 {
            return None;
        }
        (0..prototype.vlen)
            .map(|n| {
                let name = self.name(read_u32(self.bytes, prototype.rest + n * PARAMETER_BYTES)?);
                Some(String::from_utf8_lossy(name).into_owned())
            })
            .collect()
    }

    /// Value of an enumerator.
    #[must_use]
    pub fn enumerator(&self, enumeration: u32, name: &str) -> Option<u32> {
        let head = self.of_id(enumeration)?;
        let entry_bytes = if head.kind == 6 { 8 } else { 12 };
        (0..head.vlen).map(|n| head.rest + n * entry_bytes).find_map(|at| {
            let entry = read_u32(self.bytes, at)?;
            if self.name(entry) == name.as_bytes() { read_u32(self.bytes, at + 4) } else { None }
        })
    }

    /// Offset in bits and type of one member.
    fn step(&self, structure: u32, name: &[u8], depth: usize) -> Option<(u32, u32)> {
        const MEMBER_BYTES: usize = 12;
        let head = self.of_id(structure)?;
        if !matches!(head.kind, 4 | 5) || depth > DEPTH {
            return None;
        }
        for n in 0..head.vlen {
            let at = head.rest + n * MEMBER_BYTES;
            let member_name = read_u32(self.bytes, at)?;
            let member_type = read_u32(self.bytes, at + 4)?;
            let offset = read_u32(self.bytes, at + 8)?;
            let offset = if head.flag { offset & 0x00ff_ffff } else { offset };
            if member_name == 0 {
                let inner = self.strip(member_type).and_then(|id| self.step(id, name, depth + 1));
                if let Some((within, id)) = inner {
                    return Some((offset.checked_add(within)?, id));
                }
            } else if self.name(member_name) == name {
                return Some((offset, member_type));
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn strip(&self, id: u32) -> Option<u32> {
        let mut id = id;
        for _ in 0..DEPTH {
            let head = self.of_id(id)?;
            if !MODIFIERS.contains(&head.kind) {
                return Some(id);
            }
            id = head.size_or_type;
        }
        None
    }

    fn of_id(&self, id: u32) -> Option<Head> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.head(*self.types.get(index)? as usize)
    }

    fn head(&self, at: usize) -> Option<Head> {
        let info = read_u32(self.bytes, at.checked_add(4)?)?;
        Some(Head {
            name: read_u32(self.bytes, at)?,
            kind: (info >> 24) & 0x1f,
            vlen: (info & 0xffff) as usize,
            flag: info >> 31 == 1,
            size_or_type: read_u32(self.bytes, at + 8)?,
            rest: at + TYPE_BYTES,
        })
    }

    fn name(&self, offset: u32) -> &'a [u8] {
        let rest = self
            .bytes
            .get(self.strings.clone())
            .and_then(|strings| strings.get(offset as usize..))
            .unwrap_or_default();
        rest.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

/// Bytes that follow the head of a type.
fn following(kind: u32, vlen: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,
        3 => 12,
        4 | 5 | 15 | 19 => 12 * vlen,
        6 | 13 => 8 * vlen,
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

fn section(bytes: &[u8], start: usize, offset: u32, len: u32) -> Result<Range<usize>, Error> {
    let begin = start.checked_add(offset as usize).ok_or(Error::Truncated(start))?;
    let end = begin.checked_add(len as usize).ok_or(Error::Truncated(begin))?;
    if end > bytes.len() { Err(Error::Truncated(bytes.len())) } else { Ok(begin..end) }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests;
