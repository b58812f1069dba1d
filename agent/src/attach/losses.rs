//! What the kernel side lost: its own counters by reason, and what the kernel says of the programs.
use crate::attach::{
    hooks::{HOOKS, HookId},
    kernel::{Error, Kernel},
};
use aya::{Ebpf, maps::PerCpuArray};
use std::{
    fs::{self, File},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::FileExt as _,
    },
};
use wirespan_common::reason::Reason;

/// What the kernel says of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCount {
    /// Its name.
    pub program: String,
    /// Events that it was not run for, because it was already running on that CPU: each is a loss.
    pub misses: u64,
    /// How often it ran, if the kernel counts (`kernel.bpf_stats_enabled`).
    pub runs: u64,
    /// Nanoseconds that it ran for, likewise.
    pub run_ns: u64,
}

/// Events that programs were not run for, by what is missing without them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Misses {
    /// Bytes, births, callbacks and processes: something that speaks for or against a cause was not seen.
    pub evidence: u64,
    /// Changes of a connection's state. They happen in interrupts too, so some are missed under load. No cause is told
    /// by them: an end that was not seen leaves a request open for longer, and never makes another one its parent.
    pub states: u64,
    /// Sockets that were destroyed: each may leave a row that nobody deletes.
    pub ends: u64,
}

impl Misses {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.evidence + self.states + self.ends
    }

    fn add(&mut self, program: &str, misses: u64) {
        let hook = HOOKS.iter().find(|hook| {
            hook.variants.iter().flat_map(|way| way.attachments).any(|it| it.program == program)
        });
        *match hook.map(|hook| hook.id) {
            Some(HookId::ConnectionState) => &mut self.states,
            Some(HookId::ConnectionEnd) => &mut self.ends,
            _ => &mut self.evidence,
        } += misses;
    }
}

/// What the kernel says of each loaded program: files that stay open, because they are read ten times a second, and to open one costs
/// more than to read it. Source: kernel/bpf/syscall.c `bpf_prog_show_fdinfo` (v6.18).
#[derive(Debug, Default)]
pub(in crate::attach) struct ProgramFiles(Vec<(String, File)>);

impl ProgramFiles {
    /// Of the programs that are loaded by now.
    pub(in crate::attach) fn open(ebpf: &Ebpf) -> Self {
        let files = ebpf.programs().filter_map(|(name, program)| {
            let path = format!("/proc/self/fdinfo/{}", program.fd().ok()?.as_fd().as_raw_fd());
            Some((name.to_owned(), File::open(path).ok()?))
        });
        Self(files.collect())
    }

    /// What they say now, by the programs' names.
    fn read(&self, mut each: impl FnMut(&str, &str)) {
        /// A few lines of numbers.
        const FILE_BYTES: usize = 1024;
        let mut room = [0; FILE_BYTES];
        for (name, file) in &self.0 {
            let Ok(len) = file.read_at(&mut room, 0) else { continue };
            if let Some(Ok(text)) = room.get(..len).map(str::from_utf8) {
                each(name, text);
            }
        }
    }
}

/// A number in the text of such a file.
fn number(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

const MISSES: &str = "recursion_misses:";

impl Kernel {
    /// Counters by reason, summed over CPUs.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn reasons(&self) -> Result<Vec<(Reason, u64)>, Error> {
        self.counts_of(Reason::ALL)
    }

    /// Records that the kernel side could not write, program misses aside: two look-ups, for whoever asks often.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn refused_records(&self) -> Result<u64, Error> {
        let counts = self.counts_of(&[Reason::RingFull, Reason::ConnectionsFull])?;
        Ok(counts.into_iter().map(|(_, count)| count).sum())
    }

    fn counts_of(&self, reasons: &[Reason]) -> Result<Vec<(Reason, u64)>, Error> {
        const MAP: &str = "REASONS";
        let failed = |source| Error::Map { map: MAP, source: Box::new(source) };
        let map = self.ebpf.map(MAP).ok_or(Error::NoMap(MAP))?;
        let map: PerCpuArray<_, u64> = PerCpuArray::try_from(map).map_err(failed)?;
        reasons
            .iter()
            .map(|&reason| {
                let values = map.get(&(reason as u32), 0).map_err(failed)?;
                Ok((reason, values.iter().sum()))
            })
            .collect()
    }

    /// Misses of each loaded program, and what else the kernel counts of it.
    #[must_use]
    pub fn misses(&self) -> Vec<ProgramCount> {
        let mut programs = Vec::new();
        self.program_files.read(|name, text| {
            programs.push(ProgramCount {
                program: name.to_owned(),
                misses: number(text, MISSES),
                runs: number(text, "run_cnt:"),
                run_ns: number(text, "run_time_ns:"),
            });
        });
        programs
    }

    /// Their misses, by what is missing without them: for whoever asks often.
    #[must_use]
    pub fn missed(&self) -> Misses {
        let mut sums = Misses::default();
        self.program_files.read(|name, text| match number(text, MISSES) {
            // Almost none ever misses: only those are looked up.
            0 => {}
            misses => sums.add(name, misses),
        });
        sums
    }

    /// Bytes of kernel memory that the maps hold. Source: `memlock` of `bpf_map_show_fdinfo`.
    #[must_use]
    pub fn map_bytes(&self) -> u64 {
        let maps = self.ebpf.maps().filter_map(|(_, map)| {
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", map_fd(map)?)).ok()?;
            info.lines().find_map(|line| line.strip_prefix("memlock:"))?.trim().parse::<u64>().ok()
        });
        maps.sum()
    }
}

fn map_fd(map: &aya::maps::Map) -> Option<i32> {
    use aya::maps::Map;
    let data = match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::RingBuf(data) => data,
        _ => return None,
    };
    Some(data.fd().as_fd().as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_tell_of_a_cause_is_missing_evidence() {
        let programs = [
            ("inet_sock_set_state", 1),
            ("tcp_destroy_sock", 2),
            ("sock_send_length", 4),
            ("python_birth_uprobe", 8),
            ("a_program_of_no_hook", 16),
        ];
        let mut misses = Misses::default();
        programs.into_iter().for_each(|(program, count)| misses.add(program, count));
        assert_eq!(misses, Misses { evidence: 28, states: 1, ends: 2 });
        assert_eq!(misses.total(), 31);
    }

    #[test]
    fn a_number_is_found_by_its_key_and_what_is_not_there_is_none() {
        let text = "pos:\t0\nprog_jited:\t1\nrun_cnt:\t12\nrecursion_misses:\t3\n";
        assert_eq!(
            (number(text, MISSES), number(text, "run_cnt:"), number(text, "run_time_ns:")),
            (3, 12, 0)
        );
    }
}
