//! Places in x86-64 code at which a function's result is in a register, and a probe is cheap.
//!
//! The kernel emulates jumps, calls and pushes at a probe, everything else it single-steps for 10 µs. So the code of the function is
//! followed backwards from where it returns, with the register that will be the result, to the nearest such instruction on each way.
//! Where there is none, the return itself is the place. Compilers inline and split the function as they like: whatever it jumps to is
//! followed too, unless it is a function of its own name, and a function without one whose result it returns.
//! Source: arch/x86/kernel/uprobes.c `branch_setup_xol_ops`, `push_setup_xol_ops` (v6.18).
use super::image::Image;
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, OpKind,
    Register,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use wirespan_common::event::register;

/// Instructions that are looked at: three times those of the largest build known.
const INSTRUCTIONS_MAX: usize = 600;
/// Functions whose result is the function's.
const CALLED_MAX: usize = 3;
/// Instructions that are looked at for a function's arguments.
const FIRST_MAX: usize = 8;
/// The longest instruction.
const INSTRUCTION_BYTES: u64 = 15;

/// A place for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// In the file.
    pub offset: u64,
    /// One of [`register`].
    pub register: u64,
    /// The kernel emulates the instruction.
    pub cheap: bool,
}

/// The code that is reached from the function's first instruction.
struct Graph<'a> {
    image: &'a Image<'a>,
    instructions: BTreeMap<u64, (Instruction, bool)>,
    before: HashMap<u64, Vec<u64>>,
    entries: HashSet<u64>,
}

/// Where a register holds what it did at the beginning of the function at an address.
pub(super) fn argument(image: &Image<'_>, address: u64, argument: Register) -> Option<Place> {
    let graph = Graph::of(image);
    let place =
        |at: u64, cheap| Some(Place { offset: image.offset_of(at)?, register: number(argument)?, cheap });
    let mut at = address;
    for _ in 0..FIRST_MAX {
        let (instruction, cheap) = graph.decode(at)?;
        if cheap {
            return place(at, true);
        }
        let is_kept = source(&instruction, argument) == Source::Register(argument);
        if !is_kept || instruction.flow_control() != FlowControl::Next {
            break;
        }
        at = instruction.next_ip();
    }
    place(address, false)
}

/// Where the result of the function at an address is known.
pub(super) fn results(image: &Image<'_>, address: u64) -> Option<Vec<Place>> {
    if address == 0 {
        return None;
    }
    let mut graph = Graph::of(image);
    let mut found = BTreeSet::new();
    for end in graph.follow(address)? {
        match graph.trace((end, Register::RAX), &HashSet::new(), true) {
            Some(places) => found.extend(places),
            None => {
                found.insert((end, Register::RAX));
            }
        }
    }
    let places = graph.needed(found).into_iter().map(|(address, register)| {
        let (_, cheap) = *graph.instructions.get(&address)?;
        Some(Place { offset: image.offset_of(address)?, register: number(register)?, cheap })
    });
    let mut places: Vec<Place> = places.collect::<Option<_>>()?;
    places.sort_unstable();
    (!places.is_empty()).then_some(places)
}

