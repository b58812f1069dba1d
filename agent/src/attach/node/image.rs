//! An ELF file and its symbols. Read are the headers and the tables of symbols: never the whole file.
//!
//! Source: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>.
use crate::attach::elf::{self as file, Elf, LE};
use object::{
    elf,
    read::{
        ReadCache,
        elf::{FileHeader as _, SectionHeader as _},
    },
};
use std::fs::File;

/// See the file's doc.
pub(super) struct Image<'a> {
    elf: Elf<'a>,
    /// Type, offset, size, and the section that belongs to it.
    sections: Vec<(u32, u64, u64, usize)>,
}

/// A table of symbols.
pub(super) struct Symbols {
    /// Names, each with a NUL after it.
    names: Vec<u8>,
    /// `Elf64_Sym`s.
    symbols: Vec<u8>,
}

/// A symbol.
pub(super) struct Symbol {
    /// Where.
    pub(super) address: u64,
    /// The whole name.
    pub(super) name: String,
}

impl<'a> Image<'a> {
    /// Reads the headers. `None` if it is no x86-64 ELF file.
    pub(super) fn read(file: &'a File) -> Option<Image<'a>> {
        let cache = ReadCache::new(file);
        let header = file::header(&cache)?;
        let table = header.sections(LE, &cache).ok()?;
        let sections = table
            .iter()
            .map(|s| (s.sh_type(LE), s.sh_offset(LE), s.sh_size(LE), s.sh_link(LE) as usize))
            .collect();
        Some(Image { elf: Elf::read(file, &cache, header)?, sections })
    }

    /// What it exports and needs.
    pub(super) fn exported(&self) -> Option<Symbols> {
        self.symbols(elf::SHT_DYNSYM)
    }

    /// All that it has; `None` if it was stripped.
    pub(super) fn all(&self) -> Option<Symbols> {
        self.symbols(elf::SHT_SYMTAB)
    }

    fn symbols(&self, kind: u32) -> Option<Symbols> {
        let (_, offset, size, link) = *self.sections.iter().find(|section| section.0 == kind)?;
        let (_, names, names_size, _) = *self.sections.get(link)?;
        Some(Symbols { names: self.bytes(names, names_size)?, symbols: self.bytes(offset, size)? })
    }

    /// Bytes of the file; fewer at its end.
    pub(super) fn bytes(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        self.elf.bytes(offset, len)
    }

    /// Where an address of the program is in the file.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.elf.offset_of(address)
    }
}

impl Symbols {
    /// Some name in the table begins so, that of a library included.
    pub(super) fn names(&self, prefix: &str) -> bool {
        self.place(prefix).is_some()
    }

    /// The symbol of this name, or else one whose name begins so.
    pub(super) fn find(&self, prefix: &str) -> Option<Symbol> {
        const SYMBOL: usize = 24;
        let place = self.place(&format!("{prefix}\0")).or_else(|| self.place(prefix))?;
        let name = self.names.get(place..)?.split(|byte| *byte == 0).next()?;
        let word = u32::try_from(place).ok()?.to_le_bytes();
        let symbol = self.symbols.chunks_exact(SYMBOL).find(|symbol| symbol.starts_with(&word))?;
        // Of section 0: it is needed, not there.
        if symbol.get(6..8)? == [0, 0] {
            return None;
        }
        let address = u64::from_le_bytes(symbol.get(8..16)?.try_into().ok()?);
        Some(Symbol { address, name: String::from_utf8_lossy(name).into_owned() })
    }

    /// Where such a name begins.
    fn place(&self, prefix: &str) -> Option<usize> {
        let needle: Vec<u8> = std::iter::once(0).chain(prefix.bytes()).collect();
        memchr::memmem::find(&self.names, &needle).map(|before| before + 1)
    }
}
