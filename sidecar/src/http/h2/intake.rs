//! The bodies that a connection is receiving, so that what of them waits for a reader can be gathered, and counted.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::recv::RecvBody;
use crate::memory::{Holder, Received};

/// Bodies that somebody has.
#[derive(Default)]
pub(crate) struct Bodies {
    bodies: Vec<Weak<RefCell<RecvBody>>>,
    /// How many there may be before those that have ended are looked for.
    swept_at: usize,
}

/// So few are not worth a look.
const SWEPT_MIN: usize = 32;

impl Bodies {
    pub(crate) fn enter(&mut self, body: &Rc<RefCell<RecvBody>>) {
        if self.bodies.len() >= self.swept_at {
            self.sweep();
        }
        self.bodies.push(Rc::downgrade(body));
    }

    fn sweep(&mut self) {
        self.bodies.retain(|body| body.strong_count() > 0);
        self.swept_at = (2 * self.bodies.len()).max(SWEPT_MIN);
    }

    /// Those that are there.
    pub(crate) fn each(&mut self, mut act: impl FnMut(&mut RecvBody)) {
        self.sweep();
        self.bodies.iter().filter_map(Weak::upgrade).for_each(|body| act(&mut body.borrow_mut()));
    }
}

/// What a client has sent on the streams of its connection.
pub(crate) struct Intake {
    holder: Holder,
    bodies: RefCell<Bodies>,
    /// How much has come since it was counted last.
    uncounted_bytes: Cell<usize>,
    small_frames: Rc<SmallFrames>,
}

/// It is counted when so much has come: 10_000 connections × 16 KiB = 160 MiB that the ledger does not know of, if each of them has just as
/// much here.
const COUNTED_EVERY_BYTES: usize = 16 * 1024;

impl Intake {
    pub(crate) fn of(holder: &Holder) -> Intake {
        Intake {
            holder: holder.clone(),
            bodies: RefCell::default(),
            uncounted_bytes: Cell::new(0),
            small_frames: Rc::new(SmallFrames::of(holder)),
        }
    }

    /// A stream begins: what comes of `body` is counted as long as somebody has it.
    pub(crate) fn enter(&self, mut body: RecvBody) -> Rc<RefCell<RecvBody>> {
        body.count_for(&self.holder, Some(&self.small_frames));
        let body = Rc::new(RefCell::new(body));
        self.bodies.borrow_mut().enter(&body);
        body
    }

    /// So many bytes have come, and so many small frames of bodies among them.
    pub(crate) fn hears(&self, bytes: usize, small_frames: usize) {
        self.small_frames.waiting.set(self.small_frames.waiting.get() + small_frames);
        let uncounted = self.uncounted_bytes.get() + bytes + small_frames * SMALL_FRAME_BYTES;
        self.uncounted_bytes.set(uncounted);
        if uncounted >= COUNTED_EVERY_BYTES {
            self.uncounted_bytes.set(0);
            self.count();
        }
    }

    fn count(&self) {
        let mut waiting_bytes = 0;
        self.bodies.borrow_mut().each(|body| waiting_bytes += body.count());
        if waiting_bytes == 0 {
            self.small_frames.waiting.set(0); // those that came for nobody h2 has dropped
        }
        self.small_frames.count();
    }
}

/// Frames of bodies that are small, as long as nobody has read them: what h2 keeps around them is more than they are.
pub(crate) struct SmallFrames {
    waiting: Cell<usize>,
    held: RefCell<Received>,
}

/// What h2 bounds by its budget (`FRAME_BUDGET_BYTES`): below this a frame costs as much.
pub(crate) const SMALL_FRAME_BYTES: usize = 256;

impl SmallFrames {
    fn of(holder: &Holder) -> SmallFrames {
        SmallFrames { waiting: Cell::new(0), held: RefCell::new(holder.receive()) }
    }

    /// One was read.
    pub(crate) fn is_read(&self) {
        self.waiting.set(self.waiting.get().saturating_sub(1));
        if self.waiting.get() == 0 {
            self.count();
        }
    }

    fn count(&self) {
        self.held.borrow_mut().resize(self.waiting.get() * SMALL_FRAME_BYTES);
    }
}
