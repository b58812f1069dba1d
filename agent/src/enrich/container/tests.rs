//! The corpus of `tests/fixtures/cgroup`, and what no text may do.
use super::*;
use proptest::prelude::*;
use std::{fs, path::PathBuf, sync::LazyLock};

/// One form: its title, the expected answer and the text.
struct Form {
    title: String,
    expected: String,
    text: String,
}

static CORPUS: LazyLock<Vec<Form>> = LazyLock::new(corpus);

/// Blocks of `# title`, `= answer` and the lines of a cgroup file, with an empty line between them.
fn corpus() -> Vec<Form> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/cgroup");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap() + "\n\n").collect();
    let blocks = text.split("\n\n").map(str::trim).filter(|block| block.contains("\n= "));
    blocks.map(form).collect()
}

fn form(block: &str) -> Form {
    let (title, rest) = block.rsplit_once("# ").unwrap().1.split_once('\n').unwrap();
    let (expected, text) = rest.split_once('\n').unwrap_or((rest, ""));
    let expected = expected.strip_prefix("= ").unwrap_or_else(|| panic!("{title}: no answer")).to_owned();
    Form { title: title.to_owned(), expected, text: text.to_owned() + "\n" }
}

/// As the corpus writes an answer: `docker <id> pod <uid> unit <unit>`, `?` for an engine that the path does not tell.
fn written(place: &Place) -> String {
    let mut words = Vec::new();
    if let Some(Container { id, engine, pod_uid }) = &place.container {
        words.extend([engine.map_or("?", Engine::name).to_owned(), id.clone()]);
        words.extend(pod_uid.iter().map(|uid| format!("pod {uid}")));
    }
    words.extend(place.unit.iter().map(|unit| format!("unit {unit}")));
    if words.is_empty() { "nothing".to_owned() } else { words.join(" ") }
}

#[test]
fn every_known_form_has_the_answer_that_is_known_for_it() {
    let forms = &*CORPUS;
    assert!(forms.len() >= 80, "{} forms", forms.len());
    let wrong: Vec<String> = forms
        .iter()
        .map(|form| (form, written(&place(&form.text))))
        .filter(|(form, answer)| *answer != form.expected)
        .map(|(form, answer)| format!("{}:\n  expected {}\n  answered {answer}\n", form.title, form.expected))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn a_container_is_the_same_in_the_other_version_of_control_groups() {
    for form in CORPUS.iter().filter(|form| form.text.lines().count() == 1) {
        let Some(path) = form.text.trim_end().strip_prefix("0::") else { continue };
        let version_1 =
            format!("12:rdma:/\n8:cpu,cpuacct:{path}\n4:memory:{path}\n1:name=systemd:{path}\n0::/\n");
        assert_eq!(written(&place(&version_1)), form.expected, "{}", form.title);
    }
}

#[test]
fn an_id_cut_short_or_changed_in_one_character_is_none() {
    let id = "40c03570b6f4c30bc8d69923d37ee698f5cfcced92c7b7df1c47f6f7887378a9";
    let parents =
        ["/docker/", "/system.slice/docker-", "/kubepods/pod4a163a05-439d-484b-8e53-2968bc15824f/crio-"];
    for parent in parents {
        assert!(place(&format!("0::{parent}{id}")).container.is_some());
        for id in [&id[1..], &id.to_uppercase(), &format!("{id}0"), &id.replacen('4', "g", 1), ""] {
            assert_eq!(place(&format!("0::{parent}{id}")).container, None, "{parent}{id}");
        }
    }
}

#[test]
fn a_text_without_end_is_read_to_the_bound() {
    let line = "0::/system.slice/nginx.service\n";
    let mut text = line.repeat(TEXT_BYTES / line.len() + 1);
    text.push_str("9:cpu:/docker/40c03570b6f4c30bc8d69923d37ee698f5cfcced92c7b7df1c47f6f7887378a9\n");
    assert_eq!(place(&text).container, None);
    let deep = format!("0::{}", "/a".repeat(TEXT_BYTES));
    assert_eq!(place(&deep), Place::default());
}

proptest! {
    #[test]
    fn no_text_panics_and_every_id_stands_in_the_text(text in "[0-9a-f:/.\\-_\\\\a-z\n é]{0,200}") {
        if let Some(container) = place(&text).container {
            let name = container.id.replace('-', "\\x2d");
            prop_assert!(text.contains(&container.id) || text.contains(&name));
        }
    }

    #[test]
    fn pieces_of_real_paths_in_any_order_never_panic(picks in prop::collection::vec((0..1000_usize, any::<bool>()), 0..12)) {
        let forms = &*CORPUS;
        let pieces: Vec<&str> = forms.iter().flat_map(|form| form.text.split(['/', '\n'])).collect();
        let text: String =
            picks.iter().map(|(at, is_new)| format!("{}{}", if *is_new { "\n0::/" } else { "/" }, pieces[at % pieces.len()])).collect();
        place(&text);
    }
}
