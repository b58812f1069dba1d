//! Real programs, built here with the compiler of this machine. Without one there is nothing to look at.
use super::{Program, Unknown, inspect, minor};
use std::{fs, path::Path, process::Command};

const SOURCE: &str = r#"package main

import "net/http"

func main() {
	go func() { http.Get("http://127.0.0.1:1/") }()
	http.ListenAndServe("127.0.0.1:0", nil)
}
"#;

/// A program that has no client.
const BARE: &str = "package main\n\nfunc main() { go println(1) }\n";

fn build(folder: &Path, name: &str, cgo: bool, arguments: &[&str]) -> Option<fs::File> {
    let output = folder.join(name);
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-o"]).arg(&output).args(arguments).arg(".").current_dir(folder);
    go.env("CGO_ENABLED", if cgo { "1" } else { "0" }).env("GOTOOLCHAIN", "local").env("GOFLAGS", "");
    let built = go.output().unwrap();
    // Without a C compiler there are no programs with C.
    if cgo && !built.status.success() {
        return None;
    }
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(fs::File::open(output).unwrap())
}

fn source(text: &str) -> Option<tempfile::TempDir> {
    if Command::new("go").arg("version").output().is_err() {
        eprintln!("go is not installed: nothing is looked at");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("go.mod"), "module probe\n\ngo 1.21\n").unwrap();
    fs::write(folder.path().join("main.go"), text).unwrap();
    Some(folder)
}

/// The byte at a place that was found.
fn byte(file: &fs::File, offset: u64) -> u8 {
    use std::os::unix::fs::FileExt as _;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    byte[0]
}

fn check(file: &fs::File, how: &str) -> Program {
    let program = inspect(file).unwrap_or_else(|| panic!("{how}: not known as a Go program"));
    assert!(program.version.starts_with("go1."), "{how}: {}", program.version);
    let Program { identity, request, spawn, .. } = program.clone();
    assert_eq!(identity.map(|go| go.tls_offset), Ok(-8), "{how}");
    // A `push` and a `call`.
    assert_eq!(request.map(|place| byte(file, place)), Ok(0x55), "{how}");
    assert_eq!(spawn.map(|place| byte(file, place)), Ok(0xe8), "{how}");
    program
}

#[test]
fn programs_of_every_build_show_their_goroutines_and_places() {
    let Some(folder) = source(SOURCE) else { return };
    let strip = "-ldflags=-s -w";
    let builds: [(&str, bool, &[&str]); 7] = [
        ("static", false, &[]),
        ("stripped", false, &[strip]),
        ("pie", false, &["-buildmode=pie"]),
        ("pie-stripped", false, &["-buildmode=pie", strip]),
        ("cgo", true, &[strip]),
        ("cgo-external", true, &["-ldflags=-linkmode=external"]),
        ("cgo-external-stripped", true, &["-ldflags=-linkmode=external -s -w"]),
    ];
    for (name, cgo, arguments) in builds {
        let Some(file) = build(folder.path(), name, cgo, arguments) else { continue };
        check(&file, name);
    }
}

#[test]
fn a_program_without_a_client_lacks_that_place_and_nothing_else() {
    let Some(folder) = source(BARE) else { return };
    let program = inspect(&build(folder.path(), "bare", false, &[]).unwrap()).unwrap();
    assert_eq!(program.request, Err(Unknown::NoFunction("net/http.(*persistConn).roundTrip")));
    assert!(program.identity.is_ok() && program.spawn.is_ok());
}

#[test]
fn what_is_damaged_or_no_go_program_is_never_taken_for_one() {
    assert_eq!(inspect(&fs::File::open("/proc/self/exe").unwrap()), None);
    let Some(folder) = source(BARE) else { return };
    build(folder.path(), "bare", false, &[]).unwrap();
    let whole = fs::read(folder.path().join("bare")).unwrap();
    let damaged = folder.path().join("damaged");
    for step in 0..64 {
        fs::write(&damaged, &whole[..whole.len() / 64 * step]).unwrap();
        // Whatever is found in a part must not be taken from elsewhere; most of all it must not panic.
        let found = inspect(&fs::File::open(&damaged).unwrap());
        assert!(found.is_none_or(|program| program.version.starts_with("go1.")));
    }
}

#[test]
fn only_measured_versions_are_believed() {
    assert_eq!(minor("go1.21.13"), Some(21));
    assert_eq!(minor("go1.26rc1"), Some(26));
    assert_eq!(minor("go1.24.0 X:boringcrypto"), Some(24));
    assert_eq!(minor("devel go1.27-abc"), None);
    let offsets = |minor: u32| super::offsets(&format!("go1.{minor}.1"));
    assert_eq!(offsets(20), None);
    assert_eq!(offsets(27), None);
    assert_eq!(offsets(21), Some([152, 272, 280]));
    assert_eq!(offsets(22), Some([152, 272, 280]));
    assert_eq!(offsets(24), Some([160, 280, 288]));
    assert_eq!(offsets(25), Some([152, 272, 280]));
    assert_eq!(offsets(26), Some([152, 280, 288]));
}

/// C has thread-local variables of its own.
const LOCALS: &str = r#"package main

// static __thread long many[9];
// static long one(void) { return ++many[3]; }
import "C"

func main() { go println(C.one()) }
"#;

#[test]
fn a_slot_among_thread_locals_of_c_is_known_by_its_symbol_alone() {
    let Some(folder) = source(LOCALS) else { return };
    let symbols = build(folder.path(), "locals", true, &["-ldflags=-linkmode=external"]);
    let stripped = build(folder.path(), "locals-stripped", true, &["-ldflags=-linkmode=external -s -w"]);
    let (Some(symbols), Some(stripped)) = (symbols, stripped) else { return };
    let found = inspect(&symbols).unwrap().identity.unwrap();
    assert!(found.tls_offset < 0 && found.tls_offset % 8 == 0, "{found:?}");
    assert_eq!(inspect(&stripped).unwrap().identity, Err(Unknown::ThreadLocals));
}
