//! What a running agent asks of the kernel, done once: a look at a map, and a probe in a program.
//!
//! Whether it may, with fewer privileges, is only known by doing it. The place is the first byte of the agent's own file, which
//! nobody runs.
use crate::attach::load::in_words;
use aya::{
    Ebpf,
    maps::PerCpuArray,
    programs::{
        Program, UProbe,
        uprobe::{UProbeAttachPoint, UProbeScope},
    },
};

/// Says what failed. Without a program for places in programs, nothing but maps is ever asked for.
pub(in crate::attach) fn rehearse(ebpf: &mut Ebpf, with_probe: bool) -> Result<(), String> {
    look(ebpf)?;
    if !with_probe {
        return Ok(());
    }
    ebpf.programs_mut().find_map(|(_, program)| loaded(program)).map_or(Ok(()), probe)
}

fn look(ebpf: &Ebpf) -> Result<(), String> {
    const MAP: &str = "REASONS";
    let map = ebpf.map(MAP).ok_or_else(|| format!("the object has no map {MAP}"))?;
    let map = PerCpuArray::<_, u64>::try_from(map).map_err(|error| error.to_string())?;
    map.get(&0, 0).map(drop).map_err(|error| error.to_string())
}

fn loaded(program: &mut Program) -> Option<&mut UProbe> {
    let program: &mut UProbe = program.try_into().ok()?;
    program.fd().is_ok().then_some(program)
}

/// With a cookie, if this kernel knows them: where Python is probed, each has one.
fn probe(program: &mut UProbe) -> Result<(), String> {
    let cookie = aya::features().bpf_cookie().then_some(0);
    let place = UProbeAttachPoint { location: 0_u64.into(), cookie };
    let link = program.attach(place, "/proc/self/exe", UProbeScope::AllProcesses);
    link.and_then(|link| program.detach(link)).map_err(|error| in_words(&error))
}
