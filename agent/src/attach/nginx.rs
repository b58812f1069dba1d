//! Is a program nginx, or made of it? By its name: whether its structures are what they should be is seen at every call.
use std::path::Path;

/// Names of executables; nginx itself also comes as `nginx-debug`, OpenResty, Tengine and freenginx mostly as `nginx`.
const NAMES: [&str; 6] = ["nginx", "nginx-debug", "openresty", "angie", "tengine", "freenginx"];

/// Looks at `/proc/PID/exe`.
pub(in crate::attach) fn is_nginx(exe: &Path) -> bool {
    let Ok(target) = std::fs::read_link(exe) else { return false };
    target.file_name().and_then(|name| name.to_str()).is_some_and(is_name)
}

/// A program that was replaced while it runs keeps its name, with a remark of the kernel's.
fn is_name(name: &str) -> bool {
    NAMES.contains(&name.strip_suffix(" (deleted)").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nginx_are_known_and_others_are_not() {
        assert!(is_name("nginx") && is_name("openresty") && is_name("nginx (deleted)"));
        assert!(!is_name("nginx-prometheus-exporter") && !is_name("nginx.sh") && !is_name(""));
    }
}
