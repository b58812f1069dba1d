//! Guests side by side: most of the time a guest waits for its own clock.
//!
//! Shape: jobs in order → their results in the same order, so many at a time. Not here: what a job is (see `vm`).
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Does `work` for each job, at most `lanes` at a time, the first ones first.
pub(super) fn side_by_side<J: Sync, R: Send>(
    jobs: &[J],
    lanes: usize,
    work: impl Fn(&J) -> R + Sync,
) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..lanes.min(jobs.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { return };
                    let result = work(job);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn results_come_in_the_order_of_jobs_though_they_are_done_together() {
        // Nobody passes alone.
        let together = Barrier::new(3);
        let squares = side_by_side(&[1, 2, 3, 4, 5, 6], 3, |job| {
            together.wait();
            job * job
        });
        assert_eq!(squares, [1, 4, 9, 16, 25, 36]);
    }

    #[test]
    fn there_may_be_fewer_jobs_than_lanes() {
        assert_eq!(side_by_side(&[1], 8, |job| job + 1), [2]);
        assert_eq!(side_by_side(&[0_u8; 0], 8, |job| job + 1), [0_u8; 0]);
    }
}
