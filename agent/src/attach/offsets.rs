//! Where this kernel keeps the fields that the kernel programs read.
//!
//! Shape: a BTF blob in; [`Offsets`], [`Kernel`] and the facts that choose hooks out. A field that is not found is
//! [`ABSENT`]: the hooks that need it are refused, nothing more.
use crate::attach::{
    btf::{self, Btf, Kind},
    hooks::Point,
};
use std::collections::HashMap;
use wirespan_common::offsets::{ABSENT, Kernel, Offsets};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Names of fields that older kernels use for the same thing, tried in order when the first is absent.
const FORMER_NAMES: &[(&str, &[&str])] = &[
    ("iter_iov", &["iov"]),                        // before 6.4
    ("iter_type", &["type"]),                      // before 5.14: with flag bits, which `iter_types` knows
    ("task_start_boottime", &["real_start_time"]), // before 5.5
];

/// Names of fields that arm64 uses for the same thing.
const ARM64_NAMES: &[(&str, &[&str])] =
    &[("task_fsbase", &["thread.uw.tp_value"]), ("task_status", &["thread_info.flags"])];

/// What BTF says about this kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Offsets of fields.
    pub offsets: Offsets,
    /// Other differences.
    pub kernel: Kernel,
    /// Tracepoints that BTF-typed programs can attach to, of those asked for.
    pub tracepoints: Vec<&'static str>,
    /// Functions with the names of their parameters, of those asked for.
    pub functions: HashMap<&'static str, Vec<String>>,
}

impl Facts {
    /// Does this kernel have what a program would be attached to, as far as BTF can tell?
    ///
    /// # Errors
    /// When it does not, in words.
    pub fn offer(&self, point: Point) -> Result<(), String> {
        match point {
            Point::BtfTracepoint { name, .. } if !self.tracepoints.contains(&name) => {
                Err(format!("this kernel has no tracepoint {name}"))
            }
            Point::Fexit { function, parameters } => match self.functions.get(function).map(Vec::len) {
                None => Err(format!("this kernel has no function {function}")),
                Some(here) if here != parameters => {
                    Err(format!("{function} has {here} parameters here, this variant is for {parameters}"))
                }
                Some(_) => Ok(()),
            },
            Point::Kprobe(function) | Point::Kretprobe(function)
                if !self.functions.contains_key(function) =>
            {
                Err(format!("this kernel has no function {function}"))
            }
            Point::Uprobe if !cfg!(target_arch = "x86_64") => {
                Err("places in the code of programs are known for x86-64 only".to_owned())
            }
            Point::BtfTracepoint { .. }
            | Point::Kprobe(_)
            | Point::Kretprobe(_)
            | Point::SyscallExits(_)
            | Point::Uprobe => Ok(()),
        }
    }

    /// Names of the fields in `needed` that this kernel does not have.
    #[must_use]
    pub fn missing(&self, needed: &'static [&'static [&'static str]]) -> Vec<&'static str> {
        let offsets = words(&self.offsets);
        let position = |name: &str| Offsets::FIELDS.iter().position(|(field, _, _)| *field == name);
        needed
            .iter()
            .copied()
            .flatten()
            .copied()
            .filter(|name| {
                position(name).and_then(|at| offsets.get(at).copied()).is_none_or(|offset| offset == ABSENT)
            })
            .collect()
    }
}

/// Reads the facts from a blob.
///
/// # Errors
/// When it is not BTF.
pub fn resolve(
    blob: &[u8],
    tracepoints: &[(&'static str, &'static str)],
    functions: &[&'static str],
) -> Result<Facts, btf::Error> {
    let btf = Btf::parse(blob)?;
    let mut wanted: Vec<(Kind, &'static str)> = vec![(Kind::Enum, "iter_type")];
    wanted.extend(Offsets::FIELDS.iter().map(|&(_, structure, _)| (Kind::Struct, structure)));
    wanted.extend(functions.iter().map(|&name| (Kind::Function, name)));
    wanted.extend(tracepoints.iter().map(|&(_, typedef)| (Kind::Typedef, typedef)));
    let found = btf.find(&wanted);
    let offsets: Vec<u32> = Offsets::FIELDS
        .iter()
        .map(|&(field, structure, path)| {
            let id = found.get(&(Kind::Struct, structure)).copied();
            id.and_then(|id| offset(&btf, id, field, path)).unwrap_or(ABSENT)
        })
        .collect();
    let functions: HashMap<&'static str, Vec<String>> = functions
        .iter()
        .filter_map(|&name| Some((name, btf.parameters(*found.get(&(Kind::Function, name))?)?)))
        .collect();
    let kernel = kernel(&btf, &found, &functions);
    let tracepoints = tracepoints
        .iter()
        .filter(|(_, typedef)| found.contains_key(&(Kind::Typedef, *typedef)))
        .map(|&(name, _)| name)
        .collect();
    let offsets = Offsets::read_from_bytes(offsets.as_bytes()).unwrap_or(Offsets::UNKNOWN);
    Ok(Facts { offsets, kernel, tracepoints, functions })
}

fn offset(btf: &Btf<'_>, structure: u32, field: &str, path: &str) -> Option<u32> {
    let here = if cfg!(target_arch = "aarch64") { ARM64_NAMES } else { &[] };
    let others =
        FORMER_NAMES.iter().chain(here).filter(|(name, _)| *name == field).flat_map(|(_, names)| *names);
    std::iter::once(path).chain(others.copied()).find_map(|path| btf.member(structure, path))
}

fn kernel(
    btf: &Btf<'_>,
    found: &HashMap<(Kind, &str), u32>,
    functions: &HashMap<&str, Vec<String>>,
) -> Kernel {
    let iter_type = found.get(&(Kind::Enum, "iter_type")).copied();
    let enumerator = |name: &str| iter_type.and_then(|id| btf.enumerator(id, name)).unwrap_or(ABSENT);
    let flags = functions.get("tcp_recvmsg").and_then(|names| names.iter().position(|name| name == "flags"));
    Kernel {
        iter_ubuf_type: enumerator("ITER_UBUF"),
        iter_iovec_type: enumerator("ITER_IOVEC"),
        recvmsg_flags_arg: flags.and_then(|at| u32::try_from(at).ok()).unwrap_or(ABSENT),
        ..Kernel::UNKNOWN
    }
}

fn words(offsets: &Offsets) -> Vec<u32> {
    let (words, _) = offsets.as_bytes().as_chunks::<4>();
    words.iter().map(|word| u32::from_ne_bytes(*word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_every_field_that_tracepoints_need() {
        let Ok(blob) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
        let facts =
            resolve(&blob, &[("sched_process_exec", "btf_trace_sched_process_exec")], &["tcp_recvmsg"])
                .unwrap();
        assert_eq!(facts.missing(&[&["task_tgid", "sock_cookie", "tcp_write_seq"]]), Vec::<&str>::new());
        assert_eq!(facts.tracepoints, ["sched_process_exec"]);
        assert!(facts.functions["tcp_recvmsg"].contains(&"flags".to_owned()));
    }

    #[test]
    fn a_blob_without_types_misses_every_field() {
        let blob: Vec<u8> =
            [0x0001_eb9f_u32, 24, 0, 0, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let facts = resolve(&blob, &[("x", "btf_trace_x")], &["tcp_recvmsg"]).unwrap();
        assert_eq!(facts.offsets, Offsets::UNKNOWN);
        assert_eq!(facts.missing(&[&["task_tgid"]]), ["task_tgid"]);
        assert_eq!(facts.missing(&[&["no_such_field"]]), ["no_such_field"]);
        assert!(facts.tracepoints.is_empty());
    }
}
