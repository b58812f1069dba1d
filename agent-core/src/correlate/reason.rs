//! Why a span has no parent, and what else `correlate` counts.
//!
//! Shape: one variant per reason; its name is the counter's name, the value of `wirespan.unparented.reason` and a row of `explain`.
use crate::{counters, spans::Evidence};

counters! {
    /// What `correlate` did, linked, left unlinked and gave up.
    Correlation in "correlate" {
        exchanges: "work", "exchanges", "Exchanges that opened.";
        spans: "work", "spans", "Spans handed on.";
        wire: "link", "spans", "Parent from trace context in the request's own headers, or handed through by the application.";
        peer: "link", "spans", "Parent is the other end of the same connection on this node.";
        task: "link", "spans", "Parent by goroutine or task.";
        thread: "link", "spans", "Parent is the request that the calling thread had read and then answered.";
        only: "link", "spans", "Parent was the only request open in the process.";
        parts: "work", "spans", "Handed on for times in which a request was still open (correlate.report_open).";
        trace_only: "work", "spans", "The request's headers carry a trace id but no parent.";
        entry: "unparented", "spans", "Server: the request came to this node without context.";
        peer_unseen: "unparented", "spans", "Server: sent from this node, but the sender's end was not seen in time.";
        no_request_open: "unparented", "spans", "Client: no request was open in the process.";
        several_open: "unparented", "spans", "Client: several requests were open and nothing tells which one made the call.";
        other_task: "unparented", "spans", "Client: the goroutine, context or part of an event loop that asked works for no open request.";
        task_shared: "unparented", "spans", "Client: the goroutine, context or part of an event loop that asked may work for others too.";
        thread_shared: "unparented", "spans", "Client: the calling thread or goroutine had several requests open at once.";
        answered_elsewhere: "unparented", "spans", "Client: the thread that made the call is not the one that answered its request.";
        uncalibrated: "unparented", "spans", "Client: the process has not shown often enough how it works.";
        background: "unparented", "spans", "Client: the process also calls this destination when no request is open.";
        outlived: "unparented", "spans", "Client: the request was answered before this call was.";
        unanswered: "unparented", "spans", "Client: the request that may have caused it was never answered.";
        after_answer: "unparented", "spans", "Client: the request that may have caused it was already being answered.";
        after_loss: "unparented", "spans", "Client: records were lost, so another request may have been open.";
        forward_ambiguous: "unparented", "spans", "Client: it hands on the context of several requests that are open at once.";
        connection_shared: "unparented", "spans", "Client: exchanges share its connection or its request's, so who moves the bytes may do it for others.";
        trace_full: "unparented", "spans", "Its parent is known, but their trace has as many spans as one may have: begins another.";
        trace_old: "unparented", "spans", "Its parent is known, but their trace began too long ago: begins another.";
        sdk_client: "skip", "spans", "Client spans not exported because a library in the process made the context they carry.";
        excluded: "skip", "exchanges", "Requests that are configured to be left out (sample.exclude); what they cause is left out too.";
        peer_ambiguous: "skip", "exchanges", "Several requests look like the other end of one: not joined.";
        peer_contradicted: "skip", "exchanges", "The two ends of a connection carry different context: the receiver's own headers count.";
        rejected_context: "skip", "contexts", "Context in headers that its specification says to ignore.";
        hurried: "skip", "exchanges", "Finished and decided before their time because too many were kept.";
        evicted: "loss", "exchanges", "Open and given up because too many were kept.";
        unknown_exchange: "loss", "facts", "Facts about an exchange that was given up.";
        unfinished: "loss", "exchanges", "Still open when the agent stopped.";
    }
}

/// Why a span has no parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Unparented {
    /// Server: the request came to this node without context.
    Entry,
    /// Server: sent from this node, but the sender's end was not seen in time.
    PeerUnseen,
    /// Client: no request was open in the process.
    NoRequestOpen,
    /// Client: several were open and nothing tells which one made the call.
    SeveralOpen,
    /// Client: the task that asked works for no open request, as far as its runtime tells.
    OtherTask,
    /// Client: the task that asked, or others like it, worked on after its request was answered, or for others.
    TaskShared,
    /// Client: the calling thread or goroutine had several requests open at once.
    ThreadShared,
    /// Client: another thread answered the request.
    AnsweredElsewhere,
    /// Client: how the process works is not known well enough.
    Uncalibrated,
    /// Client: the destination is also called when no request is open.
    Background,
    /// Client: the request was answered before the call was.
    Outlived,
    /// Client: the request was never answered.
    Unanswered,
    /// Client: the request was already being answered.
    AfterAnswer,
    /// Client: records were lost meanwhile.
    AfterLoss,
    /// Client: several open requests carry the context that it hands on.
    ForwardAmbiguous,
    /// Client: exchanges share a connection, and who moves its bytes may do it for others.
    ConnectionShared,
    /// Its trace has as many spans as one may have.
    TraceFull,
    /// Its trace began too long ago.
    TraceOld,
}

