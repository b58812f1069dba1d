//! Ring bytes to events: the only place where the kernel's records are read.
//!
//! Shape: `ring` hands out records as bytes, `order` puts them in the order of their times, `decode` turns them into [`decode::Record`]: core events and process events.
//! Clock: monotonic. Invariant: no byte sequence makes it panic, and what it cannot read is counted with its reason.
pub mod decode;
mod encode;
pub mod order;
pub mod ring;

pub use decode::{Exec, Record, decode, is_of_process};
pub use encode::progress_record;
pub use order::Order;
pub use ring::Ring;
