//! The one event that user space makes itself: a mark that was already passed when it was set. A recording must have it too.
//!
//! Shape: [`Event::Progress`] → the bytes that the kernel would have written.
use wirespan_common::event::{Header, ProgressRecord, direction as abi, kind};
use wirespan_core::event::{Direction, Event, Nanos};
use zerocopy::IntoBytes;

/// The record of a mark that is told now; `None` for every other event.
pub fn progress_record(event: &Event<'_>, now: Nanos) -> Option<Vec<u8>> {
    let Event::Progress { conn, direction, reached, by_tail } = *event else { return None };
    let record = ProgressRecord {
        header: Header {
            at_ns: now.0,
            len: size_of::<ProgressRecord>() as u32,
            kind: kind::PROGRESS,
            ..Header::default()
        },
        passed_at_ns: reached.at.0,
        conn: conn.0,
        seq: reached.seq,
        direction: if direction == Direction::Egress { abi::EGRESS } else { abi::INGRESS },
        by_tail: u8::from(by_tail),
        reserved: [0; 2],
    };
    Some(record.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Record, decode};
    use wirespan_core::event::{ConnId, Reached};

    #[test]
    fn a_mark_is_decoded_as_it_was_encoded() {
        let reached = Reached { at: Nanos(7), seq: 9 };
        let event =
            Event::Progress { conn: ConnId(3), direction: Direction::Ingress, reached, by_tail: true };
        let bytes = progress_record(&event, Nanos(8)).unwrap();
        let Ok(Record::Event { event: decoded, .. }) = decode(&bytes) else { panic!("not an event") };
        assert_eq!(format!("{decoded:?}"), format!("{event:?}"));
    }
}