impl Unparented {
    /// Every reason, in declared order.
    pub const ALL: [Unparented; 18] = [
        Unparented::Entry,
        Unparented::PeerUnseen,
        Unparented::NoRequestOpen,
        Unparented::SeveralOpen,
        Unparented::OtherTask,
        Unparented::TaskShared,
        Unparented::ThreadShared,
        Unparented::AnsweredElsewhere,
        Unparented::Uncalibrated,
        Unparented::Background,
        Unparented::Outlived,
        Unparented::Unanswered,
        Unparented::AfterAnswer,
        Unparented::AfterLoss,
        Unparented::ForwardAmbiguous,
        Unparented::ConnectionShared,
        Unparented::TraceFull,
        Unparented::TraceOld,
    ];

    /// The counter's name.
    pub fn name(self) -> &'static str {
        match self {
            Unparented::Entry => "entry",
            Unparented::PeerUnseen => "peer_unseen",
            Unparented::NoRequestOpen => "no_request_open",
            Unparented::SeveralOpen => "several_open",
            Unparented::OtherTask => "other_task",
            Unparented::TaskShared => "task_shared",
            Unparented::ThreadShared => "thread_shared",
            Unparented::AnsweredElsewhere => "answered_elsewhere",
            Unparented::Uncalibrated => "uncalibrated",
            Unparented::Background => "background",
            Unparented::Outlived => "outlived",
            Unparented::Unanswered => "unanswered",
            Unparented::AfterAnswer => "after_answer",
            Unparented::AfterLoss => "after_loss",
            Unparented::ForwardAmbiguous => "forward_ambiguous",
            Unparented::ConnectionShared => "connection_shared",
            Unparented::TraceFull => "trace_full",
            Unparented::TraceOld => "trace_old",
        }
    }
}

impl Correlation {
    pub(super) fn count_link(&mut self, evidence: Evidence) {
        match evidence {
            Evidence::Wire => self.wire += 1,
            Evidence::Peer => self.peer += 1,
            Evidence::Task => self.task += 1,
            Evidence::Thread => self.thread += 1,
            Evidence::Only => self.only += 1,
            Evidence::Root | Evidence::Part => {}
        }
    }

    pub(super) fn count_unparented(&mut self, reason: Unparented) {
        match reason {
            Unparented::Entry => self.entry += 1,
            Unparented::PeerUnseen => self.peer_unseen += 1,
            Unparented::NoRequestOpen => self.no_request_open += 1,
            Unparented::SeveralOpen => self.several_open += 1,
            Unparented::OtherTask => self.other_task += 1,
            Unparented::TaskShared => self.task_shared += 1,
            Unparented::ThreadShared => self.thread_shared += 1,
            Unparented::AnsweredElsewhere => self.answered_elsewhere += 1,
            Unparented::Uncalibrated => self.uncalibrated += 1,
            Unparented::Background => self.background += 1,
            Unparented::Outlived => self.outlived += 1,
            Unparented::Unanswered => self.unanswered += 1,
            Unparented::AfterAnswer => self.after_answer += 1,
            Unparented::AfterLoss => self.after_loss += 1,
            Unparented::ForwardAmbiguous => self.forward_ambiguous += 1,
            Unparented::ConnectionShared => self.connection_shared += 1,
            Unparented::TraceFull => self.trace_full += 1,
            Unparented::TraceOld => self.trace_old += 1,
        }
    }
}

/// As `wirespan.evidence` and `explain` name it.
pub(super) fn evidence_name(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Wire => "wire",
        Evidence::Peer => "peer",
        Evidence::Task => "task",
        Evidence::Thread => "thread",
        Evidence::Only => "only",
        Evidence::Part => "part",
        Evidence::Root => "root",
    }
}
