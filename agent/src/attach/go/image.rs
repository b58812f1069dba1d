//! An ELF executable, read piece by piece.
//!
//! Source: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>, Go's `debug/buildinfo` (go1.26).
use crate::attach::elf::{self as file, Elf, Header, LE};
use object::{
    elf,
    read::{
        ReadCache,
        elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _},
    },
};
use std::fs::File;

/// Where a section is in memory and in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// See the file's doc.
pub(super) struct Image<'a> {
    elf: Elf<'a>,
    /// Size in memory and alignment of the thread-local storage.
    thread_locals: Option<(u64, u64)>,
    sections: Vec<(String, Section)>,
}

impl<'a> Image<'a> {
    /// Reads the headers. `None` if it is no x86-64 ELF executable.
    pub(super) fn read(file: &'a File) -> Option<Image<'a>> {
        let cache = ReadCache::new(file);
        let header = file::header(&cache)?;
        let segments = header.program_headers(LE, &cache).ok()?;
        let thread_locals = segments.iter().find(|segment| segment.p_type(LE) == elf::PT_TLS);
        let thread_locals = thread_locals.map(|segment| (segment.p_memsz(LE), segment.p_align(LE).max(1)));
        let table = header.sections(LE, &cache).ok()?;
        let sections = table.iter().filter_map(|section| {
            let name = String::from_utf8_lossy(table.section_name(LE, section).ok()?).into_owned();
            let (address, offset) = (section.sh_addr(LE), section.sh_offset(LE));
            Some((name, Section { address, offset, size: section.sh_size(LE) }))
        });
        let elf = Elf::read(file, &cache, header)?;
        Some(Image { elf, thread_locals, sections: sections.collect() })
    }

    /// A section whose name ends so: position independent programs have their constants in `.data.rel.ro`.
    pub(super) fn section(&self, name: &str) -> Option<Section> {
        self.sections.iter().find(|(own, _)| own.ends_with(name)).map(|(_, section)| *section)
    }

    /// Bytes of the file; fewer at its end.
    pub(super) fn bytes(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        self.elf.bytes(offset, len)
    }

    /// Where an address of the program is in the file.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.elf.offset_of(address)
    }

    /// A number at an address.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        self.elf.word(address)
    }

    /// The version that the linker wrote into the program.
    pub(super) fn go_version(&self) -> Option<String> {
        const MAGIC: &[u8] = b"\xff Go buildinf:";
        const INLINE: u8 = 2;
        const STRINGS: usize = 32;
        let section = self.section(".go.buildinfo")?;
        let info = self.bytes(section.offset, section.size.min(4096))?;
        // Before 1.18 the strings were elsewhere: such programs are too old anyhow.
        if !info.starts_with(MAGIC) || info.get(15)? & INLINE == 0 {
            return None;
        }
        let len = usize::from(*info.get(STRINGS)?);
        let text = info.get(STRINGS + 1..)?.get(..len)?;
        String::from_utf8(text.to_vec()).ok().filter(|version| version.starts_with("go"))
    }

    /// Offset from the thread pointer of the slot that holds the running goroutine. Go's own part of the thread-local storage is
    /// these eight bytes; with variables of C beside it only a symbol tells.
    pub(super) fn goroutine_slot(&self) -> Option<i32> {
        const OWN_BYTES: u64 = 8;
        match self.thread_locals {
            None | Some((0..=OWN_BYTES, _)) => Some(-8),
            Some((size, align)) => {
                let end = i64::try_from(size.checked_next_multiple_of(align)?).ok()?;
                i32::try_from(i64::try_from(self.symbol(b"runtime.tlsg")?).ok()? - end).ok()
            }
        }
    }

    /// The value of a symbol, if the program still has its symbols.
    fn symbol(&self, name: &[u8]) -> Option<u64> {
        let cache = ReadCache::new(self.elf.file());
        let header = Header::parse(&cache).ok()?;
        let table = header.sections(LE, &cache).ok()?;
        let symbols = table.symbols(LE, &cache, elf::SHT_SYMTAB).ok()?;
        let found = symbols.iter().find(|symbol| symbol.name(LE, symbols.strings()) == Ok(name))?;
        Some(found.st_value(LE))
    }
}