impl<'a> Graph<'a> {
    fn of(image: &'a Image<'a>) -> Graph<'a> {
        Graph { image, instructions: BTreeMap::new(), before: HashMap::new(), entries: HashSet::new() }
    }

    /// Without those to which every way leads over others, or without a result.
    fn needed(&mut self, found: BTreeSet<(u64, Register)>) -> BTreeSet<(u64, Register)> {
        let mut needed = found.clone();
        for place in found.into_iter().rev() {
            let others: HashSet<_> = needed.iter().copied().filter(|other| *other != place).collect();
            if self.trace(place, &others, false).is_some() {
                needed.remove(&place);
            }
        }
        needed
    }

    /// Adds a function; where it returns.
    fn follow(&mut self, entry: u64) -> Option<Vec<u64>> {
        let mut ends = Vec::new();
        let mut next = vec![entry];
        self.entries.insert(entry);
        while let Some(address) = next.pop() {
            if self.instructions.contains_key(&address) {
                continue;
            }
            if self.instructions.len() >= INSTRUCTIONS_MAX {
                return None;
            }
            let (instruction, cheap) = self.decode(address)?;
            self.instructions.insert(address, (instruction, cheap));
            let mut after = Vec::new();
            match instruction.flow_control() {
                FlowControl::Return => ends.push(address),
                FlowControl::UnconditionalBranch => after.push(instruction.near_branch_target()),
                FlowControl::ConditionalBranch => {
                    after.extend([instruction.near_branch_target(), instruction.next_ip()]);
                }
                FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                    after.push(instruction.next_ip());
                }
                _ => {}
            }
            for target in after.into_iter().filter(|target| !self.image.is_named(*target)) {
                self.before.entry(target).or_default().push(address);
                next.push(target);
            }
        }
        Some(ends)
    }

    fn decode(&self, address: u64) -> Option<(Instruction, bool)> {
        let bytes = self.image.bytes(address, INSTRUCTION_BYTES)?;
        let instruction = Decoder::with_ip(64, &bytes, address, DecoderOptions::NONE).decode();
        (!instruction.is_invalid()).then(|| (instruction, is_emulated(&bytes)))
    }

    /// The places on all ways to one, nearest first: those that are cheap, if they may be `new`, or `known`. `None` if there is a way
    /// without.
    fn trace(
        &mut self,
        end: (u64, Register),
        known: &HashSet<(u64, Register)>,
        new: bool,
    ) -> Option<Vec<(u64, Register)>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut next = vec![end];
        let mut called = 0;
        while let Some((address, register)) = next.pop() {
            if !seen.insert((address, register)) {
                continue;
            }
            let (_, cheap) = *self.instructions.get(&address)?;
            if known.contains(&(address, register)) || new && cheap && number(register).is_some() {
                found.push((address, register));
                continue;
            }
            let before = self.before.get(&address).cloned().unwrap_or_default();
            if before.is_empty() || self.entries.contains(&address) {
                return None;
            }
            for place in before {
                let (instruction, _) = *self.instructions.get(&place)?;
                match source(&instruction, register) {
                    Source::Register(register) => next.push((place, register)),
                    Source::Nothing => {}
                    Source::Call(function) if called < CALLED_MAX && !self.image.is_named(function) => {
                        called += 1;
                        // Without an end it is another file's.
                        let ends = self.follow(function).filter(|ends| !ends.is_empty())?;
                        next.extend(ends.into_iter().map(|end| (end, Register::RAX)));
                    }
                    Source::Call(_) | Source::Other => return None,
                }
            }
        }
        Some(found)
    }
}

/// Where what an instruction leaves in a register comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// It was there before, or in another register.
    Register(Register),
    /// It is zero: there is no result.
    Nothing,
    /// A function's result.
    Call(u64),
    /// Elsewhere.
    Other,
}

fn source(instruction: &Instruction, register: Register) -> Source {
    const KEPT: [Register; 6] =
        [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];
    match instruction.flow_control() {
        FlowControl::Call if register == Register::RAX => {
            return Source::Call(instruction.near_branch_target());
        }
        FlowControl::Call | FlowControl::IndirectCall => {
            return if KEPT.contains(&register) { Source::Register(register) } else { Source::Other };
        }
        _ => {}
    }
    let writes = |access| {
        matches!(
            access,
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        )
    };
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(instruction).used_registers();
    if !used.iter().any(|used| used.register().full_register() == register && writes(used.access())) {
        return Source::Register(register);
    }
    match instruction.code() {
        Code::Mov_r64_rm64 | Code::Mov_rm64_r64 if instruction.op1_kind() == OpKind::Register => {
            Source::Register(instruction.op1_register())
        }
        Code::Xor_r32_rm32 | Code::Xor_rm32_r32 | Code::Xor_r64_rm64 | Code::Xor_rm64_r64
            if instruction.op1_kind() == OpKind::Register
                && instruction.op0_register() == instruction.op1_register() =>
        {
            Source::Nothing
        }
        Code::Mov_r32_imm32 | Code::Mov_rm64_imm32 if instruction.immediate(1) == 0 => Source::Nothing,
        _ => Source::Other,
    }
}

/// What the kernel emulates: `push`, `nop`, `call`, `jmp` and conditional jumps, without an operand size of its own.
fn is_emulated(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x50..=0x57 | 0x70..=0x7f | 0x90 | 0xe8 | 0xe9 | 0xeb, ..]
            | [0x41, 0x50..=0x57, ..]
            | [0x0f, 0x80..=0x8f, ..]
    )
}

/// Its number for the kernel side.
fn number(register: Register) -> Option<u64> {
    Some(match register {
        Register::RAX => register::AX,
        Register::RBX => register::BX,
        Register::RBP => register::BP,
        Register::RDI => register::DI,
        Register::RSI => register::SI,
        Register::R12 => register::R12,
        Register::R13 => register::R13,
        Register::R14 => register::R14,
        Register::R15 => register::R15,
        _ => return None,
    })
}
