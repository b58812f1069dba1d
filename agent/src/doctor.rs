//! What this machine supports: privileges, kernel features, which way each hook is seen and what each missing one costs.
//!
//! Shape: probes → [`Report`], as text or JSON. Every variant is tried by loading it, never by the kernel's version.
//! Not here: one process (see `explain`).
mod capabilities;
mod kept;
mod sight;

pub(crate) use self::kept::kept;
pub use self::{
    capabilities::{CAPABILITIES, Capability, Later},
    sight::{SIGHTS, Seen, Sight},
};

use crate::{
    attach::{self, HookId, HookReport, Outcome, ProgramReport, Settings, hooks::HOOKS},
    kubernetes,
};
use rustix::thread::CapabilitySet;
use serde::Serialize;
use std::{collections::BTreeSet, fmt, fs, path::Path};

/// A yes or no with its meaning.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// Is it there?
    pub ok: bool,
    /// What it is, or what its absence costs.
    pub detail: String,
}

/// One way to have a hook.
#[derive(Clone, Debug, Serialize)]
pub struct Variant {
    /// `tracepoints`, `fentry`, `kprobe`, `syscalls`; absent where there is one way.
    pub kind: Option<String>,
    /// `chosen`, `works` or `refused`.
    pub outcome: &'static str,
    /// What it is good for.
    pub good_for: &'static str,
    /// Why it was refused.
    pub reason: Option<String>,
    /// Its programs, if it was not.
    pub programs: Vec<Program>,
}

/// A program that this kernel takes.
#[derive(Clone, Debug, Serialize)]
pub struct Program {
    /// Name in the object.
    pub name: &'static str,
    /// Instructions that the verifier walked through; kernels before 5.16 do not say.
    pub verified_instructions: Option<u32>,
    /// Microseconds that verifier and compiler took.
    pub load_us: u64,
}

/// One hook.
#[derive(Clone, Debug, Serialize)]
pub struct Hook {
    /// Its name for programs.
    pub id: HookId,
    /// What it is needed for: missing without it.
    pub needed_for: &'static str,
    /// The best first. The first that works is chosen.
    pub variants: Vec<Variant>,
}

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of the agent.
    pub agent: &'static str,
    /// Kernel release.
    pub kernel: String,
    /// Privileges and kernel features; in Kubernetes what the API server answers.
    pub checks: Vec<Check>,
    /// Hooks.
    pub hooks: Vec<Hook>,
    /// What the chosen way to see sockets cannot read, each in half a sentence.
    pub not_read: Vec<String>,
    /// Why hooks could not be tried at all.
    pub error: Option<String>,
}

impl Report {
    /// Can the agent trace here?
    pub fn is_able(&self) -> bool {
        let has_way = |hook: &Hook| hook.variants.iter().any(|variant| variant.outcome != "refused");
        let is_needed = |hook: &&Hook| HOOKS.iter().any(|row| row.id == hook.id && !row.optional);
        self.error.is_none() && self.hooks.iter().filter(is_needed).all(has_way)
    }
}

