//! The kernel side alone: what it copies of a connection, by policy and mark.
//!
//! Shape: this process observes itself through the agent's own loader and moves bytes over loopback → the records of one
//! direction, one word each: `5/5 HELLO` is five bytes of which five were copied, `T` begins a turn, `seq` and `tail` are marks.
use super::scenes;
use crate::world::World;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::getpid;
use std::{
    io::{IoSlice, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command as Program,
    time::Duration,
};
use wirespan::{
    attach::{Kernel, Settings},
    events::{Record, Ring, decode},
};
use wirespan_core::{
    assemble::{Command, Mark},
    event::{ConnId, Direction, Event, ProcessId},
};

scenes! { "kernel":
    the_head_of_a_turn_is_copied_and_the_rest_is_counted,
    nothing_is_copied_before_a_mark_and_what_follows_it_begins_a_turn,
    a_mark_that_was_set_too_late_is_answered_at_once,
    a_tail_is_found_across_calls_and_segments,
    the_next_answer_is_copied_though_the_last_tail_is_still_waited_for,
    a_stopped_connection_is_silent,
    a_gibibyte_costs_a_handful_of_records,
    a_program_is_forked_executed_and_ended_in_this_order,
}

/// The kernel side, and this process under its eyes.
struct Eyes {
    kernel: Kernel,
    ring: Ring,
    id: ProcessId,
}

/// Both ends of a connection, and the cookie of the one that answers.
struct Conversation {
    asks: TcpStream,
    answers: TcpStream,
    conn: ConnId,
    /// Sequence number of its first answer.
    first: u32,
}

impl Eyes {
    fn open() -> Result<Self> {
        let mut kernel = Kernel::load(&Settings::default())?;
        let ring = kernel.ring()?;
        let id =
            ProcessId { pid: getpid().as_raw_nonzero().get().unsigned_abs(), start_ticks: start_ticks()? };
        ensure!(kernel.observe(id, None)?, "this process has ended");
        Ok(Self { kernel, ring, id })
    }

    /// Everything that was recorded, each record as `of` tells it.
    fn take<T>(&mut self, mut of: impl FnMut(&Record<'_>) -> Option<T>) -> Vec<T> {
        let mut told = Vec::new();
        self.ring.wait(Duration::from_millis(1));
        while self.ring.drain(10_000, |bytes| told.extend(decode(bytes).ok().as_ref().and_then(&mut of))) > 0
        {
        }
        told
    }

    /// What was recorded of a connection's answers.
    fn answers(&mut self, conn: ConnId) -> Vec<String> {
        self.take(|record| match record {
            Record::Event { event: Event::Bytes(bytes), .. }
                if bytes.conn == conn && bytes.direction == Direction::Egress =>
            {
                let turn = if bytes.opposite.is_some() { "T" } else { "" };
                let start =
                    String::from_utf8_lossy(bytes.data.get(..bytes.data.len().min(8)).unwrap_or_default());
                Some(format!("{turn}{}/{} {start}", bytes.data.len(), bytes.moved))
            }
            Record::Event { event: Event::Progress { conn: of, by_tail, .. }, .. } if *of == conn => {
                Some(if *by_tail { "tail".to_owned() } else { "seq".to_owned() })
            }
            _ => None,
        })
    }

    /// A connection with a request and an answer of which 10,000 bytes are beyond its head.
    fn conversation(&mut self) -> Result<Conversation> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut asks = TcpStream::connect(listener.local_addr()?)?;
        let (mut answers, _) = listener.accept()?;
        say(&mut asks, &mut answers, b"REQUEST")?;
        say(&mut answers, &mut asks, &[b'x'; 14_096])?;
        let seen = self.take(|record| match record {
            Record::Event { event: Event::Bytes(bytes), .. } if bytes.direction == Direction::Egress => {
                Some((bytes.conn, bytes.seq, bytes.moved))
            }
            _ => None,
        });
        let Some(&(conn, first, _)) = seen.iter().find(|(_, _, moved)| *moved == 14_096) else {
            bail!("{seen:?}")
        };
        Ok(Conversation { asks, answers, conn, first })
    }

    fn mark(&mut self, conn: ConnId, mark: Mark) -> Result<bool> {
        Ok(self.kernel.apply(Command::Mark { conn, direction: Direction::Egress, mark })?.is_some())
    }
}

impl Conversation {
    fn answer(&mut self, bytes: &[u8]) -> Result<()> {
        say(&mut self.answers, &mut self.asks, bytes)
    }

    fn ask(&mut self, bytes: &[u8]) -> Result<()> {
        say(&mut self.asks, &mut self.answers, bytes)
    }
}

const LAST_CHUNK: Mark = Mark::Tail { bytes: *b"0\r\n\r\n\0\0\0", len: 5 };

fn the_head_of_a_turn_is_copied_and_the_rest_is_counted(_: &mut World) -> Result<()> {
    let mut eyes = Eyes::open()?;
    let mut talk = eyes.conversation()?;
    talk.ask(b"AGAIN")?;
    (0..5).try_for_each(|_| talk.answer(&[b'y'; 10_000]))?;
    is(&eyes.answers(talk.conn), &["T4096/10000 yyyyyyyy"])
}

fn nothing_is_copied_before_a_mark_and_what_follows_it_begins_a_turn(_: &mut World) -> Result<()> {
    let mut eyes = Eyes::open()?;
    let mut talk = eyes.conversation()?;
    ensure!(!eyes.mark(talk.conn, Mark::Seq(talk.first.wrapping_add(34_096)))?, "passed before its time");
    talk.answer(&[b'x'; 10_000])?;
    is(&eyes.answers(talk.conn), &[])?;
    talk.answer(&[b'x'; 10_000])?;
    talk.answer(b"NEXT")?;
    is(&eyes.answers(talk.conn), &["seq", "4/4 NEXT"])?;
    ensure!(!eyes.mark(talk.conn, Mark::Seq(talk.first.wrapping_add(44_100)))?, "passed before its time");
    talk.answer(&[&[b'x'; 10_000][..], b"HTTP/1.1"].concat())?;
    is(&eyes.answers(talk.conn), &["seq", "T8/8 HTTP/1.1"])
}

fn a_mark_that_was_set_too_late_is_answered_at_once(_: &mut World) -> Result<()> {
    let mut eyes = Eyes::open()?;
    let mut talk = eyes.conversation()?;
    ensure!(eyes.mark(talk.conn, Mark::Seq(talk.first.wrapping_add(5_000)))?, "a number that was passed");
    talk.answer(&[&[b'x'; 10_000][..], b"0\r\n\r\n"].concat())?;
    ensure!(eyes.mark(talk.conn, LAST_CHUNK)?, "a tail that was there");
    Ok(())
}

fn a_tail_is_found_across_calls_and_segments(_: &mut World) -> Result<()> {
    let mut eyes = Eyes::open()?;
    let mut talk = eyes.conversation()?;
    ensure!(!eyes.mark(talk.conn, LAST_CHUNK)?, "passed before its time");
    for part in [&b"abc0\r\n"[..], b"\r"] {
        talk.answer(part)?;
    }
    is(&eyes.answers(talk.conn), &[])?;
    talk.answer(b"\n")?;
    is(&eyes.answers(talk.conn), &["tail"])?;
    ensure!(
        !eyes.mark(talk.conn, Mark::Tail { bytes: *b"END\0\0\0\0\0", len: 3 })?,
        "passed before its time"
    );
    let parts = [&b"body"[..], b"E", b"", b"ND"].map(IoSlice::new);
    let written = talk.answers.write_vectored(&parts)?;
    talk.asks.read_exact(&mut vec![0; written])?;
    is(&eyes.answers(talk.conn), &["tail"])
}

fn the_next_answer_is_copied_though_the_last_tail_is_still_waited_for(_: &mut World) -> Result<()> {
    let mut eyes = Eyes::open()?;
    let mut talk = eyes.conversation()?;
    ensure!(!eyes.mark(talk.conn, LAST_CHUNK)?, "passed before its time");
    talk.answer(b"body without an end")?;
    talk.ask(b"AGAIN")?;
    talk.answer(b"HTTP/1.1")?;
    is(&eyes.answers(talk.conn), &["T8/8 HTTP/1.1"])
}

fn a_stopped_connection_is_silent(_: &mut World) -> Result<()> {
    let mut eyes = Eyes::open()?;
    let mut talk = eyes.conversation()?;
    eyes.kernel.apply(Command::Stop { conn: talk.conn })?;
    talk.ask(b"AGAIN")?;
    talk.answer(b"HTTP/1.1")?;
    is(&eyes.answers(talk.conn), &[])
}

fn a_gibibyte_costs_a_handful_of_records(_: &mut World) -> Result<()> {
    const CHUNK: usize = 1 << 20;
    let mut eyes = Eyes::open()?;
    let Conversation { mut asks, mut answers, conn, .. } = eyes.conversation()?;
    say(&mut asks, &mut answers, b"GET /gibibyte")?;
    let sender =
        std::thread::spawn(move || (0..1024).try_for_each(|_| answers.write_all(&vec![b'z'; CHUNK])));
    let mut buffer = vec![0; CHUNK];
    let mut left = 1_usize << 30;
    while left > 0 {
        left = left.saturating_sub(asks.read(&mut buffer)?);
    }
    sender.join().ok().context("the sender panicked")??;
    let seen = eyes.answers(conn);
    ensure!(seen.len() <= 20, "{} records: {seen:?}", seen.len());
    Ok(())
}

fn a_program_is_forked_executed_and_ended_in_this_order(_: &mut World) -> Result<()> {
    let mut eyes = Eyes::open()?;
    let mut child = Program::new("/bin/true").spawn()?;
    let pid = child.id();
    child.wait()?;
    let me = eyes.id;
    let told = eyes.take(|record| match record {
        Record::Fork { child, parent, .. } if child.pid == pid && *parent == me => Some("forked"),
        Record::Exec(exec) if exec.process.pid == pid && exec.filename == b"/bin/true" => Some("executed"),
        Record::Event { event: Event::Exit { process, .. }, .. } if process.pid == pid => Some("ended"),
        _ => None,
    });
    ensure!(told == ["forked", "executed", "ended"], "{told:?}");
    Ok(())
}

/// Moves bytes from one end to the other.
fn say(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    from.write_all(bytes)?;
    to.read_exact(&mut vec![0; bytes.len()])?;
    Ok(())
}

fn is(seen: &[String], expected: &[&str]) -> Result<()> {
    ensure!(seen == expected, "seen {seen:?}, expected {expected:?}");
    Ok(())
}

/// Field 22 of `/proc/self/stat`: after the name, which may hold anything, the twentieth.
fn start_ticks() -> Result<u32> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').context("no name in /proc/self/stat")?;
    Ok(rest.split_whitespace().nth(19).context("too few fields in /proc/self/stat")?.parse()?)
}
