//! Values that the verifier does not follow.

/// A value in map memory that is loaded each time it is used.
///
/// The verifier follows every way through a program with all that it knows of each value, and joins ways only when they know
/// the same. What it loads from a map it knows nothing of: so ways that differ in such values alone are one. Without this the
/// walk through a vector took it 400,000 steps of the million that it allows, once for each decision made before.
#[repr(transparent)]
pub(crate) struct Opaque<T>(T);

impl<T: Copy> Opaque<T> {
    /// Loads it.
    #[inline(always)]
    pub(crate) fn get(&self) -> T {
        // SAFETY: a field of `self`.
        unsafe { core::ptr::read_volatile(&raw const self.0) }
    }

    /// Stores it.
    #[inline(always)]
    pub(crate) fn set(&mut self, value: T) {
        // SAFETY: a field of `self`.
        unsafe { core::ptr::write_volatile(&raw mut self.0, value) }
    }
}
