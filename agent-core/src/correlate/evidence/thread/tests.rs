//! What threads show, step by step.
use super::*;
use crate::event::ProcessId;

fn actor(tid: u32) -> Actor {
    let process = ProcessId { pid: 1, start_ticks: 1 };
    Actor::thread(process, tid)
}

fn read(threads: &mut Threads, tid: u32, id: u64) {
    threads.read(actor(tid), ExchangeId(id), ConnId(id), false);
}

fn answer(threads: &mut Threads, reader: u32, id: u64, answerer: u32) -> bool {
    threads.answered(actor(reader), ExchangeId(id), actor(answerer))
}

#[test]
fn a_thread_holds_the_request_it_read_until_that_is_over() {
    let mut threads = Threads::default();
    assert_eq!(threads.holds(actor(1), true), Holds::Nothing);
    read(&mut threads, 1, 7);
    assert_eq!(threads.holds(actor(1), true), Holds::One { id: ExchangeId(7), answered: false });
    assert!(answer(&mut threads, 1, 7, 1));
    assert_eq!(threads.holds(actor(1), true), Holds::One { id: ExchangeId(7), answered: true });
    threads.ended(actor(1), ExchangeId(7));
    assert_eq!(threads.holds(actor(1), true), Holds::Nothing);
}

#[test]
fn reading_the_next_request_ends_what_was_being_answered() {
    let mut threads = Threads::default();
    read(&mut threads, 1, 7);
    answer(&mut threads, 1, 7, 1);
    read(&mut threads, 1, 8);
    assert_eq!(threads.holds(actor(1), true), Holds::One { id: ExchangeId(8), answered: false });
}

#[test]
fn two_requests_on_one_thread_are_not_told_apart_and_answering_the_overtaken_one_withdraws() {
    let mut threads = Threads::default();
    read(&mut threads, 1, 7);
    read(&mut threads, 1, 8);
    assert_eq!(threads.holds(actor(1), true), Holds::Several);
    answer(&mut threads, 1, 8, 1);
    threads.ended(actor(1), ExchangeId(8));
    assert_eq!(threads.withdrawn, None, "the answer of 7 may have been lost");
    assert_eq!(
        threads.holds(actor(1), true),
        Holds::Several,
        "7 may be lost, then the thread works for nobody known"
    );
    answer(&mut threads, 1, 7, 1);
    assert_eq!(threads.withdrawn, Some(Withdrawn::Shared));
}

#[test]
fn a_request_that_was_let_go_and_answered_after_all_withdraws() {
    let mut threads = Threads::default();
    read(&mut threads, 1, 0);
    for id in 1..200 {
        read(&mut threads, 1, id);
        answer(&mut threads, 1, id, 1);
        threads.ended(actor(1), ExchangeId(id));
    }
    assert_eq!(threads.withdrawn, None);
    read(&mut threads, 1, 200);
    assert_eq!(threads.holds(actor(1), true), Holds::One { id: ExchangeId(200), answered: false });
    answer(&mut threads, 1, 0, 1);
    assert_eq!(threads.withdrawn, Some(Withdrawn::Shared));
}

#[test]
fn overlapping_requests_that_waited_are_proofs_and_others_are_not() {
    let mut threads = Threads::default();
    // One after the other.
    threads.waited(actor(1), Nanos(0), Nanos(10), false);
    threads.waited(actor(2), Nanos(20), Nanos(30), false);
    assert_eq!(threads.proofs, 0);
    // Three at a time: the first overlap counts both.
    threads.waited(actor(1), Nanos(40), Nanos(50), false);
    threads.waited(actor(2), Nanos(41), Nanos(51), false);
    assert_eq!(threads.proofs, 2);
    threads.waited(actor(3), Nanos(42), Nanos(52), false);
    assert_eq!(threads.proofs, 3);
}

#[test]
fn a_wait_that_no_epoll_serves_counts_as_much_as_two_requests_that_overlap() {
    let mut threads = Threads::default();
    threads.waited(actor(1), Nanos(0), Nanos(10), true);
    threads.waited(actor(1), Nanos(20), Nanos(30), true);
    assert_eq!(threads.proofs, 4);
    read(&mut threads, 1, 7);
    answer(&mut threads, 1, 7, 1);
    threads.ended(actor(1), ExchangeId(7));
    threads.holds(Actor { wait: Wait::Poll, ..actor(1) }, true);
    assert_eq!(threads.proofs, 4, "what it does for itself says nothing of others");
    threads.holds(actor(1), true);
    assert_eq!(threads.proofs, 0);
}

#[test]
fn calibration_is_reached_once_and_lost_for_good() {
    let mut threads = Threads::default();
    let reached: Vec<u64> = (0..100)
        .filter(|&number| {
            let tid = 1 + (number % 2) as u32;
            threads.waited(actor(tid), Nanos(number * 10), Nanos(number * 10 + 15), false)
        })
        .collect();
    assert_eq!(reached, [u64::from(PROOFS) - 1]);
    assert!(threads.is_calibrated());
    read(&mut threads, 1, 7);
    assert!(!answer(&mut threads, 1, 7, 2));
    assert!(!threads.is_calibrated() && !threads.has_stood());
    assert_eq!(threads.withdrawn, Some(Withdrawn::AnsweredElsewhere));
    assert!(!threads.waited(actor(1), Nanos(0), Nanos(9), false));
}

#[test]
fn a_reader_that_calls_for_nobody_while_others_work_sets_the_proofs_back() {
    let mut threads = Threads { proofs: PROOFS - 1, ..Threads::default() };
    read(&mut threads, 1, 7);
    answer(&mut threads, 1, 7, 1);
    threads.ended(actor(1), ExchangeId(7));
    assert_eq!(threads.holds(actor(9), true), Holds::Nothing);
    assert_eq!(threads.proofs, PROOFS - 1, "a thread that never read may be a pool's");
    assert_eq!(threads.holds(actor(1), true), Holds::Nothing);
    assert_eq!(threads.proofs, 0);
}

#[test]
fn idle_threads_are_forgotten_beyond_the_cap_and_busy_ones_are_not() {
    let mut threads = Threads::default();
    read(&mut threads, 1, 1);
    for tid in 2..10_000 {
        read(&mut threads, tid, u64::from(tid));
        answer(&mut threads, tid, u64::from(tid), tid);
        threads.ended(actor(tid), ExchangeId(u64::from(tid)));
    }
    assert!(threads.held.len() <= THREADS_MAX);
    assert_eq!(threads.holds(actor(1), true), Holds::One { id: ExchangeId(1), answered: false });
}
