//! One world per way in which a program can move bytes through a socket.
//!
//! Shape: the C server answers each request with its path → a span per request, in order, none twice.
use super::scenes;
use crate::{
    expect::server,
    http::{Connection, request},
    runner::Skip,
    world::World,
};
use anyhow::{Context, Result, ensure};

scenes! { "http":
    read_and_write_are_seen,
    recv_and_send_are_seen,
    recvfrom_and_sendto_are_seen,
    readv_and_writev_with_several_segments_are_seen,
    recvmsg_and_sendmsg_are_seen,
    recvmmsg_and_sendmmsg_are_seen,
    a_body_by_sendfile_does_not_hide_its_head,
    a_body_by_splice_does_not_hide_its_head,
    peeked_bytes_are_not_counted_twice,
    a_head_in_single_bytes_and_an_answer_in_sevens_are_whole,
    non_blocking_reads_and_short_writes_are_seen,
    children_of_an_observed_process_are_observed,
    threads_that_may_only_read_and_write_are_seen_and_live,
    every_way_is_seen_by_syscall_exits_too,
}

/// Requests one by one, then pipelined, then with a long head; each has one span with its own path.
fn answered(world: &mut World, way: &str) -> Result<()> {
    let app = world.calls(way)?;
    let agent = world.observe(app)?;
    let mut connection = Connection::open(app.address())?;
    let mut paths = Vec::new();
    for n in 0..5 {
        paths.push(format!("/{way}/{n}"));
        let body = connection.get(&format!("/{way}/{n}"), &[])?.body;
        ensure!(body.starts_with(format!("/{way}/{n} ").as_bytes()), "the server answered another request");
    }
    let pipelined: Vec<String> = (5..10).map(|n| format!("/{way}/{n}")).collect();
    connection.send(pipelined.iter().map(|path| request("GET", path, &[])).collect::<String>())?;
    for path in &pipelined {
        connection.response("GET").with_context(|| path.clone())?;
    }
    paths.extend(pipelined);
    paths.push(format!("/{way}/long"));
    connection.get(&format!("/{way}/long"), &[("X-Fill", &"f".repeat(3000))])?;
    for path in &paths {
        agent.expect(&server("GET").path(path).status(200).lacks("error.type"))?;
    }
    let finished = agent.stop()?;
    ensure!(finished.spans.len() == paths.len(), "{} requests, {} spans", paths.len(), finished.spans.len());
    Ok(())
}

/// The fallback for kernels without socket tracepoints sees the same, but for vectors of messages: an exit does not tell
/// where in the vector it is, so their bytes are counted and nothing is made up.
fn every_way_is_seen_by_syscall_exits_too(world: &mut World) -> Result<()> {
    if std::env::var_os("WIRESPAN_HOOK").is_some() {
        return Err(Skip("the way to see calls is given".to_owned()).into());
    }
    world.hook("syscalls");
    for way in WAYS.iter().filter(|way| **way != SEVERAL) {
        answered(world, way).with_context(|| (*way).to_owned())?;
    }
    several_are_counted(world)
}

/// Messages of which an exit does not tell where they are.
const SEVERAL: &str = "recvmmsg-sendmmsg";

fn recvmmsg_and_sendmmsg_are_seen(world: &mut World) -> Result<()> {
    let by_exits = std::env::var_os("WIRESPAN_HOOK").is_some_and(|hook| hook == "syscalls");
    if by_exits { several_are_counted(world) } else { answered(world, SEVERAL) }
}

fn several_are_counted(world: &mut World) -> Result<()> {
    let app = world.calls(SEVERAL)?;
    let agent = world.observe(app)?;
    Connection::open(app.address())?.get("/counted", &[])?;
    let finished = agent.stop()?;
    ensure!(finished.spans.is_empty(), "a span of bytes that were not read: {:?}", finished.spans);
    let counted = finished.counter("kernel.message_vector_place_unknown");
    ensure!(counted > 0, "bytes that were not read are not counted: {:?}", finished.of_class("loss"));
    Ok(())
}

/// A world per row of the server's table.
macro_rules! ways {
    ($($name:ident: $way:literal),+ $(,)?) => {
        const WAYS: &[&str] = &[$($way),+];
        $(fn $name(world: &mut World) -> Result<()> { answered(world, $way) })+
    };
}
ways! {
    read_and_write_are_seen: "read-write",
    recv_and_send_are_seen: "recv-send",
    recvfrom_and_sendto_are_seen: "recvfrom-sendto",
    readv_and_writev_with_several_segments_are_seen: "readv-writev",
    recvmsg_and_sendmsg_are_seen: "recvmsg-sendmsg",
    a_body_by_sendfile_does_not_hide_its_head: "read-sendfile",
    a_body_by_splice_does_not_hide_its_head: "read-splice",
    peeked_bytes_are_not_counted_twice: "peek-write",
    a_head_in_single_bytes_and_an_answer_in_sevens_are_whole: "bytewise",
    non_blocking_reads_and_short_writes_are_seen: "nonblocking",
    children_of_an_observed_process_are_observed: "fork",
    threads_that_may_only_read_and_write_are_seen_and_live: "sealed",
}
