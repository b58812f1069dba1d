//! Trace and span ids from a seeded generator, so that the same events always give the same spans.
//!
//! Shape: 32 bytes of seed in, ids out, never all zero. Source: xoshiro256++ 1.0 (Blackman, Vigna), public domain, restated.
//! All 128 bits of a trace id are random: W3C Trace Context level 2 allows the random flag.
//! Not here: the seed (the agent takes it from the operating system).
use super::{SpanId, TraceId};

/// A stream of ids.
#[derive(Clone, Debug)]
pub struct Ids {
    state: [u64; 4],
}

impl Ids {
    /// Starts a stream. A seed of zeros, which the generator would never leave, is replaced.
    pub fn new(seed: [u8; 32]) -> Ids {
        let mut state = [0u64; 4];
        for (word, bytes) in state.iter_mut().zip(seed.chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        }
        if state == [0; 4] {
            state = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 1];
        }
        let mut ids = Ids { state };
        // Seeds that differ in few bits drift apart within a few steps.
        for _ in 0..8 {
            ids.next();
        }
        ids
    }

    /// A new trace id.
    pub fn trace_id(&mut self) -> TraceId {
        loop {
            let id = u128::from(self.next()) << 64 | u128::from(self.next());
            if id != 0 {
                return TraceId(id.to_be_bytes());
            }
        }
    }

    /// A new span id.
    pub fn span_id(&mut self) -> SpanId {
        loop {
            let id = self.next();
            if id != 0 {
                return SpanId(id.to_be_bytes());
            }
        }
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_another_seed_others() {
        let mut first = Ids::new([7; 32]);
        let mut second = Ids::new([7; 32]);
        let mut third = Ids::new([8; 32]);
        assert_eq!(first.trace_id(), second.trace_id());
        assert_ne!(first.span_id(), third.span_id());
    }

    #[test]
    fn ids_do_not_repeat_even_from_a_seed_of_zeros() {
        let mut ids = Ids::new([0; 32]);
        let seen: HashSet<_> = (0..100_000).map(|_| ids.span_id()).collect();
        assert_eq!(seen.len(), 100_000);
    }

    #[test]
    fn every_bit_of_an_id_is_set_half_of_the_time() {
        let mut ids = Ids::new([3; 32]);
        let mut set = [0u32; 128];
        for _ in 0..4096 {
            let id = u128::from_be_bytes(ids.trace_id().0);
            for (bit, count) in set.iter_mut().enumerate() {
                *count += (id >> bit & 1) as u32;
            }
        }
        assert!(set.iter().all(|count| (1848..2248).contains(count)), "{set:?}");
    }
}
