//! The two directions of a connection, as halves of a pair indexed by [`direction`].
use wirespan_common::event::direction;

/// The other direction.
#[inline(always)]
pub(crate) const fn opposite(towards: u8) -> u8 {
    towards ^ 1
}

/// A direction's half of a pair.
#[inline(always)]
pub(crate) fn of<T>(pair: &[T; 2], towards: u8) -> &T {
    let [egress, ingress] = pair;
    if towards == direction::EGRESS { egress } else { ingress }
}

/// A direction's half of a pair.
#[inline(always)]
pub(crate) fn of_mut<T>(pair: &mut [T; 2], towards: u8) -> &mut T {
    let [egress, ingress] = pair;
    if towards == direction::EGRESS { egress } else { ingress }
}
