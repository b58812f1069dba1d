//! Chooses worlds, runs them one after the other, and counts.
//!
//! Shape: worlds and names → a line per world as it ends, the failures again at the end, one last line that sums up.
//! One at a time: each world loads its own agent, and two cores are not many.
//! Why no libtest: a world that cannot run here must be *counted* as skipped, with a reason that was expected.
use crate::world::World;
use anyhow::Result;
use std::{collections::BTreeMap, fmt, process::ExitCode, time::Instant};

/// One scene and what must be seen in it.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Group, as `cargo xtask e2e` names it.
    pub group: &'static str,
    /// A sentence, with underscores.
    pub name: &'static str,
    /// What happens.
    pub play: fn(&mut World) -> Result<()>,
}

/// This machine cannot hold the world: a value to return as the error.
#[derive(Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// How a world ended.
#[derive(Debug)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// Skips that are expected, `group/name: reason` per line; any other skip is a failure.
const EXPECTED_SKIPS: &str = include_str!("../expected-skips.txt");

/// Groups that run only when they are named: what they need takes long to build.
const BY_NAME_ONLY: [&str; 2] = ["backends", "kubernetes"];

/// Runs all worlds that a name matches; no name means all but those of [`BY_NAME_ONLY`].
pub fn run(scenes: &[Scene], names: &[String]) -> ExitCode {
    let started = Instant::now();
    let chosen: Vec<&Scene> = scenes.iter().filter(|scene| is_chosen(scene, names)).collect();
    if chosen.is_empty() {
        eprintln!("no world matches {names:?}; `--list` names them");
    }
    let mut failures = Vec::new();
    let (mut passed, mut skipped) = (0, 0);
    for scene in &chosen {
        let begun = Instant::now();
        let outcome = judge(scene, play(scene), &expected_skips(EXPECTED_SKIPS));
        let title = format!("{}/{}", scene.group, scene.name);
        let seconds = begun.elapsed().as_secs_f64();
        match outcome {
            Outcome::Passed => {
                passed += 1;
                println!("ok      {title} ({seconds:.1} s)");
            }
            Outcome::Skipped(reason) => {
                skipped += 1;
                println!("skipped {title}: {reason}");
            }
            Outcome::Failed(text) => {
                println!("FAILED  {title} ({seconds:.1} s)\n{text}");
                failures.push(title);
            }
        }
    }
    for title in &failures {
        println!("failed: {title}");
    }
    let failed = if chosen.is_empty() { 1 } else { failures.len() };
    println!(
        "worlds: {passed} passed, {failed} failed, {skipped} skipped in {} s",
        started.elapsed().as_secs()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_chosen(scene: &Scene, names: &[String]) -> bool {
    if names.is_empty() { !BY_NAME_ONLY.contains(&scene.group) } else { is_named(scene, names) }
}

/// By `GROUP`, by `GROUP/PART` of a name, or by a part alone, unless its group runs only when that is named.
fn is_named(scene: &Scene, names: &[String]) -> bool {
    names.iter().any(|name| match name.split_once('/') {
        Some((group, part)) => scene.group == group && scene.name.contains(part),
        None => scene.group == name || scene.name.contains(name) && !BY_NAME_ONLY.contains(&scene.group),
    })
}

fn play(scene: &Scene) -> Result<()> {
    let mut world = World::new()?;
    (scene.play)(&mut world).map_err(|error| {
        let last_words = world.last_words();
        if error.is::<Skip>() || last_words.is_empty() { error } else { error.context(last_words) }
    })
}

fn judge(scene: &Scene, result: Result<()>, expected: &BTreeMap<String, String>) -> Outcome {
    let error = match result {
        Ok(()) => return Outcome::Passed,
        Err(error) => error,
    };
    let Some(Skip(reason)) = error.downcast_ref() else { return Outcome::Failed(told(&error)) };
    match expected.get(&format!("{}/{}", scene.group, scene.name)) {
        Some(_) => Outcome::Skipped(reason.clone()),
        None => Outcome::Failed(format!(
            "  was skipped, which tests/expected-skips.txt does not expect: {reason}"
        )),
    }
}

/// Cause first, then what surrounds it: the other way round than anyhow, because the cause is what one looks for.
fn told(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = error.chain().map(ToString::to_string).collect();
    parts.reverse();
    parts.iter().map(|part| format!("  {}\n", part.trim_end().replace('\n', "\n  "))).collect()
}

fn expected_skips(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, why)| (name.to_owned(), why.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    const SCENE: Scene = Scene { group: "http", name: "a_thing_happens", play: |_| Ok(()) };

    #[test]
    fn a_skip_is_counted_only_where_it_was_expected() {
        let skip = || Err(anyhow!(Skip("no nginx".to_owned())));
        let listed = expected_skips("# comment\nhttp/a_thing_happens: nginx is not there\n");
        assert!(matches!(judge(&SCENE, skip(), &listed), Outcome::Skipped(reason) if reason == "no nginx"));
        assert!(matches!(judge(&SCENE, skip(), &BTreeMap::new()), Outcome::Failed(_)));
    }

    #[test]
    fn a_failure_tells_its_cause_first() {
        let error = anyhow!("status is 500").context("GET /a").context("nginx world");
        assert_eq!(told(&error), "  status is 500\n  GET /a\n  nginx world\n");
    }

    #[test]
    fn a_group_that_takes_long_to_build_runs_only_when_it_is_named() {
        let slow = Scene { group: "backends", ..SCENE };
        let chosen = |scene, names: &[&str]| {
            is_chosen(scene, &names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert!(chosen(&SCENE, &[]) && !chosen(&slow, &[]) && !chosen(&slow, &["thing"]));
        assert!(chosen(&slow, &["backends"]) && chosen(&slow, &["backends/thing"]));
    }

    #[test]
    fn worlds_are_chosen_by_group_by_name_and_by_a_part_of_it() {
        for name in ["http", "a_thing_happens", "http/a_thing_happens", "thing", "http/thing", "http/"] {
            assert!(is_named(&SCENE, &[name.to_owned()]), "{name}");
        }
        for name in ["operate", "operate/thing", "http/other"] {
            assert!(!is_named(&SCENE, &[name.to_owned()]), "{name}");
        }
    }
}
