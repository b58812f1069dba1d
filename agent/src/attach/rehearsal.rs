//! What a running agent asks of the kernel, done once: a look at a map, and a probe in a program.
//!
//! Whether it may, with fewer privileges, is only known by doing it.
use crate::attach::load::try_uprobe;
use aya::{
    Ebpf,
    maps::PerCpuArray,
    programs::{Program, UProbe},
};

/// Says what failed. Without a program for places in programs, nothing but maps is ever asked for.
pub(in crate::attach) fn rehearse(ebpf: &mut Ebpf, with_probe: bool) -> Result<(), String> {
    look(ebpf)?;
    if !with_probe {
        return Ok(());
    }
    ebpf.programs_mut().find_map(|(_, program)| loaded(program)).map_or(Ok(()), try_uprobe)
}

fn look(ebpf: &Ebpf) -> Result<(), String> {
    const MAP: &str = "REASONS";
    let map = ebpf.map(MAP).ok_or_else(|| format!("the object has no map {MAP}"))?;
    let map = PerCpuArray::<_, u64>::try_from(map).map_err(|error| error.to_string())?;
    map.get(&0, 0).map(drop).map_err(|error| error.to_string())
}

fn loaded(program: &mut Program) -> Option<&mut UProbe> {
    let Program::UProbe(program) = program else { return None };
    program.fd().is_ok().then_some(program)
}
