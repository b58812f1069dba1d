//! Real interpreters of this machine. Where there are none there is nothing to look at.
use super::{Interpreter, Unknown, code, image::Image, look, look_for_queue};
use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// Every interpreter of the usual places, one per version.
fn interpreters() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let own = std::fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten();
    let own = own.filter_map(|entry| Some(entry.ok()?.path().join("bin/python3")));
    own.chain([PathBuf::from("/usr/bin/python3")]).filter(|path| path.exists()).collect()
}

/// A process that waits, once it says that it has begun.
struct Waiting(Child);

impl Waiting {
    fn start(program: &PathBuf) -> Waiting {
        let text =
            "import sys,threading\nprint('%d.%d' % sys.version_info[:2], flush=True)\nsys.stdin.read()";
        let mut command = Command::new(program);
        command.args(["-c", text]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Waiting(command.spawn().unwrap())
    }

    fn version(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_interpreter_shows_where_its_threads_keep_their_contexts_and_where_they_are_created() {
    for program in interpreters() {
        let mut process = Waiting::start(&program);
        let version = process.version();
        let found = look(process.0.id());
        let minor: u64 = version.trim_start_matches("3.").parse().unwrap();
        if minor < 9 {
            assert!(found.is_none_or(|it| it.layout.is_err()), "{version}");
            continue;
        }
        let interpreter = found.unwrap();
        let Interpreter { version: told, path, layout, births, .. } = interpreter.clone();
        assert!(told == version || minor < 11, "{told} for {version}");
        let layout = layout.unwrap_or_else(|unknown| panic!("{program:?}: {unknown}"));
        assert_eq!((layout.state_slot - 792) % 16, 0, "{program:?}");
        let births = births.unwrap();
        eprintln!("{program:?}: {layout:?} {births:x?}");
        assert!(births.iter().filter(|place| place.cheap).count() > 0, "{program:?}: {births:x?}");
        let file = File::open(&path).unwrap();
        let image = Image::read(&file).unwrap();
        let queue = look_for_queue(process.0.id(), &interpreter).unwrap();
        eprintln!("{queue:x?}");
        assert!(queue.puts.iter().all(|place| place.cheap), "{program:?}: {queue:x?}");
        let often = code::results(&image, image.names.copy_current).unwrap();
        assert!(often.iter().all(|place| place.cheap), "{program:?}: {often:x?}");
    }
}

#[test]
fn what_is_no_interpreter_is_not_looked_at() {
    assert!(look(std::process::id()).is_none());
    let file = File::open("/proc/self/exe").unwrap();
    assert!(Image::read(&file).is_none());
}

#[test]
fn a_place_that_is_not_code_is_refused() {
    for program in interpreters() {
        let file = File::open(std::fs::canonicalize(&program).unwrap()).unwrap();
        let Some(image) = Image::read(&file) else { continue };
        assert_eq!(code::results(&image, 0), None);
        // Data: whatever is made of it, it must not panic.
        let _ = code::results(&image, image.names.context_type);
    }
}

#[test]
fn reasons_are_said_in_words() {
    assert_eq!(
        Unknown::Version("3.8".into()).to_string(),
        "3.8 is not a version whose contexts are known (3.9 to 3.14)"
    );
}
