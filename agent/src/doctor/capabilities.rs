//! Privileges: which capability is needed for what, so that what is lost can be said, and each row be reproduced by a world.
//!
//! Shape: a table, and the capabilities that this process holds. Numbers: include/uapi/linux/capability.h.
//! Not here: which of them a running agent does without (see `kept`).
use std::collections::BTreeSet;

/// A capability and what is lost without it.
#[derive(Clone, Copy, Debug)]
pub struct Capability {
    /// Its number.
    pub number: u32,
    /// As the kernel calls it.
    pub name: &'static str,
    /// Another that holds what this one is needed for.
    pub within: Option<u32>,
    /// What is lost, and which room loses it.
    pub lost: &'static str,
    /// What becomes of it after the start.
    pub later: Later,
}

/// What becomes of a capability once the agent is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// Kept: it is needed whenever a program is found.
    Kept,
    /// Let go, if the kernel lets the agent do what a running one does without it: that is tried.
    Tried,
}

/// Holds what CAP_BPF and CAP_PERFMON hold.
pub(super) const SYS_ADMIN: u32 = 21;
/// Holds what CAP_DAC_READ_SEARCH holds.
const DAC_OVERRIDE: u32 = 1;

/// Every privilege that some line of the agent needs.
pub const CAPABILITIES: [Capability; 5] = [
    Capability {
        number: 39,
        name: "CAP_BPF",
        within: Some(SYS_ADMIN),
        lost: "nothing can be loaded (attach)",
        // Before 5.19 every look at a map; and each probe with a cookie, for which the library first loads a program.
        later: Later::Tried,
    },
    Capability {
        number: 38,
        name: "CAP_PERFMON",
        within: Some(SYS_ADMIN),
        lost: "no program that traces can be loaded (attach)",
        // Places in programs are perf events.
        later: Later::Tried,
    },
    Capability {
        number: SYS_ADMIN,
        name: "CAP_SYS_ADMIN",
        within: None,
        lost: "since 6.16, and on stable kernels since July 2025, no place in programs can be probed, so that calls of Go, Python and Node.js \
               have no parents; tracefs cannot be mounted; and where kernel.perf_event_paranoid is above 2 no perf event can be opened (attach)",
        // Programs are probed when they are found, long after tracefs is unmounted again.
        later: Later::Tried,
    },
    Capability {
        number: 19,
        name: "CAP_SYS_PTRACE",
        within: None,
        lost: "executables, ports and environment of programs with more privileges, or of other users, are not seen (discover, enrich)",
        later: Later::Kept,
    },
    Capability {
        number: 2,
        name: "CAP_DAC_READ_SEARCH",
        within: Some(DAC_OVERRIDE),
        lost: "ports and environment of other users' programs are not read from /proc (discover, enrich)",
        later: Later::Kept,
    },
];

impl Capability {
    /// Does a process with these have what this one is needed for?
    pub(super) fn is_held(&self, held: &BTreeSet<u32>) -> bool {
        held.contains(&self.number) || self.within.is_some_and(|other| held.contains(&other))
    }
}

/// Numbers of the effective capabilities in proc_pid_status(5).
pub(super) fn held(status: &str) -> BTreeSet<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    let bits = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
    (0..64).filter(|bit| bits >> bit & 1 == 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status_file() {
        assert_eq!(held("Name:\tx\nCapEff:\t000000c000080004\n"), BTreeSet::from([2, 19, 38, 39]));
        assert!(held("").is_empty());
    }

    #[test]
    fn one_capability_may_hold_another() {
        let held = BTreeSet::from([SYS_ADMIN]);
        let lost = CAPABILITIES.iter().filter(|row| !row.is_held(&held)).map(|row| row.name);
        assert_eq!(lost.collect::<Vec<_>>(), ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
    }
}
