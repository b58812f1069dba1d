//! Counters of work, loss and skip: each room declares its own in one table, so "why is there no span?" is a look-up.
//!
//! Shape: `counters! { Assembly { gap: "loss", "records", "doc" } }` → a struct of `u64` with `rows()`. The agent serves them all.

/// What a counter means; the same for every agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Room that counts.
    pub room: &'static str,
    /// Snake case; unique in the room.
    pub name: &'static str,
    /// `work`, `loss`, `skip`, `link` or `unparented`.
    pub class: &'static str,
    /// What is counted: `records`, `exchanges`, `bytes`, ….
    pub unit: &'static str,
    /// One sentence.
    pub doc: &'static str,
}

/// Declares a room's counters.
#[macro_export]
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident in $room:literal { $($field:ident: $class:literal, $unit:literal, $doc:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name { $(#[doc = $doc] pub $field: u64,)+ }
        impl $name {
            /// Each counter with its value, in declared order.
            pub fn rows(&self) -> Vec<($crate::counter::Counter, u64)> {
                vec![$(($crate::counter::Counter {
                    room: $room, name: stringify!($field), class: $class, unit: $unit, doc: $doc,
                }, self.$field),)+]
            }
        }
    };
}
