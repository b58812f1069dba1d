//! Whom to observe: the rows of `PROCESSES`.
//!
//! A pid may end, and be given to another process, between the decision and the write. So each write is checked against
//! `/proc` afterwards: if the process is alive then, its exit comes later and deletes the row; if not, the row is taken back.
use crate::attach::kernel::{Error, Kernel};
use aya::maps::{HashMap, MapData, MapError};
use wirespan_common::{
    event::runtime,
    policy::{GoLayout, NodeLayout, Process, PythonLayout, process},
};
use wirespan_core::event::ProcessId;

const MAP: &str = "PROCESSES";

/// Where a process keeps what its threads work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Goroutines.
    Go(GoLayout),
    /// The structures of nginx, whose first fields are the same in all builds.
    Nginx,
    /// Contexts.
    Python(PythonLayout),
    /// Event loops of Node.js.
    Node(NodeLayout),
}

impl Kernel {
    /// Observes a process from now on. False if it has ended, or its pid is another's by now.
    ///
    /// # Errors
    /// When the map is full or cannot be written.
    pub fn observe(&mut self, id: ProcessId, runtime: Option<Runtime>) -> Result<bool, Error> {
        let mut row = Process { start_ticks: id.start_ticks, ..Process::default() };
        match runtime {
            Some(Runtime::Go(layout)) => {
                row.runtime = u32::from(runtime::GO);
                row.layout = zerocopy::transmute!(layout);
            }
            Some(Runtime::Nginx) => row.runtime = u32::from(runtime::NGINX),
            Some(Runtime::Python(layout)) => {
                row.runtime = u32::from(runtime::PYTHON);
                row.layout = zerocopy::transmute!(layout);
            }
            Some(Runtime::Node(layout)) => {
                row.runtime = u32::from(runtime::NODE);
                row.layout = zerocopy::transmute!(layout);
            }
            None => {}
        }
        self.decide(id, row)
    }

    /// Decides against a process that was followed provisionally. False if it has ended.
    ///
    /// # Errors
    /// When the map is full or cannot be written.
    pub fn ignore(&mut self, id: ProcessId) -> Result<bool, Error> {
        self.decide(
            id,
            Process { flags: process::IGNORED, start_ticks: id.start_ticks, ..Process::default() },
        )
    }

    /// Decides against a program that was executed, unless it has begun to listen on a chosen port meanwhile: its record of
    /// that is on the way, and a row that ignores it would cost its first request. False if it has ended.
    ///
    /// # Errors
    /// As [`Kernel::ignore`].
    pub fn ignore_executed(&mut self, id: ProcessId) -> Result<bool, Error> {
        let row = self.processes()?.get(&id.pid, 0);
        let listens = |row: Process| row.start_ticks == id.start_ticks && row.flags & process::LISTENS != 0;
        if row.is_ok_and(listens) { Ok(true) } else { self.ignore(id) }
    }

    /// Stops observing a process, as if nobody had asked for it.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn forget(&mut self, id: ProcessId) -> Result<(), Error> {
        let mut processes = self.processes()?;
        take_back(&mut processes, id).map_err(failed)
    }

    /// Processes that have a row, for `explain`.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn followed(&mut self) -> Result<Vec<ProcessId>, Error> {
        let processes = self.processes()?;
        let rows =
            processes.iter().map(|row| row.map(|(pid, row)| ProcessId { pid, start_ticks: row.start_ticks }));
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Follows, from the moment it begins to listen, whoever listens on one of these ports.
    ///
    /// # Errors
    /// When there are too many ports, or the map cannot be written.
    pub fn watch_ports(&mut self, ports: impl IntoIterator<Item = u16>) -> Result<(), Error> {
        const MAP: &str = "PORTS";
        let failed = |source| Error::Map { map: MAP, source: Box::new(source) };
        let map = self.ebpf.map_mut(MAP).ok_or(Error::NoMap(MAP))?;
        let mut watched: HashMap<_, u16, u8> = HashMap::try_from(map).map_err(failed)?;
        ports.into_iter().try_for_each(|port| watched.insert(port, 1, 0)).map_err(failed)
    }

    fn decide(&mut self, id: ProcessId, row: Process) -> Result<bool, Error> {
        let mut processes = self.processes()?;
        processes.insert(id.pid, row, 0).map_err(failed)?;
        if start_ticks(id.pid) == Some(id.start_ticks) {
            return Ok(true);
        }
        take_back(&mut processes, id).map_err(failed)?;
        Ok(false)
    }

    fn processes(&mut self) -> Result<HashMap<&mut MapData, u32, Process>, Error> {
        let map = self.ebpf.map_mut(MAP).ok_or(Error::NoMap(MAP))?;
        HashMap::try_from(map).map_err(failed)
    }
}

/// Removes a row if it is still this process's.
fn take_back(processes: &mut HashMap<&mut MapData, u32, Process>, id: ProcessId) -> Result<(), MapError> {
    match processes.get(&id.pid, 0) {
        Ok(row) if row.start_ticks == id.start_ticks => match processes.remove(&id.pid) {
            Err(MapError::KeyNotFound) => Ok(()),
            result => result,
        },
        Ok(_) | Err(MapError::KeyNotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Field 22 of `/proc/PID/stat`, while the process lives: one whose last thread is exiting has had its exit seen.
fn start_ticks(pid: u32) -> Option<u32> {
    const PF_EXITING: u32 = 0x4;
    let stat = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok()?;
    let first_thread_ends = matches!(stat.state, 'Z' | 'X') || stat.flags & PF_EXITING != 0;
    if first_thread_ends && stat.num_threads <= 1 { None } else { u32::try_from(stat.starttime).ok() }
}

fn failed(source: MapError) -> Error {
    Error::Map { map: MAP, source: Box::new(source) }
}
