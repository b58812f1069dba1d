//! Where this kernel keeps its fields, as the agent reads it, against what `bpftool` reads: two readers that share no line.
//!
//! Shape: `bpftool btf dump … format raw` → types by number → offsets of the same paths, compared with the agent's.
use super::scenes;
use crate::{
    process::{Process, command},
    wait::PATIENCE,
    world::World,
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
};
use wirespan::attach::offsets::{self, Facts};
use wirespan_common::offsets::{ABSENT, Offsets};
use zerocopy::IntoBytes as _;

scenes! { "btf":
    offsets_are_what_bpftool_says,
}

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
/// What older kernels call the same field.
const FORMER: [(&str, &str); 3] =
    [("iter_iov", "iov"), ("iter_type", "type"), ("task_start_boottime", "real_start_time")];

fn offsets_are_what_bpftool_says(world: &mut World) -> Result<()> {
    let facts = offsets::resolve(&fs::read(VMLINUX)?, &[], &["tcp_sendmsg", "tcp_recvmsg", "tcp_sendpage"])?;
    let text = world.scratch().join("btf.txt");
    let mut dump = command("bpftool");
    dump.args(["btf", "dump", "file", VMLINUX, "format", "raw"]);
    let mut dump = Process::start_into_file("bpftool", &mut dump, File::create(&text)?)?;
    ensure!(dump.wait(PATIENCE * 4)?.success(), "bpftool{}", dump.last_words());
    let types = Types::read(&text)?;
    let present = compare_offsets(&facts, &types)?;
    for (name, parameters) in &facts.functions {
        let theirs = types.parameters(name);
        ensure!(theirs.as_ref() == Some(parameters), "{name} has {parameters:?}, bpftool says {theirs:?}");
    }
    for (name, ours) in
        [("ITER_UBUF", facts.kernel.iter_ubuf_type), ("ITER_IOVEC", facts.kernel.iter_iovec_type)]
    {
        let theirs = types.enumerator("iter_type", name).unwrap_or(ABSENT);
        ensure!(ours == theirs, "{name} is {ours}, bpftool says {theirs}");
    }
    println!("        {present} of {} fields are on this kernel", Offsets::FIELDS.len());
    Ok(())
}

/// How many fields this kernel has; an error names the first that differs.
fn compare_offsets(facts: &Facts, types: &Types) -> Result<usize> {
    let (ours, _) = facts.offsets.as_bytes().as_chunks::<4>();
    let mut present = 0;
    for (word, (field, structure, path)) in ours.iter().zip(Offsets::FIELDS) {
        let former = FORMER.iter().find(|(name, _)| name == field).map(|(_, path)| *path);
        let theirs = types.offset(structure, path).or_else(|| types.offset(structure, former?));
        let ours = Some(u32::from_ne_bytes(*word)).filter(|offset| *offset != ABSENT);
        ensure!(ours == theirs, "{field} ({structure}.{path}) is at {ours:?}, bpftool says {theirs:?}");
        present += usize::from(ours.is_some());
    }
    Ok(present)
}

/// A type as bpftool prints it.
#[derive(Default)]
struct Type {
    kind: String,
    name: String,
    /// What it refers to, if it is one that refers.
    target: usize,
    /// Names and numbers of its lines: members with type and bits, enumerators with values, parameters with types.
    lines: Vec<Line>,
}

struct Line {
    name: String,
    target: usize,
    bits: u32,
    value: Option<u32>,
}

/// Types by number.
struct Types(HashMap<usize, Type>);

impl Types {
    fn read(path: &Path) -> Result<Self> {
        let mut types: HashMap<usize, Type> = HashMap::new();
        let mut last = 0;
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            if let Some(rest) = line.strip_prefix('[') {
                let (number, rest) = rest.split_once("] ").context(line.clone())?;
                let (kind, rest) = rest.split_once(' ').context(line.clone())?;
                last = number.parse()?;
                let one = Type {
                    kind: kind.to_owned(),
                    name: quoted(rest).to_owned(),
                    target: number_after(rest, " type_id=").unwrap_or(0) as usize,
                    lines: Vec::new(),
                };
                types.insert(last, one);
            } else if let Some(of) = types.get_mut(&last) {
                of.lines.push(Line {
                    name: quoted(line.trim_start()).to_owned(),
                    target: number_after(&line, "type_id=").unwrap_or(0) as usize,
                    bits: number_after(&line, "bits_offset=").unwrap_or(0),
                    value: number_after(&line, " val="),
                });
            }
        }
        ensure!(types.len() > 1000, "only {} types in {}", types.len(), path.display());
        Ok(Self(types))
    }

    /// The first of that kind and name that is more than a declaration.
    fn named(&self, kinds: &[&str], name: &str) -> Option<&Type> {
        let is_it = |one: &&Type| one.name == name && kinds.contains(&one.kind.as_str());
        let found = self.0.iter().filter(|(_, one)| is_it(one));
        let whole = found.filter(|(_, one)| !one.lines.is_empty() || one.kind == "FUNC");
        whole.min_by_key(|(number, _)| **number).map(|(_, one)| one)
    }

    fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut of = self.named(&["STRUCT", "UNION"], structure)?;
        let mut bits = 0;
        for step in path.split('.') {
            let (within, target) = self.member(of, step)?;
            bits += within;
            of = self.0.get(&self.plain(target)).unwrap_or(of);
        }
        Some(bits / 8)
    }

    /// Bits and type of a member, looked for in what has no name as well.
    fn member(&self, of: &Type, name: &str) -> Option<(u32, usize)> {
        for line in &of.lines {
            if line.name == name {
                return Some((line.bits, line.target));
            }
            if line.name == "(anon)" {
                let inner = self.0.get(&self.plain(line.target)).and_then(|inner| self.member(inner, name));
                if let Some((bits, target)) = inner {
                    return Some((line.bits + bits, target));
                }
            }
        }
        None
    }

    /// The type behind names and qualifiers.
    fn plain(&self, number: usize) -> usize {
        let refers = ["TYPEDEF", "CONST", "VOLATILE", "RESTRICT", "TYPE_TAG"];
        match self.0.get(&number) {
            Some(one) if refers.contains(&one.kind.as_str()) => self.plain(one.target),
            _ => number,
        }
    }

    fn parameters(&self, function: &str) -> Option<Vec<String>> {
        let function = self.named(&["FUNC"], function)?;
        Some(self.0.get(&function.target)?.lines.iter().map(|line| line.name.clone()).collect())
    }

    fn enumerator(&self, of: &str, name: &str) -> Option<u32> {
        self.named(&["ENUM"], of)?.lines.iter().find(|line| line.name == name)?.value
    }
}

/// `'sk' type_id=7` → `sk`.
fn quoted(text: &str) -> &str {
    text.split('\'').nth(1).unwrap_or_default()
}

/// The number behind a word.
fn number_after(text: &str, word: &str) -> Option<u32> {
    let (_, rest) = text.split_once(word)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
