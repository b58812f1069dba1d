//! What became of each hook, as values: for the log, `doctor` and `explain`.
use crate::attach::{
    hooks::{HookId, Kind},
    uprobes::probe_of,
};
use std::time::Duration;

/// What became of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Attached.
    Chosen,
    /// A better one was chosen, or it was not asked for.
    NotTried,
    /// It would work (see [`survey`](crate::attach::survey)).
    Works,
    /// The kernel lacks something, or refused it.
    Refused {
        /// In words.
        reason: String,
    },
}

/// One variant of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantReport {
    /// Kind of the socket plane, if it is one.
    pub kind: Option<Kind>,
    /// What it is good for.
    pub doc: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// Its programs, if the kernel took all of them.
    pub programs: Vec<ProgramReport>,
}

/// A program that the kernel took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramReport {
    /// Its name in the object.
    pub name: &'static str,
    /// Instructions that the verifier walked through, on all paths together. Kernels before 5.16 do not say.
    pub verified_instructions: Option<u32>,
    /// How long the verifier and the compiler took.
    pub load_time: Duration,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookReport {
    /// Which.
    pub id: HookId,
    /// What is missing without it.
    pub needed_for: &'static str,
    /// Variants, best first.
    pub variants: Vec<VariantReport>,
}

impl HookReport {
    /// The variant in use.
    #[must_use]
    pub fn chosen(&self) -> Option<&VariantReport> {
        self.variants.iter().find(|variant| variant.outcome == Outcome::Chosen)
    }

    /// Is it a place in the code of programs?
    #[must_use]
    pub fn is_probe(&self) -> bool {
        probe_of(self.id).is_some()
    }

    /// Why the others are not, in one line.
    #[must_use]
    pub fn refusals(&self) -> String {
        let reasons = self.variants.iter().filter_map(|variant| match &variant.outcome {
            Outcome::Refused { reason } => Some(match variant.kind {
                Some(kind) => format!("{kind}: {reason}"),
                None => reason.clone(),
            }),
            Outcome::Chosen | Outcome::NotTried | Outcome::Works => None,
        });
        reasons.collect::<Vec<_>>().join("; ")
    }
}
