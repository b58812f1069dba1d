//! Names the processors that the kernel programs know: `agent/build.rs` says by this flag which one they are built for.
fn main() {
    println!("cargo::rustc-check-cfg=cfg(bpf_target_arch, values(\"aarch64\", \"x86_64\"))");
}
