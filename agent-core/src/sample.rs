//! Which traces are kept.
//!
//! Shape: a trace's id and what its remote parent says in, one [`Decision`] for the whole local tree out. The decision is taken
//! where the trace gets its id (`correlate`) and travels in the sampled flag, so a tree is kept or dropped as one and metrics are
//! still made of all spans: the pipeline drops what [`keep`] refuses after it measured.
//! Source: OpenTelemetry specification, trace SDK (built-in samplers) and "TraceState: probability sampling" (`ot=th`, `ot=rv`).
//! Not here: tail sampling, which is the collector's.
mod consistent;
mod exclude;
#[cfg(test)]
mod tests;

pub use exclude::Exclude;

use crate::spans::{Span, TraceId};
use consistent::OtMember;

/// Bit 0 of W3C trace flags.
const FLAG_SAMPLED: u8 = 1;

/// A rejection threshold: of 2⁵⁶ equally likely values, those below it are not sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold(u64);

impl Threshold {
    /// Keeps everything.
    pub const ALL: Threshold = Threshold(0);

    /// From a probability; outside `0.0..=1.0` or not a number: none. Below 2⁻⁵⁶ nothing is kept.
    pub fn from_probability(probability: f64) -> Option<Threshold> {
        if !(0.0..=1.0).contains(&probability) {
            return None;
        }
        Some(Threshold(consistent::SPACE - (probability * consistent::SPACE as f64).round() as u64))
    }

    /// Whether a trace with this randomness is kept.
    fn accepts(self, randomness: u64) -> bool {
        randomness >= self.0
    }
}

/// What decides where no parent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everything.
    AlwaysOn,
    /// Nothing.
    AlwaysOff,
    /// By the trace id's last 56 bits: `traceidratio`.
    Ratio(Threshold),
    /// As `Ratio`, with explicit randomness obeyed (`ot=rv`) and the threshold told to those behind (`ot=th`).
    Probability(Threshold),
}

/// A sampler by its name in `OTEL_TRACES_SAMPLER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// What decides where no parent does.
    pub rule: Rule,
    /// Whether the sampled flag of a remote parent is obeyed.
    pub parent_based: bool,
}

impl Default for Sampler {
    /// `parentbased_always_on`, as the specification says.
    fn default() -> Self {
        Sampler { rule: Rule::AlwaysOn, parent_based: true }
    }
}

/// What is known about sampling from the request that began the local tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The sender's decision; `None` if there is no sender or it left the decision to the receiver.
    pub sampled: Option<bool>,
    /// The sender's `tracestate`, or empty.
    pub trace_state: &'a str,
}

/// What becomes of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Keep it.
    pub sampled: bool,
    /// A `tracestate` that replaces the sender's; `None`: it stays as it came.
    pub trace_state: Option<String>,
}

impl Sampler {
    /// By the name and argument of `OTEL_TRACES_SAMPLER[_ARG]`; `None` if either is not known. A missing argument means 1.0.
    pub fn from_name(name: &str, argument: Option<&str>) -> Option<Sampler> {
        let (parent_based, rule) = match name.strip_prefix("parentbased_") {
            Some(rule) => (true, rule),
            None => (false, name),
        };
        let threshold = || match argument {
            None | Some("") => Some(Threshold::ALL),
            Some(text) => text.trim().parse().ok().and_then(Threshold::from_probability),
        };
        let rule = match rule {
            "always_on" => Rule::AlwaysOn,
            "always_off" => Rule::AlwaysOff,
            "traceidratio" => Rule::Ratio(threshold()?),
            "probability" => Rule::Probability(threshold()?),
            _ => return None,
        };
        Some(Sampler { rule, parent_based })
    }

    /// Decides for a trace: the same for every span of it that this node will ever see.
    pub fn decide(&self, trace_id: TraceId, asked: Asked<'_>) -> Decision {
        if let (true, Some(sampled)) = (self.parent_based, asked.sampled) {
            return Decision { sampled, trace_state: None };
        }
        match self.rule {
            Rule::AlwaysOn => Decision { sampled: true, trace_state: None },
            Rule::AlwaysOff => Decision { sampled: false, trace_state: None },
            Rule::Ratio(threshold) => {
                Decision { sampled: threshold.accepts(consistent::randomness(trace_id)), trace_state: None }
            }
            Rule::Probability(threshold) => decide_consistently(threshold, trace_id, asked.trace_state),
        }
    }
}

/// A consistent decision tells its threshold, so that whoever counts spans can weigh them.
fn decide_consistently(threshold: Threshold, trace_id: TraceId, trace_state: &str) -> Decision {
    let mut member = OtMember::read(trace_state);
    let randomness = member.randomness().unwrap_or_else(|| consistent::randomness(trace_id));
    let sampled = threshold.accepts(randomness);
    member.set_threshold(sampled.then_some(threshold.0));
    let replaced = member.write_into(trace_state);
    Decision { sampled, trace_state: (replaced != trace_state).then_some(replaced) }
}

/// Whether a span is exported.
pub fn keep(span: &Span) -> bool {
    span.trace_flags & FLAG_SAMPLED != 0
}
