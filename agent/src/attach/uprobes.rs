//! Probes in the code of programs: one link per file and place, shared by all processes that run the file.
//!
//! Shape: a process in; where its runtime keeps what its threads work on out, and its file's probes attached. A probe that fails costs its own feature only; the
//! reason is kept for `explain`. A file keeps its probes until [`Kernel::release_images`] finds that nobody runs it: programs that
//! start a thousand times a minute are attached once. The kernel holds the file's inode meanwhile, so its number stays its own.
use crate::attach::{
    go::{self, Program},
    hooks::{HOOKS, HookId, Point},
    kernel::Kernel,
    load::in_words,
    nginx, node,
    processes::Runtime,
};
use aya::programs::{
    ProgramError, UProbe,
    uprobe::{UProbeLinkId, UProbeScope},
};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};
use tracing::debug;
use wirespan_core::event::ProcessId;

/// Files remembered that are no programs with probes, so that each is looked at once.
const PLAIN_MAX: usize = 4_096;

/// `f_type` of an overlay: include/uapi/linux/magic.h `OVERLAYFS_SUPER_MAGIC`.
const OVERLAY: rustix::fs::FsWord = 0x794c_7630;

/// An executable: device, inode, and what changes when it is written anew.
pub(in crate::attach) type ImageId = (u64, u64, i64, i64, u64);

/// A file with probes.
pub(in crate::attach) struct Image {
    pub(in crate::attach) users: HashSet<ProcessId>,
    pub(in crate::attach) runtime: Option<Runtime>,
    pub(in crate::attach) links: Vec<(&'static str, UProbeLinkId)>,
    /// What was attached and what was not, in words.
    pub(in crate::attach) notes: Vec<String>,
}

impl Image {
    /// Of a file that only its processes' runtime knows about.
    pub(in crate::attach) fn empty() -> Image {
        Image { users: HashSet::new(), runtime: None, links: Vec::new(), notes: Vec::new() }
    }
}

/// A place in a file's code.
#[derive(Clone, Copy, Debug)]
struct Spot {
    offset: u64,
    /// The kernel emulates the instruction there.
    is_cheap: bool,
}

/// Every file that was looked at.
#[derive(Default)]
pub(in crate::attach) struct Images {
    pub(in crate::attach) with_probes: HashMap<ImageId, Image>,
    plain: HashSet<ImageId>,
}

impl Kernel {
    /// Looks at the program of a process and attaches what helps to understand it. `None`: its runtime is not known, or says nothing
    /// of what its threads work on, or not yet.
    pub fn look_into(&mut self, id: ProcessId) -> Option<Runtime> {
        self.leave_image(id);
        self.look_into_image(id).or_else(|| self.look_into_python(id))
    }

    fn look_into_image(&mut self, id: ProcessId) -> Option<Runtime> {
        let path = PathBuf::from(format!("/proc/{}/exe", id.pid));
        let file = File::open(&path).ok()?;
        let image = image_id(&file)?;
        if self.images.plain.contains(&image) {
            return None;
        }
        if !self.images.with_probes.contains_key(&image) {
            let Some(attached) = self.inspect(id, &path, &file) else {
                if self.images.plain.len() >= PLAIN_MAX {
                    self.images.plain.clear();
                }
                self.images.plain.insert(image);
                return None;
            };
            self.images.with_probes.insert(image, attached);
        }
        let image = self.images.with_probes.get_mut(&image)?;
        image.users.insert(id);
        image.runtime
    }

    /// What a file is, and its probes attached; `None`: nothing that is known by its file.
    fn inspect(&mut self, id: ProcessId, path: &Path, file: &File) -> Option<Image> {
        if let Some(program) = go::inspect(file) {
            return Some(self.attach_go(path, program));
        }
        if nginx::is_nginx(path) {
            return Some(nginx_image());
        }
        node::inspect(id.pid, file).map(|program| self.attach_node(path, program))
    }

    /// A child runs the same program as its parent.
    pub fn share_image(&mut self, parent: ProcessId, child: ProcessId) {
        self.pythons.share(parent, child);
        for image in self.images.with_probes.values_mut().filter(|image| image.users.contains(&parent)) {
            image.users.insert(child);
        }
    }

    /// Detaches from files that no process runs any more.
    pub fn release_images(&mut self, runs: impl Fn(ProcessId) -> bool) {
        let mut gone = Vec::new();
        self.pythons.release(&runs);
        self.images.with_probes.retain(|_, image| {
            image.users.retain(|user| runs(*user));
            if image.users.is_empty() {
                gone.append(&mut image.links);
            }
            !image.users.is_empty()
        });
        for (program, link) in gone {
            if let Err(error) = self.uprobe(program).and_then(|probe| probe.detach(link)) {
                debug!(program, %error, "cannot detach");
            }
        }
    }

