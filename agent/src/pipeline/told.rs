//! What people are told: the kernel side's counters, and the evidence that links rest on, in words.
use crate::{attach::Kernel, enrich::ProcessFacts, explain::Open};
use wirespan_core::{
    correlate::{LoopEvidence, OpenExchange, ProcessLinks, ThreadState},
    counter::Counter,
    exchange::Role,
};

/// The kernel side's counters: by reason, and programs that the kernel did not run.
pub(super) fn kernel_rows(kernel: &Kernel) -> Vec<(Counter, u64)> {
    let reasons = kernel.reasons().unwrap_or_default();
    let row = |class, name, unit, doc| Counter { room: "kernel", name, class, unit, doc };
    let mut rows: Vec<(Counter, u64)> = reasons
        .into_iter()
        .map(|(reason, value)| (row(reason.class(), reason.name(), "times", reason.doc()), value))
        .collect();
    let doc = "Events that a program was not run for, because it already ran on that CPU.";
    let misses = kernel.missed();
    rows.push((row("loss", "program_misses", "times", doc), misses.total()));
    rows.push((row("work", "map_bytes", "bytes", "Kernel memory of all maps."), kernel.map_bytes()));
    rows
}

/// The container and the systemd service of a process, in words.
pub(super) fn place(facts: &ProcessFacts) -> Vec<String> {
    let mut place = Vec::new();
    if let Some(container) = &facts.container {
        let engine = container.engine.map_or("container", |engine| engine.name());
        let name = container.name().map(|name| format!(" `{name}`")).unwrap_or_default();
        let named = container.named.as_ref();
        let image = named.and_then(|named| Some(format!(", image {}", named.image.as_deref()?)));
        let pod = container.pod_uid.as_ref().map(|uid| format!(", pod {uid}"));
        let (image, pod) = (image.unwrap_or_default(), pod.unwrap_or_default());
        place.push(format!("{engine}{name} {}{image}{pod}", container.id));
    }
    place.extend(facts.unit.iter().cloned());
    place
}

/// An exchange that is open, as people are told.
pub(super) fn open(exchange: OpenExchange) -> Open {
    let kind = match exchange.role {
        Role::Client => "client",
        Role::Server => "server",
    };
    Open {
        kind: kind.to_owned(),
        name: exchange.name,
        for_ms: exchange.for_ns / 1_000_000,
        answering: exchange.is_answering,
    }
}

/// Which evidence a process's links rest on, in words.
pub(super) fn evidence_in_use(links: &ProcessLinks) -> String {
    let thread = &links.thread;
    let state = match thread.state {
        ThreadState::Learning => "thread evidence not shown yet",
        ThreadState::InUse => "threads answer what they read",
        ThreadState::AnsweredElsewhere => {
            "no thread evidence: requests are answered by other threads than read them"
        }
        ThreadState::Shared => "no thread evidence: one thread has several requests open at once",
        ThreadState::Goroutines => "no thread evidence: goroutines move between threads",
    };
    let task = &links.task;
    let tasks = if task.named + task.unnamed > 0 {
        format!(
            "; nginx: {} calls whose request its structures name, {} that are for none",
            task.named, task.unnamed
        )
    } else if task.claims + task.births > 0 {
        format!(
            "; goroutines: {} requests with who asked for them, {} born for requests, at {} `go` statements that keep to theirs and {} that do not",
            task.claims, task.births, task.sites_in_use, task.sites_withdrawn
        )
    } else if links.loops.slices > 0 {
        let LoopEvidence { slices, shared, contradicted: [in_slices, by_resources, taken, in_phases] } =
            links.loops;
        format!(
            "; event loops: {slices} parts of their work seen, {shared} resources that are nobody's; calls that were answered for another request, so that others like them are not believed: {in_slices} made in the slice of an answer, {by_resources} by resources, {taken} whose answer a resource takes, {in_phases} by timers and immediates"
        )
    } else {
        String::new()
    };
    let context = &links.context;
    let contexts = if context.is_used {
        format!(
            "; contexts: {} born, {} pieces of work handed to threads, of those that a request was awaiting {} kept to it and {} did not{}",
            context.births,
            context.handed,
            context.kept,
            context.outlived,
            if context.is_shared { "; one answers several requests at once" } else { "" }
        )
    } else {
        String::new()
    };
    format!(
        "{state} (answered by their reader {}, by another {}; proofs {} of {}){tasks}{contexts}",
        thread.answered_by_reader, thread.answered_elsewhere, thread.proofs, thread.proofs_needed
    )
}