/// Looks at this machine, and in Kubernetes asks the API server what the agent would. Loads programs and unloads them again; observes nobody.
pub fn examine(settings: &Settings, kubernetes: Option<&kubernetes::Settings>) -> Report {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let (reports, keeps, error) = match attach::survey(settings) {
        Ok(mut survey) => {
            let keeps = kept(&mut |with_probe| survey.rehearse(with_probe)).ok();
            (survey.reports, keeps, None)
        }
        Err(error) => (Vec::new(), None, Some(chain(&error))),
    };
    let not_read = not_read(&reports);
    let mut checks = checks(Path::new("/"), settings, refuses_probes(&reports), keeps);
    checks.extend(kubernetes.into_iter().flat_map(kubernetes::check).map(|asked| Check {
        name: asked.name,
        ok: asked.ok,
        detail: asked.detail,
    }));
    Report { agent: env!("CARGO_PKG_VERSION"), kernel, checks, hooks: hooks(reports), not_read, error }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What the best way to see sockets that works here does not read.
fn not_read(reports: &[HookReport]) -> Vec<String> {
    let socket = reports.iter().find(|report| report.id == HookId::SocketBytes);
    let variants = socket.into_iter().flat_map(|report| &report.variants);
    let kind = variants
        .filter(|variant| !matches!(variant.outcome, Outcome::Refused { .. }))
        .find_map(|one| one.kind);
    kind.into_iter().flat_map(|kind| SIGHTS.iter().filter_map(move |row| row.told(kind))).collect()
}

fn hooks(reports: Vec<HookReport>) -> Vec<Hook> {
    // What carries bytes comes first: without it there is nothing to trace.
    let mut reports = reports;
    reports.sort_by_key(|report| report.id != HookId::SocketBytes);
    reports.into_iter().map(hook).collect()
}

fn hook(report: HookReport) -> Hook {
    let mut is_chosen = false;
    let variants = report.variants.into_iter().map(|variant| {
        let (outcome, reason) = match variant.outcome {
            Outcome::Refused { reason } => ("refused", Some(reason)),
            Outcome::Works | Outcome::Chosen if !is_chosen => {
                is_chosen = true;
                ("chosen", None)
            }
            Outcome::Works | Outcome::Chosen | Outcome::NotTried => ("works", None),
        };
        Variant {
            kind: variant.kind.map(|kind| kind.to_string()),
            outcome,
            good_for: variant.doc,
            reason,
            programs: variant.programs.into_iter().map(program).collect(),
        }
    });
    Hook { id: report.id, needed_for: report.needed_for, variants: variants.collect() }
}

fn program(report: ProgramReport) -> Program {
    let load_us = u64::try_from(report.load_time.as_micros()).unwrap_or(u64::MAX);
    Program { name: report.name, verified_instructions: report.verified_instructions, load_us }
}

fn checks(
    root: &Path,
    settings: &Settings,
    refuses_probes: bool,
    keeps: Option<CapabilitySet>,
) -> Vec<Check> {
    let held = capabilities::held(&fs::read_to_string(root.join("proc/self/status")).unwrap_or_default());
    let admin = without_admin(root, refuses_probes);
    let mut checks: Vec<Check> = CAPABILITIES
        .iter()
        .map(|row| {
            let is_held = row.is_held(&held);
            let is_admin = row.number == capabilities::SYS_ADMIN;
            let detail = match (is_held, is_admin, admin.is_empty()) {
                (true, ..) => format!("held{}", later(row.number, &held, keeps)),
                (false, true, true) => "missing, and not needed here".to_owned(),
                (false, true, false) => format!("missing: {}; here {}", row.lost, admin.join("; ")),
                (false, false, _) => format!("missing: {}", row.lost),
            };
            Check { name: row.name.into(), ok: is_held || (is_admin && admin.is_empty()), detail }
        })
        .collect();
    checks.push(btf(root, settings));
    let lockdown = fs::read_to_string(root.join("sys/kernel/security/lockdown")).unwrap_or_default();
    let mode = lockdown.split('[').nth(1).and_then(|rest| rest.split(']').next()).unwrap_or("none");
    let detail = match mode {
        "confidentiality" => "confidentiality: kernel memory may not be read, nothing can be traced",
        "integrity" => "integrity: nothing that wirespan does needs more",
        _ => "off, or not visible",
    };
    checks.push(Check { name: "lockdown".into(), ok: mode != "confidentiality", detail: detail.into() });
    checks
}

/// What becomes of a capability that is held: what another holds in its place becomes what that one does.
fn later(number: u32, held: &BTreeSet<u32>, keeps: Option<CapabilitySet>) -> &'static str {
    match keeps.filter(|_| held.contains(&number)).map(|keeps| keeps.contains(kept::bit(number))) {
        Some(true) => ", and kept while running",
        Some(false) => ", and let go after the start",
        None => "",
    }
}

/// The kernel lets this process probe no place in programs.
fn refuses_probes(reports: &[HookReport]) -> bool {
    let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused { reason } if reason.contains("perf_event_open"));
    reports
        .iter()
        .filter(|report| report.is_probe())
        .flat_map(|report| &report.variants)
        .any(|one| is_refused(&one.outcome))
}

