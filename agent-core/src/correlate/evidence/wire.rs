//! Evidence `wire`: trace context in the request's own headers.
//!
//! A server request with context has the parent that the context names. A client request with context was written by somebody in
//! the process, and there are two kinds:
//! - an application hands on what it received (Istio, Linkerd): trace id *and* parent id equal those of a request that is open now.
//!   That is proof of who caused the call, whatever the threads do: our client span is a child of our server span. At the other end
//!   peer evidence then wins over the context, which names a grandparent;
//! - a library made it: the context names the library's own client span, so ours is not exported, and the other end's parent is
//!   the library's span as the wire says. A forwarded context whose request is already over looks the same, and what is said of it is
//!   still true.
//!
//! Source: design §5.2. Not here: reading the formats (see `propagate`).
use crate::{
    correlate::Map,
    exchange::{Call, ExchangeId},
    propagate::{self, Context, Format},
    spans::{SpanId, TraceId},
};
use smallvec::SmallVec;

/// What a request's headers say of its trace.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Received {
    /// Trace, parent, flags.
    pub(in crate::correlate) context: Option<Box<Context>>,
    /// A sampling decision without ids.
    pub(in crate::correlate) decision: Option<bool>,
    /// Contexts that were refused.
    pub(in crate::correlate) rejected: u64,
}

/// Reads the headers.
pub(in crate::correlate) fn read(call: &Call, formats: &[Format]) -> Received {
    let Call::Http(request) = call;
    if request.fields.is_empty() {
        return Received::default();
    }
    let extraction = propagate::extract(&request.fields, formats);
    Received {
        context: extraction.context.map(Box::new),
        decision: extraction.decision,
        rejected: extraction.rejected.len() as u64,
    }
}

/// Who wrote the context of a client request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum Writer {
    /// There is none.
    Nobody,
    /// The application, from this open request.
    Forwarded(ExchangeId),
    /// The application, from one of several open requests that carry the same.
    Ambiguous,
    /// A trace id without a parent that no open request carries: the request begins that trace.
    Begun,
    /// A library in the process.
    Library,
}

/// The contexts of a process's open requests.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Contexts(Map<(TraceId, Option<SpanId>), SmallVec<[ExchangeId; 2]>>);

impl Contexts {
    /// A request with context opened.
    pub(in crate::correlate) fn add(&mut self, context: &Context, id: ExchangeId) {
        self.0.entry((context.trace_id, context.parent)).or_default().push(id);
    }

    /// It is over.
    pub(in crate::correlate) fn remove(&mut self, context: &Context, id: ExchangeId) {
        let key = (context.trace_id, context.parent);
        let Some(ids) = self.0.get_mut(&key) else { return };
        ids.retain(|open| *open != id);
        if ids.is_empty() {
            self.0.remove(&key);
        }
    }

    /// Who wrote the context of a request that this process sends.
    pub(in crate::correlate) fn writer(&self, context: Option<&Context>) -> Writer {
        let Some(context) = context else { return Writer::Nobody };
        match self.0.get(&(context.trace_id, context.parent)).map(SmallVec::as_slice) {
            Some([id]) => Writer::Forwarded(*id),
            Some([_, _, ..]) => Writer::Ambiguous,
            _ if context.parent.is_none() => Writer::Begun,
            _ => Writer::Library,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(trace: u8, parent: Option<u8>) -> Context {
        Context {
            format: Format::W3c,
            trace_id: TraceId([trace; 16]),
            parent: parent.map(|parent| SpanId([parent; 8])),
            flags: 1,
            sampled: Some(true),
            debug: false,
            trace_state: String::new(),
        }
    }

    #[test]
    fn the_same_trace_and_parent_as_an_open_request_is_forwarding_and_a_new_parent_is_a_library() {
        let mut contexts = Contexts::default();
        contexts.add(&context(1, Some(1)), ExchangeId(7));
        assert_eq!(contexts.writer(None), Writer::Nobody);
        assert_eq!(contexts.writer(Some(&context(1, Some(1)))), Writer::Forwarded(ExchangeId(7)));
        assert_eq!(contexts.writer(Some(&context(1, Some(2)))), Writer::Library);
        assert_eq!(contexts.writer(Some(&context(2, Some(1)))), Writer::Library);
    }

    #[test]
    fn a_context_that_two_open_requests_carry_does_not_tell_which_one_was_forwarded() {
        let mut contexts = Contexts::default();
        contexts.add(&context(1, Some(1)), ExchangeId(7));
        contexts.add(&context(1, Some(1)), ExchangeId(8));
        assert_eq!(contexts.writer(Some(&context(1, Some(1)))), Writer::Ambiguous);
        contexts.remove(&context(1, Some(1)), ExchangeId(7));
        assert_eq!(contexts.writer(Some(&context(1, Some(1)))), Writer::Forwarded(ExchangeId(8)));
        contexts.remove(&context(1, Some(1)), ExchangeId(8));
        assert_eq!(contexts.writer(Some(&context(1, Some(1)))), Writer::Library);
    }

    #[test]
    fn a_trace_id_without_a_parent_names_no_span_of_a_library() {
        assert_eq!(Contexts::default().writer(Some(&context(1, None))), Writer::Begun);
    }
}
