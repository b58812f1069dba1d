//! What assembly counts: work done, and every byte, request and response of which nothing came.

crate::counters! {
    /// Counters of the `assemble` room.
    Counts in "assemble" {
        records: "work", "records", "Records of bytes taken in.";
        bytes: "work", "bytes", "Bytes taken in.";
        opened: "work", "exchanges", "Requests understood.";
        ended: "work", "exchanges", "Exchanges that ended, however they did.";
        marks: "work", "commands", "Marks set on the kernel side to time the end of a body.";
        reordered: "work", "records", "Records that arrived before others of their connection and were put right.";
        uncopied_body_bytes: "work", "bytes", "Bytes of bodies that were passed over by arithmetic.";
        duplicate_bytes: "work", "bytes", "Bytes seen a second time and trimmed.";
        gaps: "loss", "gaps", "Times that bytes were missing where a message begins, in a head or in framing.";
        missing_bytes: "loss", "bytes", "Bytes missing in those gaps.";
        heads_cut: "loss", "messages", "Heads of which a part was lost or longer than is kept.";
        ends_inferred: "loss", "messages", "Messages whose end was inferred from what came after.";
        unpaired_requests: "loss", "exchanges", "Requests whose response could not be told after a loss; they end without an answer.";
        unpaired_responses: "loss", "messages", "Responses that could not be given to a request.";
        unsynchronised_bytes: "loss", "bytes", "Bytes passed over while waiting for the start of a message.";
        malformed: "loss", "messages", "Times that a stream stopped being its protocol.";
        held_too_long: "loss", "records", "Records that waited for missing ones in vain.";
        out_of_buffer: "loss", "messages", "Heads, records and what header blocks refer to not held because all buffers together were full.";
        evicted_connections: "loss", "connections", "Connections forgotten because there were too many.";
        evicted: "loss", "exchanges", "Exchanges dropped by a cap.";
        timed_out: "loss", "exchanges", "Exchanges without a byte for the configured time.";
        stopped_unknown: "skip", "connections", "Connections stopped because no protocol was recognised.";
        stopped_tls: "skip", "connections", "Connections stopped because they speak TLS.";
        stopped_http2: "skip", "connections", "Connections stopped because their HTTP/2 made no sense, or had a header block without end.";
        stopped_upgraded: "skip", "connections", "Connections stopped because they became something else.";
        retracted: "skip", "connections", "Connections whose protocol was taken back: the other direction did not speak it.";
    }
}
