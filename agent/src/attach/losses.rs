//! What the kernel side lost: its own counters by reason, and what the kernel says of the programs.
use crate::attach::{
    hooks::{HOOKS, HookId},
    kernel::{Error, Kernel},
};
use aya::maps::PerCpuArray;
use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
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

impl FromIterator<ProgramCount> for Misses {
    fn from_iter<T: IntoIterator<Item = ProgramCount>>(programs: T) -> Self {
        let mut sums = Self::default();
        // Almost none ever misses: only those are looked up.
        let missing = programs.into_iter().filter(|program| program.misses > 0);
        missing.for_each(|program| sums.add(&program.program, program.misses));
        sums
    }
}

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

    /// Misses of each loaded program, and what else the kernel counts of it. Source: kernel/bpf/syscall.c `bpf_prog_show_fdinfo` (v6.18).
    #[must_use]
    pub fn misses(&self) -> Vec<ProgramCount> {
        let programs = self.ebpf.programs().filter_map(|(name, program)| {
            let path = format!("/proc/self/fdinfo/{}", program.fd().ok()?.as_fd().as_raw_fd());
            let info = fs::read_to_string(path).ok()?;
            let count = |key: &str| -> u64 {
                let value = info.lines().find_map(|line| line.strip_prefix(key));
                value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
            };
            Some(ProgramCount {
                program: name.to_owned(),
                misses: count("recursion_misses:"),
                runs: count("run_cnt:"),
                run_ns: count("run_time_ns:"),
            })
        });
        programs.collect()
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
        let count =
            |program: &str, misses| ProgramCount { program: program.into(), misses, runs: 0, run_ns: 0 };
        let programs = [
            count("inet_sock_set_state", 1),
            count("tcp_destroy_sock", 2),
            count("sock_send_length", 4),
            count("python_birth_uprobe", 8),
            count("a_program_of_no_hook", 16),
        ];
        let misses = Misses::from_iter(programs);
        assert_eq!(misses, Misses { evidence: 28, states: 1, ends: 2 });
        assert_eq!(misses.total(), 31);
    }
}
