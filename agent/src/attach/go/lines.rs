//! Functions by name, from the table that every Go program carries, stripped or not.
//!
//! Source: src/runtime/symtab.go `pcHeader`, src/debug/gosym/pclntab.go (go1.20 to go1.26).
use super::{Unknown, code, image::Image};

/// Layout since 1.20.
const MAGIC: u32 = 0xffff_fff1;
/// `moduledata.text` in the section that holds it since 1.26, whose line table no longer says where the code begins.
const MODULE_TEXT: u64 = 176;

const REQUEST: &str = "net/http.(*persistConn).roundTrip";
const SPAWN: &str = "runtime.newproc.func1";
const QUEUE: &str = "runtime.runqput";

/// Addresses of the functions that matter.
pub(super) struct Functions {
    /// Where the code may begin: the first that fits is right.
    bases: Vec<u64>,
    request: Option<Function>,
    spawn: Option<Function>,
    queue: Option<Function>,
}

/// Relative to the beginning of the code.
#[derive(Clone, Copy, Debug)]
struct Function {
    start: u64,
    size: u64,
}

/// Looks the functions up.
pub(super) fn functions(image: &Image<'_>) -> Option<Functions> {
    let section = image.section(".gopclntab")?;
    let header = image.bytes(section.offset, 72)?;
    if header.get(..4)? != MAGIC.to_le_bytes() || *header.get(7)? != 8 {
        return None;
    }
    let field = |index: usize| -> Option<u64> {
        Some(u64::from_le_bytes(header.get(8 + 8 * index..)?.first_chunk().copied()?))
    };
    let (count, text_start) = (field(0)?, field(2)?);
    let (names_at, names_end, table_at) = (field(3)?, field(4)?, field(7)?);
    let names = image.bytes(section.offset.checked_add(names_at)?, names_end.checked_sub(names_at)?)?;
    let size = section.size.checked_sub(table_at)?;
    let table = image.bytes(section.offset.checked_add(table_at)?, size)?;
    let wanted = [REQUEST, SPAWN, QUEUE].map(|name| find(&names, name));
    let mut found: [Option<Function>; 3] = [None; 3];
    for index in 0..usize::try_from(count).ok()? {
        let entry = |at: usize| -> Option<u32> { number(&table, index.checked_mul(8)?.checked_add(at)?) };
        let (start, function, next) = (entry(0)?, entry(4)?, entry(8)?);
        let name = number(&table, usize::try_from(function).ok()?.checked_add(4)?)?;
        for (wanted, found) in wanted.iter().zip(&mut found) {
            if *wanted == Some(name) {
                let size = u64::from(next.checked_sub(start)?);
                *found = Some(Function { start: u64::from(start), size });
            }
        }
    }
    let module = image.section(".go.module").and_then(|module| image.word(module.address + MODULE_TEXT));
    let text = image.section(".text").map(|text| text.address);
    let bases = [Some(text_start), module, text].into_iter().flatten().filter(|base| *base != 0).collect();
    let [request, spawn, queue] = found;
    Some(Functions { bases, request, spawn, queue })
}

impl Functions {
    /// The first instruction of the client's call at which it has its stack, as an offset in the file.
    pub(super) fn request(&self, image: &Image<'_>) -> Result<u64, Unknown> {
        let function = self.request.ok_or(Unknown::NoFunction(REQUEST))?;
        self.place(image, function, code::after_stack_check).ok_or(Unknown::Code(REQUEST))
    }

    /// The instruction that hands a new goroutine to the scheduler.
    pub(super) fn spawn(&self, image: &Image<'_>) -> Result<u64, Unknown> {
        let function = self.spawn.ok_or(Unknown::NoFunction(SPAWN))?;
        let queue = self.queue.ok_or(Unknown::NoFunction(QUEUE))?;
        let distance = queue.start.wrapping_sub(function.start);
        self.place(image, function, |code| {
            code::after_stack_check(code)?;
            code::call_of(code, distance)
        })
        .ok_or(Unknown::Code(SPAWN))
    }

    fn place(
        &self,
        image: &Image<'_>,
        function: Function,
        find: impl Fn(&[u8]) -> Option<usize>,
    ) -> Option<u64> {
        self.bases.iter().find_map(|base| {
            let offset = image.offset_of(base.checked_add(function.start)?)?;
            let code = image.bytes(offset, function.size.min(1024))?;
            let inside = find(&code)?;
            offset.checked_add(u64::try_from(inside).ok()?)
        })
    }
}

/// The offset of a name in the table of names, each of which ends with a zero.
fn find(names: &[u8], name: &str) -> Option<u32> {
    let wanted = [b"\0", name.as_bytes(), b"\0"].concat();
    let at = memchr::memmem::find(names, &wanted)?;
    u32::try_from(at + 1).ok()
}

fn number(table: &[u8], at: usize) -> Option<u32> {
    table.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
