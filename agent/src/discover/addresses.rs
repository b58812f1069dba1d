//! The node's own addresses: a request from one of them was sent on this node.
//!
//! Shape: a proc root → addresses. Source: `/proc/net/fib_trie` (IPv4) and `/proc/net/if_inet6` (IPv6).
use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// Addresses of all interfaces of the agent's network namespace.
pub fn local_addresses(root: &Path) -> Vec<IpAddr> {
    let read = |table: &str| fs::read_to_string(root.join("net").join(table)).unwrap_or_default();
    let found: BTreeSet<IpAddr> = v4(&read("fib_trie")).chain(v6(&read("if_inet6"))).collect();
    found.into_iter().collect()
}

/// A leaf `|-- 10.0.0.1` that is followed by `/32 host LOCAL` is an address of an interface.
fn v4(table: &str) -> impl Iterator<Item = IpAddr> {
    let mut leaf: Option<Ipv4Addr> = None;
    table.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
            return None;
        }
        leaf.filter(|_| line == "/32 host LOCAL").map(IpAddr::from)
    })
}

/// The first column: 32 hexadecimal digits.
fn v6(table: &str) -> impl Iterator<Item = IpAddr> {
    table.lines().filter_map(|line| {
        let digits = line.split_whitespace().next()?;
        Some(IpAddr::from(Ipv6Addr::from(u128::from_str_radix(digits, 16).ok()?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_found_and_networks_are_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("net")).unwrap();
        let trie = "Local:\n  +-- 0.0.0.0/0 2 0 2\n     |-- 10.1.0.0\n        /24 link UNICAST\n     |-- 10.1.0.7\n        /32 host LOCAL\n     |-- 10.1.0.255\n        /32 link BROADCAST\n";
        fs::write(folder.path().join("net/fib_trie"), trie).unwrap();
        let inet6 = "fe800000000000000000000000000001 02 40 20 80     eth0\n";
        fs::write(folder.path().join("net/if_inet6"), inet6).unwrap();
        let expected: Vec<IpAddr> = vec!["10.1.0.7".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(local_addresses(folder.path()), expected);
    }
}
