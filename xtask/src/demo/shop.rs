//! The shop, running: its services as processes that know one another's addresses.
//!
//! Shape: programs from setup → healthy services on ports of loopback. What cannot start is named and left out.
use super::{
    client::Client,
    process::{self, Process},
    stop::Stop,
};
use crate::setup::{
    self,
    shop::{Built, Program},
};
use anyhow::{Result, bail, ensure};
use rustix::process::{Pid, getpgid};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long all services together may take to start: a JVM on a busy machine is slow.
const START: Duration = Duration::from_secs(90);

/// A service and its process.
pub(super) struct Service {
    /// Its name.
    pub(super) name: &'static str,
    /// Where it listens.
    pub(super) port: u16,
    /// The process, and all it starts.
    pub(super) process: Process,
}

/// All services that run.
pub(super) struct Shop {
    /// In the order in which a checkout meets them.
    pub(super) services: Vec<Service>,
    /// Where their outputs are.
    pub(super) logs: PathBuf,
}

impl Shop {
    /// Starts them and waits until all that can run are healthy.
    pub(super) fn open(built: &[Built], first_port: u16, stop: &Stop) -> Result<Shop> {
        let started = Instant::now();
        let logs = setup::cache()?.join("demo");
        fs::create_dir_all(&logs)?;
        let ports = free_ports(first_port, built.len())?;
        let addresses: Vec<(&'static str, u16)> =
            built.iter().map(|(service, _)| service.name).zip(ports).collect();

        let mut shop = Shop { services: Vec::new(), logs };
        for ((_, program), (name, port)) in built.iter().zip(&addresses) {
            let process = Process::logged(
                name,
                command(program, *port, &addresses),
                shop.logs.join(format!("{name}.log")),
            )?;
            shop.services.push(Service { name, port: *port, process });
        }
        shop.wait(stop)?;
        let names = shop.services.iter().map(|service| format!("{} on {}", service.name, service.port));
        let names = names.collect::<Vec<_>>().join(", ");
        println!("demo: the shop is open after {} ms: {names}", started.elapsed().as_millis());
        Ok(shop)
    }

    /// The services that run.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.services.iter().map(|service| service.name).collect()
    }

    /// Each service's process group.
    pub(super) fn groups(&self) -> Vec<(u32, &'static str)> {
        self.services.iter().map(|service| (service.process.pid(), service.name)).collect()
    }

    /// An error if a service has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        for service in &mut self.services {
            if let Some(status) = service.process.ended() {
                bail!(
                    "service {} ended with {status}; it said:\n{}",
                    service.name,
                    service.process.last_words()
                );
            }
        }
        Ok(())
    }

    /// Asks each until it answers; one that ends instead is named and left out.
    fn wait(&mut self, stop: &Stop) -> Result<()> {
        let deadline = Instant::now() + START;
        let mut healthy = Vec::new();
        for mut service in self.services.drain(..) {
            let mut ended = None;
            let answers = stop.wait(deadline.saturating_duration_since(Instant::now()), || {
                ended = service.process.ended();
                ended.is_some() || is_healthy(service.port)
            });
            if answers && ended.is_none() {
                healthy.push(service);
                continue;
            }
            ensure!(!stop.is_set(), "stopped before the shop was open");
            let how = ended.map_or("does not answer".into(), |status| format!("ended with {status}"));
            println!(
                "demo: service {} is left out: it {how}; it said:\n{}",
                service.name,
                service.process.last_words()
            );
        }
        ensure!(!healthy.is_empty(), "no service of the shop can run");
        self.services = healthy;
        Ok(())
    }
}

/// The service that a process belongs to: the group's leader is the process that was started.
pub(super) fn service_of(groups: &[(u32, &'static str)], pid: u32) -> Option<&'static str> {
    let named = |group: u32| groups.iter().find(|(leader, _)| *leader == group).map(|(_, name)| *name);
    named(pid).or_else(|| {
        let group = getpgid(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
        named(u32::try_from(group.as_raw_nonzero().get()).ok()?)
    })
}

fn command(program: &Program, port: u16, addresses: &[(&str, u16)]) -> std::process::Command {
    let mut command = process::command(&program.program);
    command.args(&program.arguments).current_dir(&program.folder).env("PORT", port.to_string());
    for (name, port) in addresses {
        command.env(format!("{}_URL", name.to_uppercase()), format!("http://127.0.0.1:{port}"));
    }
    command
}

fn is_healthy(port: u16) -> bool {
    Client::new(port).send("GET", super::HEALTH, None).is_ok_and(|status| status == 200)
}

/// `count` ports in a row from `first` on, skipping those that are taken.
fn free_ports(first: u16, count: usize) -> Result<Vec<u16>> {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let ports: Vec<u16> = (first..=first.saturating_add(200)).filter(free).take(count).collect();
    ensure!(ports.len() == count, "no {count} free ports between {first} and {}", first.saturating_add(200));
    Ok(ports)
}
