//! What each kernel is expected to offer, and what `wirespan doctor --json` says of it.
//!
//! Shape: `tests/kernels.toml` and a report → lines for people, and what differs. Not here: booting (see `guest.rs`).
use anyhow::{Context, Result};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kernels {
    /// Oldest first.
    #[serde(rename = "kernel")]
    pub(super) kernels: Vec<Kernel>,
}

/// A row of it; its head says what the fields mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kernel {
    pub(super) name: String,
    /// Series of the package, where it is not the name.
    pub(super) series: Option<String>,
    /// Debian's name of its processor.
    #[serde(default = "amd64")]
    pub(super) arch: String,
    /// Words for the kernel's command line.
    #[serde(default)]
    pub(super) cmdline: String,
    /// Processors of the guest; with more than one they run at once, and no clock counts instructions.
    #[serde(default = "one")]
    pub(super) cpus: u8,
    /// Worlds, instead of the usual ones.
    pub(super) worlds: Option<Vec<String>>,
    /// Ways to see socket calls under each of which the HTTP/1 worlds are played.
    #[serde(default)]
    pub(super) http: Vec<String>,
    pub(super) archive: String,
    pub(super) suite: String,
    pub(super) packages: Vec<String>,
    /// Kind of socket plane; none where nothing can be traced.
    pub(super) chosen: Option<String>,
    /// Is it in the part that `cargo xtask test` runs?
    #[serde(default)]
    pub(super) short: bool,
    refused: BTreeMap<String, String>,
}

const fn one() -> u8 {
    1
}

fn amd64() -> String {
    "amd64".to_owned()
}

/// What `doctor --json` prints, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) kernel: String,
    hooks: Vec<Hook>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Hook {
    id: String,
    variants: Vec<Variant>,
}

#[derive(Debug, Deserialize)]
struct Variant {
    kind: Option<String>,
    outcome: String,
    reason: Option<String>,
    programs: Vec<Program>,
}

#[derive(Debug, Deserialize)]
struct Program {
    name: String,
    verified_instructions: Option<u32>,
    load_us: u64,
}

/// A hook, or one kind of it.
struct Way<'a> {
    name: String,
    variants: Vec<&'a Variant>,
}

impl Way<'_> {
    /// The first variant that is not refused.
    fn works(&self) -> Option<&Variant> {
        self.variants.iter().copied().find(|variant| variant.outcome != "refused")
    }

    /// Why all of them are refused, in one line.
    fn reasons(&self) -> String {
        let reasons: BTreeSet<&str> = self.variants.iter().filter_map(|one| one.reason.as_deref()).collect();
        reasons.into_iter().collect::<Vec<_>>().join("; ")
    }
}

impl Kernels {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("read {}", path.display()))
    }
}

