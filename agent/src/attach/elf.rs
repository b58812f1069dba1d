//! A program or library as an ELF file: where its parts are loaded, and pieces of it. Never the whole file is read.
//!
//! Source: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>. x86-64 only.
use object::{
    LittleEndian, elf,
    read::{
        ReadCache,
        elf::{FileHeader as _, ProgramHeader as _},
    },
};
use std::{fs::File, os::unix::fs::FileExt as _};

pub(super) type Header = elf::FileHeader64<LittleEndian>;
pub(super) const LE: LittleEndian = LittleEndian;

/// The largest piece that is read at once: the names of Node.js take a quarter of it.
const PIECE_MAX: u64 = 128 << 20;

/// See the file's doc.
pub(super) struct Elf<'a> {
    file: &'a File,
    loaded: Vec<Part>,
}

/// A part of the file that is loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// The file's header, unless it is for another machine.
pub(super) fn header<'d>(cache: &'d ReadCache<&File>) -> Option<&'d Header> {
    Header::parse(cache).ok().filter(|header| header.e_machine.get(LE) == elf::EM_X86_64)
}

impl<'a> Elf<'a> {
    /// Reads where it is loaded.
    pub(super) fn read(file: &'a File, cache: &ReadCache<&File>, header: &Header) -> Option<Elf<'a>> {
        let segments = header.program_headers(LE, cache).ok()?;
        let loaded = segments.iter().filter(|segment| segment.p_type(LE) == elf::PT_LOAD);
        let part = |s: &elf::ProgramHeader64<LittleEndian>| Part {
            address: s.p_vaddr(LE),
            offset: s.p_offset(LE),
            size: s.p_filesz(LE),
        };
        Some(Elf { file, loaded: loaded.map(part).collect() })
    }

    pub(super) fn file(&self) -> &'a File {
        self.file
    }

    /// In order of address.
    pub(super) fn loaded(&self) -> &[Part] {
        &self.loaded
    }

    /// Bytes of the file; fewer at its end.
    pub(super) fn bytes(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        let len = len.min(self.file.metadata().ok()?.len().checked_sub(offset)?);
        if len > PIECE_MAX {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    /// Where an address of the program is in the file.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        let (part, inside) = self.part_of(address)?;
        part.offset.checked_add(inside)
    }

    /// Bytes at an address; fewer at the end of a loaded part.
    pub(super) fn bytes_at(&self, address: u64, len: u64) -> Option<Vec<u8>> {
        let (part, inside) = self.part_of(address)?;
        self.bytes(part.offset.checked_add(inside)?, len.min(part.size - inside))
    }

    /// A number at an address that is not written at run time.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        self.bytes_at(address, 8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// The loaded part that holds an address, and how far inside it that is.
    fn part_of(&self, address: u64) -> Option<(Part, u64)> {
        self.loaded.iter().find_map(|part| {
            let inside = address.checked_sub(part.address).filter(|inside| *inside < part.size)?;
            Some((*part, inside))
        })
    }
}
