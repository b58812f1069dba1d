//! One fixture per kind of record: what it decodes to, and that no truncation or damage of it does harm.
use super::*;
use zerocopy::IntoBytes as _;

fn header<T>(kind: u16, data: usize) -> Header {
    let len = u32::try_from(size_of::<T>() + data).unwrap();
    Header { at_ns: 1_000, tgid: 42, tid: 43, start_ticks: 7, len, kind, flags: 0, cpu: 1 }
}

fn mapped(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, last]
}

fn bytes_record(data: &[u8], moved: u32) -> BytesRecord {
    BytesRecord {
        header: header::<BytesRecord>(kind::BYTES, data.len()),
        conn: 9,
        task: [5, 0, 0],
        runtime: runtime::GO,
        opposite_at_ns: 900,
        opposite_seq: 77,
        seq: 100,
        moved,
        captured: u32::try_from(data.len()).unwrap(),
        endpoints: wire::Endpoints {
            local: mapped(1),
            remote: mapped(2),
            local_port: 80,
            remote_port: 4_000,
        },
        direction: direction::INGRESS,
        ..BytesRecord::default()
    }
}

fn with_data(record: &BytesRecord, data: &[u8]) -> Vec<u8> {
    [record.as_bytes(), data].concat()
}

fn exec_record() -> ExecRecord {
    let mut record = ExecRecord::read_from_bytes(&[0; size_of::<ExecRecord>()]).unwrap();
    record.header = header::<ExecRecord>(kind::EXEC, 0);
    record.filename[..7].copy_from_slice(b"/bin/sh");
    record.args[..6].copy_from_slice(b"sh\0-c\0");
    record.args_len = 6;
    record
}

fn state_record(old_state: u16, new_state: u16) -> StateRecord {
    StateRecord {
        header: header::<StateRecord>(kind::STATE, 0),
        conn: 9,
        last_at_ns: [500, 0],
        last_seq: [11, 0],
        old_state,
        new_state,
        reserved: 0,
    }
}

fn slice_record(cause: u32, id: f64, trigger: f64) -> SliceRecord {
    SliceRecord {
        header: header::<SliceRecord>(kind::SLICE, 0),
        begun_at_ns: 4_000,
        // A socket cookie, or the bits of an async id.
        conn: if matches!(cause, wire::slice::READ | wire::slice::CONNECT) { 9 } else { 21.0_f64.to_bits() },
        id: id.to_bits(),
        trigger: trigger.to_bits(),
        youngest: 30.0_f64.to_bits(),
        cause,
        flags: wire::slice::IS_BOUNDED,
    }
}

/// One whole record of every kind.
fn one_of_each() -> Vec<Vec<u8>> {
    let progress = ProgressRecord {
        header: header::<ProgressRecord>(kind::PROGRESS, 0),
        passed_at_ns: 5_000,
        conn: 9,
        seq: 200,
        by_tail: 1,
        ..ProgressRecord::default()
    };
    let fork =
        ForkRecord { header: header::<ForkRecord>(kind::FORK, 0), parent_tgid: 40, parent_start_ticks: 6 };
    let exit = ExitRecord { header: header::<ExitRecord>(kind::EXIT, 0), ..ExitRecord::default() };
    let listen = ListenRecord {
        header: header::<ListenRecord>(kind::LISTEN, 0),
        local_port: 8_080,
        ..ListenRecord::default()
    };
    let claim =
        ClaimRecord { header: header::<ClaimRecord>(kind::CLAIM, 0), goroutine: 5, ..ClaimRecord::default() };
    let spawn = SpawnRecord {
        header: header::<SpawnRecord>(kind::SPAWN, 0),
        goroutine: 6,
        parent_goroutine: 5,
        site: 77,
    };
    let birth = BirthRecord { header: header::<BirthRecord>(kind::BIRTH, 0), context: 4_096, creator: 0 };
    let slice = slice_record(wire::slice::READ, 22.0, 0.0);
    let handover = HandoverRecord {
        header: header::<HandoverRecord>(kind::HANDOVER, 0),
        item: 64,
        step: wire::handover::PUT,
        ..HandoverRecord::default()
    };
    vec![
        handover.as_bytes().to_vec(),
        birth.as_bytes().to_vec(),
        slice.as_bytes().to_vec(),
        claim.as_bytes().to_vec(),
        spawn.as_bytes().to_vec(),
        with_data(&bytes_record(b"GET /", 5), b"GET /"),
        progress.as_bytes().to_vec(),
        state_record(tcp_state::ESTABLISHED, tcp_state::CLOSE_WAIT).as_bytes().to_vec(),
        exec_record().as_bytes().to_vec(),
        fork.as_bytes().to_vec(),
        exit.as_bytes().to_vec(),
        listen.as_bytes().to_vec(),
    ]
}

