//! An ELF executable, read piece by piece.
//!
//! Source: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>, Go's `debug/buildinfo` (go1.26).
use object::{
    LittleEndian, elf,
    read::{
        ReadCache,
        elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _},
    },
};
use std::{fs::File, os::unix::fs::FileExt as _};

type Header = elf::FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// The largest piece that is read at once: the functions of the largest programs known take half of it.
const PIECE_MAX: u64 = 64 << 20;

/// Where a section is in memory and in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A loaded part of the file: address, offset, size.
type Loaded = (u64, u64, u64);

/// See the file's doc.
pub(super) struct Image<'a> {
    file: &'a File,
    loaded: Vec<Loaded>,
    /// Size in memory and alignment of the thread-local storage.
    thread_locals: Option<(u64, u64)>,
    sections: Vec<(String, Section)>,
}

impl<'a> Image<'a> {
    /// Reads the headers. `None` if it is no x86-64 ELF executable.
    pub(super) fn read(file: &'a File) -> Option<Image<'a>> {
        let cache = ReadCache::new(file);
        let header = Header::parse(&cache).ok()?;
        if header.e_machine.get(LE) != elf::EM_X86_64 {
            return None;
        }
        let segments = header.program_headers(LE, &cache).ok()?;
        let loaded = segments.iter().filter(|segment| segment.p_type(LE) == elf::PT_LOAD);
        let loaded = loaded.map(|s| (s.p_vaddr(LE), s.p_offset(LE), s.p_filesz(LE))).collect();
        let thread_locals = segments.iter().find(|segment| segment.p_type(LE) == elf::PT_TLS);
        let thread_locals = thread_locals.map(|segment| (segment.p_memsz(LE), segment.p_align(LE).max(1)));
        let table = header.sections(LE, &cache).ok()?;
        let sections = table.iter().filter_map(|section| {
            let name = String::from_utf8_lossy(table.section_name(LE, section).ok()?).into_owned();
            let (address, offset) = (section.sh_addr(LE), section.sh_offset(LE));
            Some((name, Section { address, offset, size: section.sh_size(LE) }))
        });
        Some(Image { file, loaded, thread_locals, sections: sections.collect() })
    }

    /// A section whose name ends so: position independent programs have their constants in `.data.rel.ro`.
    pub(super) fn section(&self, name: &str) -> Option<Section> {
        self.sections.iter().find(|(own, _)| own.ends_with(name)).map(|(_, section)| *section)
    }

    /// Bytes of the file; fewer at its end.
    pub(super) fn bytes(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        let size = self.file.metadata().ok()?.len();
        let len = len.min(size.checked_sub(offset)?);
        if len > PIECE_MAX {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    /// Where an address of the program is in the file.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.loaded.iter().find_map(|(start, offset, size)| {
            let inside = address.checked_sub(*start).filter(|inside| inside < size)?;
            offset.checked_add(inside)
        })
    }

    /// A number at an address.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(self.offset_of(address)?, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
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
        let cache = ReadCache::new(self.file);
        let header = Header::parse(&cache).ok()?;
        let table = header.sections(LE, &cache).ok()?;
        let symbols = table.symbols(LE, &cache, elf::SHT_SYMTAB).ok()?;
        let found = symbols.iter().find(|symbol| symbol.name(LE, symbols.strings()) == Ok(name))?;
        Some(found.st_value(LE))
    }
}
