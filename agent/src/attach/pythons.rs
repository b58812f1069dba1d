//! Processes of CPython: attached as soon as their interpreter has begun.
//!
//! A process is decided upon when it executes its program, and an interpreter needs a while from there to its first thread: it is
//! looked at again, after pauses that grow, and at once when it begins to listen, which is also when a program that loads an
//! interpreter as a library has done so. A child that was forked has its parent's layout, addresses included.
use crate::attach::{
    hooks::HookId,
    kernel::Kernel,
    processes::Runtime,
    python::{self, Interpreter, Place, Unknown},
    uprobes::{Image, image_id, probe_of},
};
use aya::programs::uprobe::{UProbeAttachPoint, UProbeLinkId, UProbeScope};
use std::{collections::HashMap, fs::File, path::Path};
use tracing::debug;
use wirespan_core::event::{Nanos, ProcessId};

/// The first pause, doubled after each look.
const PAUSE_NS: u64 = 40_000_000;
/// Looks, the last one two minutes and a half after the first.
const LOOKS_MAX: u32 = 12;
/// Processes that are looked at again, at most.
const WAITING_MAX: usize = 1_024;

/// A process whose interpreter has not begun.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: ProcessId,
    looks: u32,
    /// When it is looked at next; zero: when a pause has passed from now on.
    due: Nanos,
}

/// What is known of them beside their files.
#[derive(Debug, Default)]
pub(in crate::attach) struct Pythons {
    waiting: Vec<Waiting>,
    /// In words, for `explain`.
    notes: HashMap<ProcessId, String>,
}

impl Pythons {
    pub(in crate::attach) fn note(&self, id: ProcessId) -> Option<&str> {
        self.notes.get(&id).map(String::as_str)
    }

    /// A child that was forked before its parent's interpreter began.
    pub(in crate::attach) fn share(&mut self, parent: ProcessId, child: ProcessId) {
        if let Some(note) = self.notes.get(&parent).cloned() {
            self.notes.insert(child, note);
        }
        if self.waiting.iter().any(|waiting| waiting.id == parent) {
            self.wait(child);
        }
    }

    pub(in crate::attach) fn release(&mut self, runs: impl Fn(ProcessId) -> bool) {
        self.notes.retain(|id, _| runs(*id));
        self.waiting.retain(|waiting| runs(waiting.id));
    }

    fn wait(&mut self, id: ProcessId) {
        if self.waiting.len() < WAITING_MAX && self.waiting.iter().all(|waiting| waiting.id != id) {
            self.waiting.push(Waiting { id, looks: 0, due: Nanos(0) });
        }
    }

    /// Those that are to be looked at now.
    fn due(&mut self, now: Nanos) -> Vec<ProcessId> {
        let mut due = Vec::new();
        for waiting in &mut self.waiting {
            if waiting.due != Nanos(0) && waiting.due <= now {
                due.push(waiting.id);
                waiting.looks += 1;
                waiting.due = Nanos(0);
            }
            if waiting.due == Nanos(0) {
                waiting.due = Nanos(now.0.saturating_add(PAUSE_NS << waiting.looks.min(LOOKS_MAX)));
            }
        }
        self.waiting.retain(|waiting| waiting.looks < LOOKS_MAX);
        due
    }
}

impl Kernel {
    /// Looks for an interpreter, and waits for it if it has not begun.
    pub(in crate::attach) fn look_into_python(&mut self, id: ProcessId) -> Option<Runtime> {
        let interpreter = python::look(id.pid);
        let Some(interpreter) = interpreter else {
            // The program may be a script's interpreter whose library is not mapped yet.
            if may_become_python(id) {
                self.pythons.wait(id);
            }
            return None;
        };
        let Interpreter { version, layout, name, .. } = &interpreter;
        let (said, runtime) = match layout {
            Ok(layout) => ("contexts are known".to_owned(), Some(Runtime::Python(*layout))),
            Err(unknown) => (format!("contexts are not known: {unknown}"), None),
        };
        // The process's own name for it: in a container that is a file of the container's.
        let note = format!("CPython {version}: {said}; {}", name.display());
        match layout {
            Err(Unknown::NotBegun) => self.pythons.wait(id),
            _ => self.pythons.waiting.retain(|waiting| waiting.id != id),
        }
        self.pythons.notes.insert(id, note);
        if runtime.is_some() {
            self.attach_interpreter(id, &interpreter);
        }
        runtime
    }

    /// Looks at processes whose interpreter may have begun since.
    pub fn look_again(&mut self, now: Nanos) {
        for id in self.pythons.due(now) {
            self.look_once_more(id);
        }
    }

    /// A process began to listen: what it runs is there.
    pub fn look_again_at(&mut self, id: ProcessId, now: Nanos) {
        let is_known = self.images.with_probes.values().any(|image| image.users.contains(&id));
        if is_known {
            // What it loaded meanwhile.
            if self.pythons.notes.contains_key(&id) {
                self.attach_uvloop(id);
            }
            return;
        }
        self.pythons.waiting.retain(|waiting| waiting.id != id);
        self.look_once_more(id);
        // Whoever waits again begins to now.
        drop(self.pythons.due(now));
    }

    fn look_once_more(&mut self, id: ProcessId) {
        let Some(runtime) = self.look_into_python(id) else { return };
        if let Err(error) = self.observe(id, Some(runtime)) {
            debug!(pid = id.pid, %error, "cannot tell the kernel about an interpreter");
        }
    }