    /// What is known of a process's program, in words, for `explain`.
    #[must_use]
    pub fn program_notes(&self, id: ProcessId) -> Vec<String> {
        let images = self.images.with_probes.values().filter(|image| image.users.contains(&id));
        let own = self.pythons.note(id).map(str::to_owned).into_iter();
        own.chain(images.flat_map(|image| image.notes.clone())).collect()
    }

    fn leave_image(&mut self, id: ProcessId) {
        for image in self.images.with_probes.values_mut() {
            image.users.remove(&id);
        }
    }

    fn attach_go(&mut self, path: &Path, program: Program) -> Image {
        let note = match &program.identity {
            Ok(_) => format!("{}: goroutines are known", program.version),
            Err(unknown) => format!("{}: goroutines are not known: {unknown}", program.version),
        };
        let spot = |place: Result<u64, go::Unknown>| {
            place.map(|offset| Spot { offset, is_cheap: true }).map_err(|unknown| unknown.to_string())
        };
        let places = [(HookId::GoRequests, spot(program.request)), (HookId::GoBirths, spot(program.spawn))];
        self.attach_image(path, note, program.identity.ok().map(Runtime::Go), &places)
    }

    fn attach_node(&mut self, path: &Path, program: node::Program) -> Image {
        let note = match &program.layout {
            Ok(_) => "Node.js: what its event loops work on is known".to_owned(),
            Err(unknown) => format!("Node.js: what its event loops work on is not known: {unknown}"),
        };
        let path = program.library.as_deref().unwrap_or(path);
        let spot = |place: &Result<node::Place, node::Unknown>| match place {
            Ok(place) => Ok(Spot { offset: place.offset, is_cheap: place.is_cheap }),
            Err(unknown) => Err(unknown.to_string()),
        };
        let places: Vec<_> = program.places.iter().map(|(hook, place)| (*hook, spot(place))).collect();
        let mut image = self.attach_image(path, note, program.layout.ok().map(Runtime::Node), &places);
        // Without one of the four that end what ran before, work would be taken for somebody else's.
        const NEEDED: usize = 4;
        let mut needed = places.iter().take(NEEDED).filter_map(|(hook, _)| probe_of(*hook));
        if needed.any(|(_, name)| image.links.iter().all(|(attached, _)| *attached != name)) {
            image.runtime = None;
        }
        image
    }

    /// Attaches to the places of a file, each by itself: one that fails costs its own feature.
    fn attach_image(
        &mut self,
        path: &Path,
        note: String,
        runtime: Option<Runtime>,
        places: &[(HookId, Result<Spot, String>)],
    ) -> Image {
        let mut image = Image { users: HashSet::new(), runtime, links: Vec::new(), notes: vec![note] };
        // Without numbers a probe has nothing to say.
        for (hook, place) in places.iter().filter(|_| runtime.is_some()) {
            let Some((needed_for, name)) = probe_of(*hook) else { continue };
            let attached = place.clone().and_then(|spot| {
                let probe = self.uprobe(name).map_err(|error| in_words(&error))?;
                let link = probe.attach(spot.offset, path, UProbeScope::AllProcesses);
                link.map(|link| (spot, link)).map_err(|error| in_words(&error))
            });
            image.notes.push(match attached {
                Ok((Spot { offset, is_cheap }, link)) => {
                    image.links.push((name, link));
                    let cost = if is_cheap { "" } else { ", in single steps" };
                    format!("{needed_for}: probe at {offset:#x}{cost}")
                }
                Err(reason) => format!("{needed_for}: none, {reason}"),
            });
        }
        debug!(path = %path.display(), notes = image.notes.join("; "), "program with probes");
        image
    }

    pub(in crate::attach) fn uprobe(&mut self, name: &str) -> Result<&mut UProbe, ProgramError> {
        self.ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
    }
}

/// nginx needs no probe: its structures are read when it sends.
fn nginx_image() -> Image {
    let notes = vec!["nginx: the request of a call is read from its own structures".to_owned()];
    Image { users: HashSet::new(), runtime: Some(Runtime::Nginx), links: Vec::new(), notes }
}

/// What a hook is needed for, and its program.
pub(in crate::attach) fn probe_of(id: HookId) -> Option<(&'static str, &'static str)> {
    let hook = HOOKS.iter().find(|hook| hook.id == id)?;
    let mut attachments = hook.variants.iter().flat_map(|variant| variant.attachments);
    let probe = attachments.find(|attachment| attachment.point == Point::Uprobe)?;
    Some((hook.needed_for, probe.program))
}

pub(in crate::attach) fn image_id(file: &File) -> Option<ImageId> {
    let facts = file.metadata().ok()?;
    // Containers of one image run one file, which each of them shows on a device of its own; a probe is the file's. When one of them
    // gets a copy for itself, the number may stay, but not the time.
    if rustix::fs::fstatfs(file).is_ok_and(|system| system.f_type == OVERLAY) {
        return Some((0, facts.ino(), facts.ctime(), facts.ctime_nsec(), facts.size()));
    }
    Some((facts.dev(), facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.size()))
}
