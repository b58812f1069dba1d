//! For how long something that went wrong speaks against others like it: what hands work over once does it again.
use crate::event::Nanos;

/// So long before it, and …
const BEFORE_NS: u64 = 2_000_000_000;
/// … so long after it, others like it are not believed.
const AFTER_NS: u64 = 600_000_000_000;

/// Is that time near what went wrong from `from` until `until`?
pub(super) fn is_near(at: Nanos, from: Nanos, until: Nanos) -> bool {
    at.0.saturating_add(BEFORE_NS) >= from.0 && at.0 <= until.0.saturating_add(AFTER_NS)
}