    fn attach_interpreter(&mut self, id: ProcessId, interpreter: &Interpreter) {
        let Some(image) = File::open(&interpreter.path).ok().as_ref().and_then(image_id) else { return };
        if !self.images.with_probes.contains_key(&image) {
            let mut attached = self.attach_births(interpreter);
            self.attach_queue(id, interpreter, &mut attached);
            self.images.with_probes.insert(image, attached);
        }
        if let Some(image) = self.images.with_probes.get_mut(&image) {
            image.users.insert(id);
        }
        self.attach_uvloop(id);
    }

    /// Attaches where uvloop is handed what it sends, if the process has loaded it.
    fn attach_uvloop(&mut self, id: ProcessId) {
        let Some((needed_for, name)) = probe_of(HookId::PythonQueued) else { return };
        let Some(uvloop) = python::look_for_uvloop(id.pid) else { return };
        let Some(image) = File::open(&uvloop.path).ok().as_ref().and_then(image_id) else { return };
        if !self.images.with_probes.contains_key(&image) {
            let mut attached = Image::empty();
            let links = match uvloop.writes.as_slice() {
                [] => Err("its code is not as expected".to_owned()),
                places => self.attach_places(name, &uvloop.path, places),
            };
            attached.notes.push(match links {
                Err(reason) => format!("{needed_for}: none, {reason}"),
                Ok(links) => {
                    attached.links = links.into_iter().map(|link| (name, link)).collect();
                    format!("{needed_for}: probes at {}", said(&uvloop.writes))
                }
            });
            self.images.with_probes.insert(image, attached);
        }
        if let Some(image) = self.images.with_probes.get_mut(&image) {
            image.users.insert(id);
        }
    }

    /// Attaches all places, or none: with some only, an address that was used again might be taken for the context before.
    fn attach_births(&mut self, interpreter: &Interpreter) -> Image {
        let mut image = Image::empty();
        let Some((needed_for, name)) = probe_of(HookId::PythonBirths) else { return image };
        let attached = match &interpreter.births {
            Err(unknown) => Err(unknown.to_string()),
            Ok(places) => self.attach_places(name, &interpreter.path, places).map(|links| (places, links)),
        };
        image.notes.push(match attached {
            Err(reason) => format!("{needed_for}: none, {reason}"),
            Ok((places, links)) => {
                image.links = links.into_iter().map(|link| (name, link)).collect();
                let slow = places.iter().filter(|place| !place.cheap).count();
                format!("{needed_for}: probes at {}, 1 µs each time, 10 µs at {slow} of them", said(places))
            }
        });
        debug!(path = %interpreter.path.display(), notes = image.notes.join("; "), "CPython");
        image
    }

    /// Attaches where work is put and where it is taken, or neither. Without births nobody would be known to have put it.
    fn attach_queue(&mut self, id: ProcessId, interpreter: &Interpreter, image: &mut Image) {
        let Some((needed_for, put)) = probe_of(HookId::PythonPuts).filter(|_| !image.links.is_empty()) else {
            return;
        };
        let Some((_, take)) = probe_of(HookId::PythonTakes) else { return };
        let attached = match python::look_for_queue(id.pid, interpreter) {
            None => Err("the code of its queue is not as expected".to_owned()),
            Some(queue) => self.attach_places(take, &queue.path, &queue.takes).and_then(|takes| {
                image.links.extend(takes.into_iter().map(|link| (take, link)));
                let puts = self.attach_places(put, &queue.path, &queue.puts)?;
                image.links.extend(puts.into_iter().map(|link| (put, link)));
                Ok(queue)
            }),
        };
        image.notes.push(match attached {
            Err(reason) => format!("{needed_for}: none, {reason}"),
            Ok(queue) => {
                let slow = queue.puts.iter().chain(&queue.takes).filter(|place| !place.cheap).count();
                let (puts, takes) = (said(&queue.puts), said(&queue.takes));
                format!("{needed_for}: probes at {puts} and {takes} of its queue, 1 µs each time, 10 µs at {slow} of them")
            }
        });
    }

    fn attach_places(
        &mut self,
        name: &'static str,
        path: &Path,
        places: &[Place],
    ) -> Result<Vec<UProbeLinkId>, String> {
        let probe = self.uprobe(name).map_err(|error| error.to_string())?;
        let mut links = Vec::new();
        for place in places {
            let point = UProbeAttachPoint { location: place.offset.into(), cookie: Some(place.register) };
            match probe.attach(point, path, UProbeScope::AllProcesses) {
                Ok(link) => links.push(link),
                Err(error) => {
                    for link in links {
                        if let Err(error) = probe.detach(link) {
                            debug!(%error, "cannot detach");
                        }
                    }
                    return Err(error.to_string());
                }
            }
        }
        Ok(links)
    }
}

fn said(places: &[Place]) -> String {
    let offsets: Vec<String> = places.iter().map(|place| format!("{:#x}", place.offset)).collect();
    offsets.join(", ")
}

/// Programs that are called so load the interpreter as a library.
fn may_become_python(id: ProcessId) -> bool {
    let Ok(program) = std::fs::read_link(format!("/proc/{}/exe", id.pid)) else { return false };
    program.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("python3"))
}
