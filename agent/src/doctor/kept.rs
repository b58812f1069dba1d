//! Which capabilities a running agent keeps: those of the table that it was started with, less what it can do without.
//!
//! Shape: a rehearsal of what a running agent asks of the kernel → a set. It is rehearsed with less in the effective set of this
//! thread, which gets everything back: the kernel's version says little, because distributions mend and forbid as they like.
//! Not here: letting go (see `pipeline`).
use super::capabilities::{CAPABILITIES, Capability, Later};
use rustix::{
    io,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities},
};
use tracing::debug;

/// What to keep of this thread's effective capabilities. `rehearse` does once what a running agent does, if it is told so with a probe in
/// a program, or says why it cannot.
///
/// # Errors
/// When the kernel does not let this thread do with less.
pub(crate) fn kept(rehearse: &mut dyn FnMut(bool) -> Result<(), String>) -> io::Result<CapabilitySet> {
    let all = capabilities(None)?;
    choose(all.effective, |row, less| {
        set_capabilities(None, CapabilitySets { effective: less, ..all })?;
        // What another holds, probes do not ask for; and to take one away again takes the kernel long when it is busy.
        let done = rehearse(row.within.is_none());
        set_capabilities(None, all)?;
        if let Err(reason) = &done {
            debug!(capability = row.name, reason, "needed while running");
        }
        Ok(done.is_ok())
    })
}

/// The same, for any rehearsal: told what is tried and what is left.
fn choose(
    held: CapabilitySet,
    mut is_enough: impl FnMut(&Capability, CapabilitySet) -> io::Result<bool>,
) -> io::Result<CapabilitySet> {
    // Whoever may not trace everybody sees the processes that have no more than itself: with less, it would see fewer. Source:
    // security/commoncap.c `cap_ptrace_access_check` (v6.18).
    if !held.contains(CapabilitySet::SYS_PTRACE) {
        return Ok(held);
    }
    let mut kept: CapabilitySet = CAPABILITIES.iter().filter_map(|row| in_place(row, held)).collect();
    // Those that hold others stand behind them.
    for row in CAPABILITIES.iter().rev().filter(|row| row.later == Later::Tried) {
        let less = kept.difference(bit(row.number));
        // By itself it is kept, whatever works today: an administrator may forbid it to everybody else tomorrow.
        let is_within = row.within.is_none_or(|other| kept.contains(bit(other)));
        if less != kept && is_within && is_enough(row, less)? {
            kept = less;
        }
    }
    Ok(kept)
}

/// What serves a row: itself, or else what holds it.
fn in_place(row: &Capability, held: CapabilitySet) -> Option<CapabilitySet> {
    [Some(row.number), row.within].into_iter().flatten().map(bit).find(|bit| held.contains(*bit))
}

/// A capability by its number.
pub(super) fn bit(number: u32) -> CapabilitySet {
    CapabilitySet::from_bits_retain(1_u64.checked_shl(number).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALWAYS: CapabilitySet = CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH);
    const LOADS: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);

    /// With a kernel that demands one of the sets.
    fn kept_where(demands: &[CapabilitySet], held: CapabilitySet) -> CapabilitySet {
        choose(held, |_, less| Ok(demands.iter().any(|demand| less.contains(*demand)))).unwrap()
    }

    #[test]
    fn where_only_an_administrator_may_probe_the_administrator_is_kept_and_nothing_that_it_holds() {
        let demands = [CapabilitySet::SYS_ADMIN];
        assert_eq!(kept_where(&demands, CapabilitySet::all()), ALWAYS | CapabilitySet::SYS_ADMIN);
    }

    #[test]
    fn where_others_may_probe_the_administrator_is_let_go() {
        assert_eq!(kept_where(&[LOADS, CapabilitySet::SYS_ADMIN], CapabilitySet::all()), ALWAYS | LOADS);
        // And what works without anything today is kept.
        assert_eq!(kept_where(&[CapabilitySet::empty()], CapabilitySet::all()), ALWAYS | LOADS);
    }

    #[test]
    fn where_nothing_can_be_rehearsed_everything_of_the_table_is_kept() {
        let all = ALWAYS | LOADS | CapabilitySet::SYS_ADMIN;
        assert_eq!(kept_where(&[], CapabilitySet::all()), all);
        assert_eq!(kept_where(&[], all), all);
        let other = CapabilitySet::SYS_PTRACE | CapabilitySet::NET_ADMIN;
        assert_eq!(kept_where(&[], other), CapabilitySet::SYS_PTRACE);
    }

    #[test]
    fn who_sees_by_having_no_less_than_others_lets_go_of_nothing() {
        let held = CapabilitySet::all().difference(CapabilitySet::SYS_PTRACE);
        assert_eq!(kept_where(&[CapabilitySet::SYS_ADMIN], held), held);
    }

    #[test]
    fn what_holds_a_missing_one_is_kept_in_its_place() {
        let held = CapabilitySet::DAC_OVERRIDE | CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_PTRACE;
        assert_eq!(kept_where(&[CapabilitySet::SYS_ADMIN], held), held);
    }
}
