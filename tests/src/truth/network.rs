//! Three network namespaces in a row: a client's, a router's that translates both ends' addresses, a server's.
//!
//! Shape: [`Network::open`] → programs started inside. The namespaces have no names: they and the links between them are gone with
//! the processes that hold them. Nothing outside of them is changed.
use crate::{
    process::{Process, command, output},
    wait::{PATIENCE, eventually},
};
use anyhow::{Context, Result};
use std::{ffi::OsStr, fs, process::Command};

/// Where the client's namespace reaches the server: an address of the router, which is not the server's own.
pub(super) const FRONT: &str = "10.83.1.1:8000";
/// Where the server is to listen, in its namespace.
pub(super) const PORT: u16 = 9000;

/// In the router: who sends to its port 8000 reaches the server, which sees the router as its client.
const RULES: &str = "table ip world {
  chain before { type nat hook prerouting priority -100; tcp dport 8000 dnat to 10.83.2.2:9000; }
  chain after { type nat hook postrouting priority 100; masquerade; }
}";

/// A namespace, as long as the process that holds it.
#[derive(Debug)]
pub(super) struct Namespace(Process);

/// See the file's doc.
#[derive(Debug)]
pub(super) struct Network {
    /// Where the client runs.
    pub(super) client: Namespace,
    /// Where the server runs.
    pub(super) server: Namespace,
    _router: Namespace,
}

impl Namespace {
    fn open(name: &str) -> Result<Namespace> {
        let own = fs::read_link("/proc/self/ns/net")?;
        let holder = Process::start(name, command("unshare").args(["--net", "--", "sleep", "infinity"]))?;
        let link = format!("/proc/{}/ns/net", holder.pid());
        eventually("a network namespace", PATIENCE, || {
            Ok(fs::read_link(&link).ok().filter(|there| *there != own))
        })?;
        Ok(Namespace(holder))
    }

    /// A program that is to run inside.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut enter = command("nsenter");
        enter.args(["--target", &self.0.pid().to_string(), "--net", "--"]).arg(program);
        enter
    }

    fn run(&self, words: &str) -> Result<()> {
        let mut words = words.split(' ');
        let program = words.next().context("a program")?;
        output(self.command(program).args(words), 0).map(drop)
    }
}

impl Network {
    /// Makes it.
    pub(super) fn open() -> Result<Network> {
        let names = ["the client's network", "the router's", "the server's"];
        let [client, router, server] = names.map(Namespace::open);
        let (client, router, server) = (client?, router?, server?);
        for (name, end, subnet) in [("left", &client, 1), ("right", &server, 2)] {
            let holder = end.0.pid();
            router.run(&format!("ip link add {name} type veth peer name up netns {holder}"))?;
            router.run(&format!("ip address add 10.83.{subnet}.1/24 dev {name}"))?;
            router.run(&format!("ip link set dev {name} up"))?;
            end.run(&format!("ip address add 10.83.{subnet}.2/24 dev up"))?;
            end.run("ip link set dev up up")?;
            end.run("ip link set dev lo up")?;
        }
        output(router.command("sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]), 0)?;
        output(router.command("nft").arg(RULES), 0)?;
        Ok(Network { client, server, _router: router })
    }
}
