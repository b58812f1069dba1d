//! What the kernel side lost: its own counters by reason, and what the kernel says of the programs.
use crate::attach::kernel::{Error, Kernel};
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