/// What is lost on this machine without CAP_SYS_ADMIN.
fn without_admin(root: &Path, refuses_probes: bool) -> Vec<String> {
    let mut lost = Vec::new();
    if refuses_probes {
        lost.push("the kernel lets nobody else probe places in programs (Go, Python, Node.js)".to_owned());
    }
    if !has_tracefs(root) {
        lost.push("tracefs is not mounted: `syscalls` cannot be had".to_owned());
    }
    // Debian and Ubuntu know levels above 2, which let nobody but CAP_SYS_ADMIN open perf events; uprobes are such events.
    let level = fs::read_to_string(root.join("proc/sys/kernel/perf_event_paranoid")).unwrap_or_default();
    let level: i32 = level.trim().parse().unwrap_or(2);
    if level > 2 {
        lost.push(format!(
            "kernel.perf_event_paranoid is {level}: `kprobe` and `syscalls` are lost, and every place in programs; 2 is enough for the former"
        ));
    }
    lost
}

/// Mounted by itself, or within debugfs.
fn has_tracefs(root: &Path) -> bool {
    let has_entries =
        |path: &str| fs::read_dir(root.join(path)).is_ok_and(|mut entries| entries.next().is_some());
    ["sys/kernel/tracing", "sys/kernel/debug/tracing"].into_iter().any(has_entries)
}

fn btf(root: &Path, settings: &Settings) -> Check {
    const OWN: &str = "sys/kernel/btf/vmlinux";
    const COST: &str = "offsets of kernel structs are not known: nothing can be traced";
    let path = settings.btf.clone().unwrap_or_else(|| root.join(OWN));
    let ok = path.exists();
    let hint = if settings.btf.is_none() { "; capture.btf may name a file that has it" } else { "" };
    let detail = match (ok, &settings.btf) {
        (true, None) => format!("/{OWN}"),
        (true, Some(path)) => format!("{}, by capture.btf", path.display()),
        (false, _) => format!("{} is missing: {COST}{hint}", path.display()),
    };
    Check { name: "BTF".into(), ok, detail }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wirespan {} on Linux {}", self.agent, self.kernel)?;
        for check in &self.checks {
            writeln!(f, "  {} {:<20} {}", if check.ok { "ok" } else { "--" }, check.name, check.detail)?;
        }
        if let Some(error) = &self.error {
            writeln!(f, "hooks cannot be tried: {error}")?;
        }
        for hook in &self.hooks {
            writeln!(f, "{}", hook.needed_for)?;
            for variant in &hook.variants {
                let kind = variant.kind.as_deref().unwrap_or("the only way");
                writeln!(f, "  {:<8} {kind:<12} {}", variant.outcome, variant.good_for)?;
                let verified = variant.programs.iter().filter_map(|program| program.verified_instructions);
                if let Some(instructions) = verified.reduce(u32::saturating_add) {
                    let ms = variant.programs.iter().map(|program| program.load_us).sum::<u64>() as f64 / 1e3;
                    writeln!(f, "  {:<8} {:<12} {instructions} instructions verified in {ms:.1} ms", "", "")?;
                }
                if let Some(reason) = &variant.reason {
                    writeln!(f, "  {:<8} {:<12} because: {reason}", "", "")?;
                }
            }
        }
        if !self.not_read.is_empty() {
            writeln!(f, "by the way to see sockets that is chosen")?;
        }
        for told in &self.not_read {
            writeln!(f, "  {told}")?;
        }
        let verdict = if self.is_able() { "wirespan can trace here" } else { "wirespan cannot trace here" };
        writeln!(f, "{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_chosen_kind_does_not_read_is_told() {
        use crate::attach::{VariantReport, hooks::Kind};
        let variant =
            |kind, outcome| VariantReport { kind: Some(kind), doc: "", outcome, programs: Vec::new() };
        let variants = vec![
            variant(Kind::Tracepoints, Outcome::Refused { reason: String::new() }),
            variant(Kind::Fentry, Outcome::Works),
            variant(Kind::Syscalls, Outcome::Works),
        ];
        let told = not_read(&[HookReport { id: HookId::SocketBytes, needed_for: "", variants }]);
        assert!(told.contains(&"what the kernel itself encrypts (kTLS): not seen".to_owned()), "{told:?}");
        assert!(!told.iter().any(|told| told.contains("io_uring")), "{told:?}");
    }

    #[test]
    fn a_machine_without_btf_is_told_what_that_costs() {
        let folder = tempfile::tempdir().unwrap();
        let btf = checks(folder.path(), &Settings::default(), false, None)
            .into_iter()
            .find(|check| check.name == "BTF")
            .unwrap();
        assert!(!btf.ok && btf.detail.contains("nothing can be traced"), "{btf:?}");
    }
}
