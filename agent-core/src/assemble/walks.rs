//! The kernel side's walk from frame to frame: what it skipped, and whether it began with a frame.
//!
//! Shape: a segment's [`Walk`] in; the stream is brought to where the walk is, and the kernel side is told whether to trust it. What is
//! missing beside what was skipped is a loss.
use super::{
    connection::{Connection, Phase},
    context::Context,
    stream::State,
};
use crate::event::{Direction, Walk};

/// Where a stream is that has so many bytes to the next frame.
fn at_frame(ahead: u32) -> State {
    match ahead {
        0 => State::Framing,
        ahead => State::Payload { left: u64::from(ahead), framed: true },
    }
}

impl Connection {
    /// The kernel side skipped what is directly before a segment: payload and frames that say nothing, up to `ahead` bytes before the
    /// next frame. What else is missing there is a loss.
    pub(super) fn skip_frames(&mut self, direction: Direction, seq: u32, walk: Walk, ctx: &mut Context<'_>) {
        let Connection { phase: Phase::Sharing(shared), streams, .. } = self else { return };
        let stream = streams.of_mut(direction);
        let is_all = stream.next.is_some() && stream.ahead(seq).cast_unsigned() == walk.skipped;
        let Some(state) = walk.ahead.map(at_frame) else { return };
        if walk.skipped == 0 || !is_all || stream.state == State::Searching {
            return;
        }
        ctx.shared.counts.uncopied_body_bytes += u64::from(walk.skipped);
        ctx.release(&mut stream.buffer);
        stream.next = Some(seq);
        stream.state = state;
        *shared.last.of_mut(direction) = None;
        let part = shared.part(direction);
        shared.streams.stop_counting(part);
    }

    /// After a loss a walk that was confirmed knows the way back.
    pub(super) fn follow_walk(&mut self, direction: Direction, seq: u32, walk: Walk) {
        let Connection { phase: Phase::Sharing(shared), streams, .. } = self else { return };
        let stream = streams.of_mut(direction);
        let is_lost = stream.state == State::Searching && stream.next == Some(seq);
        if let Some(ahead) = walk.ahead
            && is_lost
            && !walk.begins
            && *shared.trusted.of(direction)
        {
            stream.state = at_frame(ahead);
        }
    }

    /// Does a frame begin with the segment that comes next? `None`: it is not known.
    pub(super) fn begins_frame(&self, direction: Direction, seq: u32) -> Option<bool> {
        let stream = self.streams.of(direction);
        let is_next = stream.next == Some(seq) && stream.buffer.is_empty();
        (stream.state != State::Searching).then_some(is_next && stream.state == State::Framing)
    }

    /// Tells the kernel side whether its walk began with a frame.
    pub(super) fn judge_walk(
        &mut self,
        direction: Direction,
        from: u32,
        begun: Option<bool>,
        ctx: &mut Context<'_>,
    ) {
        let Connection { phase: Phase::Sharing(shared), streams, .. } = self else { return };
        // After a loss it did if the way back was found there.
        let is_right = begun.unwrap_or_else(|| streams.of(direction).state != State::Searching);
        *shared.trusted.of_mut(direction) = is_right;
        ctx.walk(self.id, direction, from, is_right);
    }
}
