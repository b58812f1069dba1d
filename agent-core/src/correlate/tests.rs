//! Histories as scripts, the span trees that come of them as text.
//!
//! One line is one fact: `<ms> <process>/<thread> <verb> <request> [path] [option…]`. Verbs: `receives` and `sends` open the server's
//! and the client's end of a request, `begins` starts its response, `answers` starts and ends it, `reads` is the client's end of
//! that (`hears`: its start alone), `finishes` ends what was begun, `aborts` and `abandons` end it without an answer at either end,
//! `misses` says that the answer fell into a gap; without a request `tick`, `lost`, `exits`. At the end the agent stops.
//! `claims` says which goroutine asks for the next request of a connection, `bears` (in the place of the request: the number of the
//! child) that a goroutine was created at `site=`.
//! `copies` says that a context of Python was created at an address (in the place of the request).
//! `loops` begins a part of an event loop's work (in the place of the request: `read` on a connection `in=` or `out=`, `callback`,
//! `nobody`, `resolved`, `connects`): `id=`, `trig=`, `young=` are async ids, `run=` what runs, also of who sends and answers.
//! A request that only one side of the script mentions has its other end on another node.
//! Options: `ctx=<trace>.<parent>` (digits), `ctx=<trace>` (no parent), `unsampled`, `host=<name>`, `conn=<name>`, `go=<goroutine>`, `in=<address of
//! the Python context that the thread has entered>`, `nat` (the client's end sees a virtual address), `inferred` (the end was inferred),
//! `wait=call` and `wait=poll` (how the thread waits for the socket; else epoll), `nginx` (that is what the process is), `for=<conn>` and
//! `after=<conn>` (nginx sends this for the request of that connection whose response has not, or has, begun), `shared` (exchanges share
//! its connection).
mod context_truth;
mod contexts;
mod event_lists;
mod event_loop_truth;
mod event_loops;
mod goroutine_truth;
mod goroutines;
mod handler_truth;
mod lifetime;
mod nginx;
mod nginx_truth;
mod peers;
mod parts;
mod played;
mod script;
mod shared;
mod simulation;
mod threads;
mod truth;
mod wire;

use script::check;