fn segment_of(bytes: &[u8]) -> Segment<'_> {
    match decode(bytes) {
        Ok(Record::Event { event: Event::Bytes(segment), .. }) => segment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_become_a_segment_with_ipv4_ends_and_its_actor() {
    let bytes = with_data(&bytes_record(b"GET /", 5), b"GET /");
    let segment = segment_of(&bytes);
    assert_eq!((segment.conn, segment.seq, segment.moved, segment.data), (ConnId(9), 100, 5, &b"GET /"[..]));
    assert_eq!(segment.direction, Direction::Ingress);
    assert_eq!(segment.uncopied, Uncopied::Nothing);
    assert_eq!(segment.endpoints.local.to_string(), "127.0.0.1:80");
    assert_eq!(segment.endpoints.remote.to_string(), "127.0.0.2:4000");
    assert_eq!(segment.actor.process, ProcessId { pid: 42, start_ticks: 7 });
    assert_eq!(segment.actor.tid, 43);
    assert_eq!(segment.actor.task, NonZeroU64::new(5).map(Task::Goroutine));
}

#[test]
fn contexts_of_python_are_addresses_and_none_is_nobody() {
    let mut record = bytes_record(b"GET /", 5);
    record.runtime = runtime::PYTHON;
    assert_eq!(segment_of(&with_data(&record, b"GET /")).actor.context(), NonZeroU64::new(5));
    record.task = [5, 900, 0];
    let context = NonZeroU64::new(5).unwrap();
    let task = segment_of(&with_data(&record, b"GET /")).actor.task;
    assert_eq!(task, Some(Task::Queued { context, at: Nanos(900) }));
    record.task = [0; 3];
    assert_eq!(segment_of(&with_data(&record, b"GET /")).actor.task, None);
    let mut birth = BirthRecord { header: header::<BirthRecord>(kind::BIRTH, 0), context: 64, creator: 0 };
    let Ok(Record::Event { event: Event::Birth { birth: Birth { context, creator }, .. }, .. }) =
        decode(birth.as_bytes())
    else {
        panic!("a birth");
    };
    assert_eq!((context.get(), creator), (64, None));
    birth.context = 0;
    assert!(matches!(decode(birth.as_bytes()), Ok(Record::Nothing)));
}

#[test]
fn work_is_put_and_taken_and_nothing_else() {
    let mut record = HandoverRecord {
        header: header::<HandoverRecord>(kind::HANDOVER, 0),
        item: 64,
        context: 128,
        step: wire::handover::TAKEN,
        reserved: 0,
    };
    let Ok(Record::Event { event: Event::Handover { handover, .. }, .. }) = decode(record.as_bytes()) else {
        panic!("a handover");
    };
    let expected = Handover {
        item: NonZeroU64::new(64).unwrap(),
        tid: 43,
        context: NonZeroU64::new(128),
        is_taken: true,
    };
    assert_eq!(handover, expected);
    record.step = 3;
    assert!(matches!(decode(record.as_bytes()), Err(Error::Unknown("step"))));
    record.item = 0;
    assert!(matches!(decode(record.as_bytes()), Ok(Record::Nothing)));
}

#[test]
fn nginx_names_the_connection_for_whose_request_it_sends_or_none() {
    let task = |numbers| {
        let record = BytesRecord { task: numbers, runtime: runtime::NGINX, ..bytes_record(b"", 5) };
        segment_of(record.as_bytes()).actor.task
    };
    let named = |begun| Some(Task::Nginx(Some(Proxied { conn: ConnId(8), begun })));
    assert_eq!((task([8, 0, 0]), task([8, 120, 0])), (named(false), named(true)));
    assert_eq!(task([0, 120, 0]), Some(Task::Nginx(None)));
}

#[test]
fn a_claim_and_a_birth_name_goroutines_and_what_cannot_be_one_is_nobody() {
    let mut claim = ClaimRecord { header: header::<ClaimRecord>(kind::CLAIM, 0), conn: 9, goroutine: 5 };
    let Ok(Record::Event { event: Event::Claim { conn, goroutine, .. }, .. }) = decode(claim.as_bytes())
    else {
        panic!("a claim");
    };
    assert_eq!((conn, goroutine.get()), (ConnId(9), 5));
    claim.goroutine = 0xc000_0123_4000;
    assert!(matches!(decode(claim.as_bytes()), Ok(Record::Nothing)));
    let mut record = bytes_record(b"", 3);
    record.task = [u64::MAX; 3];
    assert_eq!(segment_of(&with_data(&record, b"")).actor.task, None);
}

#[test]
fn only_the_first_record_of_a_turn_says_how_far_the_other_direction_had_come() {
    let mut record = bytes_record(b"", 3);
    assert_eq!(segment_of(&with_data(&record, b"")).opposite, None);
    record.header.flags = flags::TURN_BEGINS;
    assert_eq!(segment_of(&with_data(&record, b"")).opposite, Some(Reached { at: Nanos(900), seq: 77 }));
    record.opposite_at_ns = 0;
    assert_eq!(segment_of(&with_data(&record, b"")).opposite, None);
}

#[test]
fn a_segment_says_why_it_is_short() {
    let cases = [
        (flags::TRUNCATED, Uncopied::Policy),
        (flags::UNREADABLE, Uncopied::Unreadable),
        (flags::NO_BUFFER, Uncopied::NoBuffer),
    ];
    for (flag, expected) in cases {
        let mut record = bytes_record(b"ab", 10);
        record.header.flags = flag;
        assert_eq!(segment_of(&with_data(&record, b"ab")).uncopied, expected);
    }
}

#[test]
fn a_record_of_an_undecided_process_says_so() {
    let mut record = bytes_record(b"", 1);
    record.header.flags = flags::PROVISIONAL;
    let bytes = with_data(&record, b"");
    assert!(matches!(decode(&bytes), Ok(Record::Event { provisional: true, .. })));
}

#[test]
fn changes_of_state_become_endings() {
    use tcp_state::{CLOSE, CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK};
    let cases = [
        (ESTABLISHED, FIN_WAIT1, Some(Ending::LocalFin)),
        (CLOSE_WAIT, LAST_ACK, Some(Ending::LocalFin)),
        (ESTABLISHED, CLOSE_WAIT, Some(Ending::RemoteFin)),
        (FIN_WAIT1, CLOSING, Some(Ending::RemoteFin)),
        (LAST_ACK, CLOSE, Some(Ending::Closed)),
        (FIN_WAIT2, CLOSE, Some(Ending::Closed)),
        (ESTABLISHED, CLOSE, Some(Ending::Reset)),
        (CLOSE_WAIT, CLOSE, Some(Ending::Reset)),
        (FIN_WAIT1, FIN_WAIT2, None),
    ];
    for (old, new, expected) in cases {
        let bytes = state_record(old, new).as_bytes().to_vec();
        let got = match decode(&bytes) {
            Ok(Record::Event { event: Event::Ending { ending, egress, ingress, .. }, .. }) => {
                assert_eq!(egress, Some(Reached { at: Nanos(500), seq: 11 }));
                assert_eq!(ingress, None, "no byte was seen in that direction");
                Some(ending)
            }
            Ok(Record::Nothing) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(got, expected, "{old} to {new}");
    }
}

#[test]
fn an_exec_names_its_file_and_arguments() {
    let bytes = exec_record().as_bytes().to_vec();
    let Ok(Record::Exec(exec)) = decode(&bytes) else { panic!("not an exec") };
    assert_eq!((exec.filename, exec.args), (&b"/bin/sh"[..], &b"sh\0-c\0"[..]));
    assert_eq!(exec.process, ProcessId { pid: 42, start_ticks: 7 });
}

#[test]
fn a_slice_says_how_it_began_and_ids_that_are_none_are_nobodys() {
    let slice_of = |record: SliceRecord| match decode(record.as_bytes()) {
        Ok(Record::Event { event: Event::Slice { process, at, slice }, .. }) => {
            assert_eq!((process, at), (ProcessId { pid: 42, start_ticks: 7 }, Nanos(4_000)));
            assert_eq!((slice.tid, slice.youngest, slice.is_bounded), (43, 30, true));
            slice.cause
        }
        other => panic!("{other:?}"),
    };
    let cause = |cause| slice_of(slice_record(cause, 22.0, 11.0));
    let (conn, id, trigger, first) = (ConnId(9), 22, 11, 21);
    assert_eq!(cause(wire::slice::READ), Cause::Read { conn, id });
    assert_eq!(cause(wire::slice::CALLBACK), Cause::Callback { id, trigger });
    assert_eq!(cause(wire::slice::NOBODY), Cause::Nobody);
    assert_eq!(cause(wire::slice::RESOLVED), Cause::Resolved { id, trigger, first });
    assert_eq!(cause(wire::slice::NAMED), Cause::Named { id, trigger, first });
    assert_eq!(cause(wire::slice::CONNECT), Cause::Connect { conn, running: id, trigger });
    for id in [0.5, -2.0, f64::NAN, f64::INFINITY, 1e300] {
        assert_eq!(slice_of(slice_record(wire::slice::CALLBACK, id, 11.0)), Cause::Nobody, "{id}");
        assert_eq!(slice_of(slice_record(wire::slice::CALLBACK, 22.0, id)), Cause::Nobody, "{id}");
    }
    assert_eq!(decode(slice_record(0, 22.0, 11.0).as_bytes()).err(), Some(Error::Unknown("cause")));
}

#[test]
fn every_truncation_of_every_record_is_an_error() {
    for record in one_of_each() {
        assert!(decode(&record).is_ok());
        for len in 0..record.len() {
            assert_eq!(decode(&record[..len]).err(), Some(Error::Truncated), "cut at {len}");
        }
    }
}

#[test]
fn every_damaged_byte_is_survived() {
    for record in one_of_each() {
        for at in 0..record.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut record = record.clone();
                record[at] = value;
                let _ = decode(&record);
            }
        }
    }
}

#[test]
fn a_record_that_claims_more_data_than_it_moved_is_refused() {
    let bytes = with_data(&bytes_record(b"GET /", 4), b"GET /");
    assert_eq!(decode(&bytes).err(), Some(Error::Unknown("length")));
}

#[test]
fn where_a_walk_is_comes_with_the_bytes_of_a_shared_connection() {
    let walk_of = |flags: u16, ahead: u32| {
        let mut record = BytesRecord { skipped: 7, ahead, ..bytes_record(b"ab", 2) };
        record.header.flags = flags;
        let bytes = with_data(&record, b"ab");
        match decode(&bytes) {
            Ok(Record::Event { event: Event::Bytes(segment), .. }) => segment.walk,
            _ => panic!("not decoded"),
        }
    };
    assert_eq!(walk_of(0, 3), None);
    let walk = Walk { skipped: 7, ahead: Some(3), begins: false };
    assert_eq!(walk_of(flags::WALKED, 3), Some(walk));
    let begins = flags::WALKED | flags::WALK_BEGINS;
    assert_eq!(walk_of(begins, frame::INSIDE_HEADER), Some(Walk { ahead: None, begins: true, ..walk }));
}
