//! Builds the kernel programs, so that plain `cargo build` works, and says what is missing when they cannot be built.
use anyhow::{Context as _, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What to do when a tool is missing.
const HELP: &str = "run `cargo xtask setup`, which installs what is missing";

fn main() -> Result<()> {
    let agent =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").context("cargo sets CARGO_MANIFEST_DIR")?);
    let root = agent.parent().context("the agent's folder has a parent")?;
    for input in ["agent-ebpf", "agent-common/src", ".cargo/config.toml"] {
        println!("cargo:rerun-if-changed={}", root.join(input).display());
    }
    require_tools(root)?;
    let kernel_programs = root.join("agent-ebpf");
    let package = aya_build::Package {
        name: "wirespan-ebpf",
        root_dir: kernel_programs.to_str().context("the project's path is not UTF-8")?,
        ..aya_build::Package::default()
    };
    aya_build::build_ebpf([package], aya_build::Toolchain::default())
        .with_context(|| format!("cannot build the kernel programs; if a tool is missing, {HELP}"))?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    strip(&out.join("wirespan-ebpf")).context("cannot strip the kernel programs")
}

/// Removes DWARF: the linker needs it to make BTF, and every agent would carry 2 MB of it in memory.
fn strip(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path)?;
    let mut object = object::build::elf::Builder::read(&*bytes)?;
    for section in &mut object.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug_") || name.starts_with(b".rel.debug_");
    }
    object.delete_orphans();
    // LLVM keeps all names in one table; the writer wants those of sections apart.
    let names = object.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = object::elf::SHT_STRTAB;
    names.data = object::build::elf::SectionData::SectionString;
    let mut stripped = Vec::new();
    object.write(&mut stripped)?;
    Ok(std::fs::write(path, stripped)?)
}

/// Names the first tool that is missing, before a compiler fails for lack of it in its own words.
fn require_tools(root: &Path) -> Result<()> {
    let linker = root.join(".cache/tools/bin/bpf-linker");
    if !linker.exists() {
        bail!("bpf-linker is not at {}: {HELP}", linker.display());
    }
    let sysroot = Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]).output();
    let sysroot = match sysroot {
        Ok(output) if output.status.success() => {
            PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
        }
        Ok(_) => bail!("the kernel programs need Rust's nightly toolchain: {HELP}"),
        Err(error) => bail!(
            "the kernel programs need Rust's nightly toolchain, and rustup cannot be run ({error}): {HELP}"
        ),
    };
    if !sysroot.join("lib/rustlib/src/rust/library/core").exists() {
        bail!("the nightly toolchain has no rust-src component: {HELP}");
    }
    Ok(())
}
