//! Worlds of the ledger: one program under test, a leaf it calls, a load that says in each URL what is to happen, and the agent.
//!
//! Shape: [`table::Runtime`] × concurrency → [`stage::Cell`]: figures and findings. Rooms in reading order: `plan` (what a
//! request asks for), `table` (which programs), `load` (who asks), `stage` (one cell played), `report` (the table).
//! A runtime is one row of the table and one program under `tests/apps/truth`; nothing else names it.
pub mod classes;
pub mod damage;
pub mod load;
mod network;
pub mod plan;
pub mod report;
pub mod stage;
pub mod table;
mod translated;
