//! Who caused whom, in programs whose requests tell it by their paths and by nothing else.
use super::scenes;
use crate::{
    http::Connection,
    span::Span,
    wait::{PATIENCE, eventually},
    world::{App, World},
};
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;

scenes! { "links":
    threaded_services_form_one_trace_per_request,
    eight_requests_in_flight_are_never_mixed,
    an_event_loop_in_front_never_claims_a_wrong_parent,
}

/// A front and a back service of threads, observed as a user would: two ports.
fn threads(world: &mut World) -> Result<(App, App)> {
    let back = world.python("threads.py", &[])?;
    let front = world.python("threads.py", &[&back.port.to_string()])?;
    Ok((front, back))
}

/// The id that the path carries (`/front/ID`, `/back/ID`); client spans have it in `url.full`.
fn marker(span: &Span) -> &str {
    let full = span.attribute("url.full");
    let path = if full.is_empty() { span.path() } else { full };
    path.rsplit('/').next().unwrap_or_default()
}

/// Nothing false: a parent has the child's own marker, and is there. Gives how many children have a parent.
pub(super) fn no_wrong_parent(spans: &[Span]) -> Result<usize> {
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let mut markers: HashMap<&str, &str> = HashMap::new();
    let mut linked = 0;
    for span in spans {
        let known = markers.entry(&span.trace_id).or_insert_with(|| marker(span));
        ensure!(*known == marker(span), "one trace holds two requests: {known} and {span}");
        if span.parent_id.is_empty() {
            continue;
        }
        let parent = by_id
            .get(span.parent_id.as_str())
            .with_context(|| format!("a parent that is not there: {span}"))?;
        ensure!(parent.trace_id == span.trace_id, "parent in another trace: {span}");
        ensure!(parent.start_ns <= span.start_ns, "starts before its parent {parent}: {span}");
        linked += 1;
    }
    Ok(linked)
}

/// So many clients at once, each with a connection of its own that it keeps; `path` of a client's n-th request.
pub(super) fn drive(
    front: App,
    in_flight: usize,
    each: usize,
    path: impl Fn(usize, usize) -> String + Sync,
) -> Result<()> {
    let path = &path;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..in_flight)
            .map(|client| {
                scope.spawn(move || -> Result<()> {
                    let mut connection = Connection::open(front.address())?;
                    for n in 0..each {
                        let path = path(client, n);
                        let response = connection.get(&path, &[])?;
                        ensure!(response.status == 200, "{path} gave {}", response.status);
                    }
                    Ok(())
                })
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
    })
}

fn numbered(client: usize, n: usize) -> String {
    format!("/front/{client}-{n}")
}

fn threaded_services_form_one_trace_per_request(world: &mut World) -> Result<()> {
    let (front, back) = threads(world)?;
    let agent = world.agent()?.port(front.port).port(back.port).start()?;
    drive(front, 1, 20, numbered)?;
    // Per request: the front's server span, two client spans, two server spans of the back.
    let all =
        eventually("100 spans", PATIENCE, || Ok(Some(agent.spans()?).filter(|spans| spans.len() >= 100)));
    let spans = match all {
        Ok(spans) => spans,
        Err(error) => return Err(error.context(format!("there are {}", agent.spans()?.len()))),
    };
    ensure!(no_wrong_parent(&spans)? == 80, "each request has one root and four children");
    Ok(())
}

fn eight_requests_in_flight_are_never_mixed(world: &mut World) -> Result<()> {
    let (front, back) = threads(world)?;
    let agent = world.agent()?.port(front.port).port(back.port).start()?;
    drive(front, 8, 40, numbered)?;
    let finished = agent.stop()?;
    let spans = &finished.spans;
    let linked = no_wrong_parent(spans)?;
    let expected = 8 * 40 * 5;
    ensure!(
        spans.len() >= expected * 99 / 100,
        "{} spans of {expected}: {:?}",
        spans.len(),
        finished.of_class("loss")
    );
    // Threads answer what they read, so nearly all four children of five spans are linked.
    ensure!(linked >= expected * 4 / 5 * 95 / 100, "{linked} links: {:?}", finished.of_class("unparented"));
    Ok(())
}

fn an_event_loop_in_front_never_claims_a_wrong_parent(world: &mut World) -> Result<()> {
    let back = world.python("threads.py", &[])?;
    // nginx is an event loop: eight requests are open in one thread.
    let rules = format!("location /front/ {{ proxy_pass http://127.0.0.1:{}/back/; }}", back.port);
    let front = world.nginx(&rules)?;
    let agent = world.agent()?.port(front.port).port(back.port).start()?;
    drive(front, 8, 40, numbered)?;
    let finished = agent.stop()?;
    no_wrong_parent(&finished.spans)?;
    let expected = 8 * 40 * 3;
    ensure!(finished.spans.len() >= expected * 99 / 100, "{} spans of {expected}", finished.spans.len());
    Ok(())
}
