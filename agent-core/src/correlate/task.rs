//! Evidence of grade `task`: which language runtime is asked who made a call, one arm per runtime.
//!
//! Not here: what each of them answers (see the module of its name, and the module of the same name under `evidence`).
use super::{Correlator, node::Prospect};
use crate::{event::Task, exchange::Opened};

impl Correlator {
    /// What a language runtime knows of a call that is sent; `None`: nothing, other evidence is asked.
    pub(super) fn task_prospect(&mut self, opened: &Opened) -> Option<Prospect> {
        match opened.actor.task {
            // A goroutine may have asked although another thread sends the bytes.
            None | Some(Task::Goroutine(_)) => self.goroutine_candidate(opened).map(Prospect::from),
        }
    }
}
