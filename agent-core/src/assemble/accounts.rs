//! What a connection holds whose exchanges share it: header blocks that have begun, what later ones refer to, early answers, and the
//! fields of what is open, which `correlate` holds too.
//!
//! Shape: after every header block the account that all connections have together is put right. Where that is full, this connection
//! forgets: what it refers to is unknown from then on, and never wrong.
use super::{
    connection::{Connection, Phase},
    context::Context,
    early::Early,
};
use crate::{
    event::{Direction, Nanos},
    protocols::http2::Block,
};

impl Context<'_> {
    /// How many bytes of fields come with a block; none where all together hold too much, and then it has no fields.
    pub(super) fn admit(&mut self, block: &mut Block) -> usize {
        let kept = block.kept_bytes();
        if self.shared.buffered.saturating_add(kept) <= self.rules.settings.max_buffered_bytes {
            return kept;
        }
        self.shared.counts.out_of_buffer += 1;
        block.drop_fields();
        0
    }
}

impl Connection {
    /// Something was added in this direction.
    pub(super) fn account(&mut self, direction: Direction, at: Nanos, ctx: &mut Context<'_>) {
        self.settle_account(ctx);
        if ctx.shared.buffered <= ctx.rules.settings.max_buffered_bytes {
            return;
        }
        let Phase::Sharing(shared) = &mut self.phase else { return };
        ctx.shared.counts.out_of_buffer += 1;
        let part = shared.part(direction);
        shared.streams.early.clear();
        if shared.session.is_inside_block(part) {
            self.lose_frames(direction, at, ctx);
        } else {
            shared.session.lose(part);
        }
        self.settle_account(ctx);
    }

    pub(super) fn settle_account(&mut self, ctx: &mut Context<'_>) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let early: usize = shared.streams.early.iter().map(Early::bytes).sum();
        let held = shared.session.bytes() + early + shared.streams.held;
        let before = std::mem::replace(&mut shared.accounted, held);
        ctx.shared.buffered = (ctx.shared.buffered + held).saturating_sub(before);
    }

    /// Nothing of it is held any more.
    pub(super) fn close_account(&mut self, ctx: &mut Context<'_>) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        ctx.shared.buffered = ctx.shared.buffered.saturating_sub(std::mem::take(&mut shared.accounted));
    }
}