impl Report {
    fn ways(&self) -> Vec<Way<'_>> {
        let mut ways: Vec<Way<'_>> = Vec::new();
        for hook in &self.hooks {
            for variant in &hook.variants {
                let name = match &variant.kind {
                    Some(kind) => format!("{}/{kind}", hook.id),
                    None => hook.id.clone(),
                };
                match ways.iter_mut().find(|way| way.name == name) {
                    Some(way) => way.variants.push(variant),
                    None => ways.push(Way { name, variants: vec![variant] }),
                }
            }
        }
        ways
    }

    /// A line per way, and per program the verifier's work.
    pub(super) fn lines(&self, kernel: &Kernel) -> Vec<String> {
        let mut lines = Vec::new();
        for way in self.ways() {
            let Some(variant) = way.works() else {
                let mark = if kernel.expects(&way) { "expected" } else { "NOT expected" };
                lines.push(format!("{:<26} refused ({mark}): {}", way.name, way.reasons()));
                continue;
            };
            lines.push(format!("{:<26} {}", way.name, variant.outcome));
            for program in &variant.programs {
                let instructions = program
                    .verified_instructions
                    .map_or("unknown".to_owned(), |instructions| instructions.to_string());
                let ms = program.load_us as f64 / 1e3;
                lines.push(format!(
                    "  {:<26} {instructions:>7} instructions verified, {ms:>8.1} ms",
                    program.name
                ));
            }
        }
        lines
    }

    /// How many ways work, and how many are refused as expected.
    pub(super) fn counts(&self, kernel: &Kernel) -> (usize, usize) {
        let ways = self.ways();
        let works = ways.iter().filter(|way| way.works().is_some()).count();
        (works, ways.iter().filter(|way| kernel.expects(way)).count())
    }

    /// Each difference from what is expected, as a sentence.
    pub(super) fn differences(&self, kernel: &Kernel) -> Vec<String> {
        let mut differences: Vec<String> = self.error.iter().cloned().collect();
        let ways = self.ways();
        for way in &ways {
            let expected = kernel.refused.get(&way.name);
            match (way.works(), expected) {
                (None, None) => {
                    differences.push(format!(
                        "{} is refused, which is not expected: {}",
                        way.name,
                        way.reasons()
                    ));
                }
                (None, Some(words)) if !way.reasons().contains(words) => {
                    let reasons = way.reasons();
                    differences.push(format!(
                        "{} is refused for another reason than `{words}`: {reasons}",
                        way.name
                    ));
                }
                (Some(_), Some(_)) => {
                    differences.push(format!("{} works, and is listed as refused", way.name));
                }
                _ => {}
            }
        }
        for name in kernel.refused.keys().filter(|name| !ways.iter().any(|way| way.name == **name)) {
            differences.push(format!("{name} is listed as refused, and is no hook"));
        }
        let chosen = self.chosen();
        if chosen != kernel.chosen.as_deref() {
            differences.push(format!("{chosen:?} is chosen to see sockets, not {:?}", kernel.chosen));
        }
        differences
    }

    fn chosen(&self) -> Option<&str> {
        let hook = self.hooks.iter().find(|hook| hook.id == "socket-bytes")?;
        hook.variants.iter().find(|variant| variant.outcome == "chosen")?.kind.as_deref()
    }
}

impl Kernel {
    /// Is it in the list of what is refused?
    pub(super) fn refuses(&self, way: &str) -> bool {
        self.refused.contains_key(way)
    }

    /// Is it refused, and for the reason that is listed?
    fn expects(&self, way: &Way<'_>) -> bool {
        let words = self.refused.get(&way.name);
        way.works().is_none() && words.is_some_and(|words| way.reasons().contains(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        serde_json::from_str(
            r#"{"kernel": "6.1.0", "hooks": [
                {"id": "socket-bytes", "variants": [
                    {"kind": "tracepoints", "outcome": "refused", "reason": "no tracepoint", "programs": []},
                    {"kind": "fentry", "outcome": "chosen", "programs": [{"name": "a", "load_us": 1500}]},
                    {"kind": "fentry", "outcome": "refused", "reason": "5 parameters", "programs": []}]},
                {"id": "exec", "variants": [{"outcome": "chosen", "programs": []}]}]}"#,
        )
        .unwrap()
    }

    fn kernel(refused: &[(&str, &str)]) -> Kernel {
        let refused = refused.iter().map(|(name, words)| ((*name).to_owned(), (*words).to_owned())).collect();
        let mut kernels: Kernels = toml::from_str(
            "[[kernel]]\nname = \"6.1\"\narchive = \"debian\"\nsuite = \"x\"\npackages = []\nchosen = \"fentry\"\nrefused = {}",
        )
        .unwrap();
        Kernel { refused, ..kernels.kernels.remove(0) }
    }

    #[test]
    fn what_is_listed_is_no_difference() {
        let kernel = kernel(&[("socket-bytes/tracepoints", "no tracepoint")]);
        assert_eq!(report().differences(&kernel), Vec::<String>::new());
        assert_eq!(report().counts(&kernel), (2, 1));
    }

    #[test]
    fn a_hook_that_vanished_and_one_that_came_are_told() {
        let told = report().differences(&kernel(&[("exec", "gone"), ("nothing", "?")]));
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told.iter().any(|line| line.starts_with("socket-bytes/tracepoints is refused, which is not"))
        );
        assert!(told.iter().any(|line| line.starts_with("exec works, and is listed")));
        assert!(told.iter().any(|line| line.starts_with("nothing is listed as refused, and is no hook")));
        let told = report().differences(&kernel(&[("socket-bytes/tracepoints", "EPERM")]));
        assert!(told.iter().any(|line| line.contains("for another reason than `EPERM`")), "{told:?}");
    }

    #[test]
    fn the_list_of_kernels_is_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/kernels.toml");
        let kernels = Kernels::read(&path).unwrap().kernels;
        assert!(kernels.iter().filter(|kernel| kernel.short).count() >= 2);
    }
}
