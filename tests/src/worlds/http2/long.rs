//! Calls that last: told while they are open, where that is wanted.
use super::{
    World, calls,
    stacks::{STACKS, Stack},
};
use crate::span::Span;
use anyhow::{Context, Result, ensure};

/// How often, and so many parts a call of five seconds has at least: agent and caller may begin anywhere in a second.
const EVERY: &str = "1s";
const PARTS: usize = 3;

pub(super) fn a_long_stream_is_told_as_it_goes(world: &mut World) -> Result<()> {
    let stack: Stack = *STACKS.iter().find(|stack| stack.name == "grpc-go").context("grpc-go")?;
    let server = stack.serve(world)?;
    let start = calls::observing(world, &[(stack, server)])?.env("WIRESPAN_REPORT_OPEN", EVERY);
    let agent = start.start()?;
    let rows = stack.call(server.port, "long")?;
    let finished = agent.stop()?;
    let row = rows.iter().find(|row| row.id.ends_with("-both")).context("a call of `both`")?;
    for kind in ["client", "server"] {
        let whole = calls::find(&finished.spans, row, kind).context("the call has a span")?;
        judge(whole, &finished.spans).with_context(|| format!("{whole}"))?;
    }
    let short = rows.iter().filter(|row| row.id.ends_with("-unary"));
    for whole in short.filter_map(|row| calls::find(&finished.spans, row, "server")) {
        ensure!(parts(whole, &finished.spans).is_empty(), "a short call is told in parts: {whole}");
    }
    Ok(())
}

/// Of kind internal, below the whole, one after the other from its beginning on, and handed on before it.
fn judge(whole: &Span, spans: &[Span]) -> Result<()> {
    let parts = parts(whole, spans);
    println!("        {}: {} parts", whole.kind, parts.len());
    ensure!(parts.len() >= PARTS, "{} parts", parts.len());
    let mut from = whole.start_ns;
    for part in &parts {
        ensure!(part.kind == "internal" && part.trace_id == whole.trace_id, "{part}");
        ensure!(part.start_ns == from && part.end_ns <= whole.end_ns, "{part} from {from}");
        ensure!(part.attribute("wirespan.incomplete").contains("unfinished"), "{part}");
        from = part.end_ns;
    }
    let place = |wanted: &Span| spans.iter().position(|span| span.span_id == wanted.span_id);
    ensure!(parts.iter().all(|part| place(part) < place(whole)), "a part came after the whole");
    Ok(())
}

fn parts<'a>(whole: &Span, spans: &'a [Span]) -> Vec<&'a Span> {
    let mut parts: Vec<&Span> = spans
        .iter()
        .filter(|span| span.parent_id == whole.span_id && span.attribute("wirespan.evidence") == "part")
        .collect();
    parts.sort_by_key(|part| part.start_ns);
    parts
}
