//! The file that holds the interpreter: a program or a library.
//!
//! Shape: an ELF file → the addresses of a few exported names, and pieces of its code. Names that are exported are there in stripped
//! files too. Source: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>. x86-64 only.
use crate::attach::elf::{self as file, Elf, LE};
use object::{
    elf,
    read::{
        ReadCache,
        elf::{FileHeader as _, SectionHeader as _, Sym as _},
    },
};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
};

/// A piece of code is never larger.
const PIECE_MAX: u64 = 4_096;
/// A loaded part is never larger.
const LOADED_MAX: u64 = 64 << 20;

/// Addresses in the file, zero if it does not export the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) runtime: u64,
    pub(super) context_type: u64,
    pub(super) copy_current: u64,
    /// Since 3.11.
    pub(super) version: u64,
    /// Since 3.9.
    pub(super) get_interpreter: u64,
}

/// See the file's doc.
pub(super) struct Image<'a> {
    elf: Elf<'a>,
    /// It may be loaded anywhere.
    is_movable: bool,
    pub(super) names: Names,
    /// Addresses of everything that it exports.
    exported: HashSet<u64>,
}

/// Addresses that are written into a file's memory when it is loaded.
pub(super) struct Pointers<'a> {
    image: &'a Image<'a>,
    /// Where, and which.
    relocated: HashMap<u64, u64>,
}

impl Pointers<'_> {
    /// The address at a place.
    pub(super) fn at(&self, place: u64) -> Option<u64> {
        self.relocated.get(&place).copied().or_else(|| self.image.word(place))
    }

    /// The only place that leads to one of these.
    pub(super) fn to(&self, addresses: &[u64]) -> Option<u64> {
        let relocated = self.relocated.iter().filter(|(_, address)| addresses.contains(address));
        let mut places: Vec<u64> = relocated.map(|(place, _)| *place).collect();
        if places.is_empty() {
            let wanted: Vec<[u8; 8]> = addresses.iter().map(|address| address.to_le_bytes()).collect();
            places = wanted.iter().flat_map(|address| self.image.find(address)).collect();
        }
        let (place, others) = places.split_first()?;
        others.is_empty().then_some(*place)
    }
}

impl<'a> Image<'a> {
    /// `None`: no interpreter is in it.
    pub(super) fn read(file: &'a File) -> Option<Image<'a>> {
        Image::open(file).filter(|image| image.names.runtime != 0 && image.names.context_type != 0)
    }

    /// `None`: no program or library.
    pub(super) fn open(file: &'a File) -> Option<Image<'a>> {
        let cache = ReadCache::new(file);
        let header = file::header(&cache)?;
        let table = header.sections(LE, &cache).ok()?;
        let symbols = table.symbols(LE, &cache, elf::SHT_DYNSYM).ok()?;
        let mut names = Names::default();
        let mut exported = HashSet::new();
        for symbol in symbols.iter() {
            exported.insert(symbol.st_value(LE));
            let place = match symbol.name(LE, symbols.strings()) {
                Ok(b"_PyRuntime") => &mut names.runtime,
                Ok(b"PyContext_Type") => &mut names.context_type,
                Ok(b"PyContext_CopyCurrent") => &mut names.copy_current,
                Ok(b"Py_Version") => &mut names.version,
                Ok(b"PyThreadState_GetInterpreter") => &mut names.get_interpreter,
                _ => continue,
            };
            *place = symbol.st_value(LE);
        }
        Some(Image {
            elf: Elf::read(file, &cache, header)?,
            is_movable: header.e_type.get(LE) == elf::ET_DYN,
            names,
            exported,
        })
    }

    /// Every address that is written when it is loaded.
    pub(super) fn pointers(&self) -> Option<Pointers<'_>> {
        let cache = ReadCache::new(self.elf.file());
        let header = file::header(&cache)?;
        let mut relocated = HashMap::new();
        for section in header.sections(LE, &cache).ok()?.iter() {
            let Ok(Some((relocations, _))) = section.rela(LE, &cache) else { continue };
            let relative = relocations.iter().filter(|it| it.r_type(LE, false) == elf::R_X86_64_RELATIVE);
            relocated.extend(relative.map(|it| (it.r_offset.get(LE), it.r_addend.get(LE) as u64)));
        }
        Some(Pointers { image: self, relocated })
    }

    /// Addresses of the symbols of these names, exported or not.
    pub(super) fn symbols(&self, is_it: impl Fn(&[u8]) -> Option<()>) -> Option<Vec<u64>> {
        let cache = ReadCache::new(self.elf.file());
        let header = file::header(&cache)?;
        let symbols = header.sections(LE, &cache).ok()?.symbols(LE, &cache, elf::SHT_SYMTAB).ok()?;
        let named = symbols
            .iter()
            .filter(|symbol| symbol.name(LE, symbols.strings()).is_ok_and(|name| is_it(name).is_some()));
        Some(named.map(|symbol| symbol.st_value(LE)).collect())
    }

    /// Where these bytes are.
    pub(super) fn find(&self, wanted: &[u8]) -> Vec<u64> {
        let mut found = Vec::new();
        for part in self.elf.loaded().iter().filter(|part| part.size <= LOADED_MAX) {
            let Some(bytes) = self.elf.bytes(part.offset, part.size) else { continue };
            found.extend(memchr::memmem::find_iter(&bytes, wanted).map(|at| part.address + at as u64));
        }
        found
    }

    /// A function of its own name begins here.
    pub(super) fn is_named(&self, address: u64) -> bool {
        self.exported.contains(&address)
    }

    /// What is added to addresses of the file, if its first byte was loaded at `start`.
    pub(super) fn base(&self, start: u64) -> Option<u64> {
        if !self.is_movable {
            return Some(0);
        }
        let first = self.elf.loaded().first()?;
        start.checked_sub(first.address.checked_sub(first.offset)?)
    }

    /// Where an address is in the file.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.elf.offset_of(address)
    }

    /// Code at an address; less at the end of a loaded part.
    pub(super) fn bytes(&self, address: u64, len: u64) -> Option<Vec<u8>> {
        self.elf.bytes_at(address, len.min(PIECE_MAX))
    }

    /// A number at an address that is not written at run time.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        self.elf.word(address)
    }
}
