//! The bodies that a connection is receiving, so that what of them waits for a reader can be gathered, and counted.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::recv::RecvBody;
use crate::memory::Holder;

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
///
/// h2 would bound small frames by a budget (`data_frame_budget`) that ends the connection. Small messages that wait are no fault of their sender, and
/// h2 never gets back what it took of the budget for frames that nobody wanted any more. So it has none, and what is read of a
/// connection before its bodies are gathered is bounded.
pub(crate) struct Intake {
    holder: Holder,
    bodies: RefCell<Bodies>,
    /// How much has come since it was counted last, with what is around small frames.
    uncounted_bytes: Cell<usize>,
    /// There were such.
    has_small_frames: Cell<bool>,
}

/// It is gathered and counted when so much has come: 10_000 connections × 16 KiB = 160 MiB that the ledger does not know of, if each of them
/// has just as much here.
const COUNTED_EVERY_BYTES: usize = 16 * 1024;

/// Below this a frame is small. As much is what h2 keeps around it.
pub(crate) const SMALL_FRAME_BYTES: usize = 256;

/// What may come before it is seen to: 6,500 frames of one byte, which are 2 MiB in h2.
pub(crate) const TURN_BYTES_MAX: usize = 64 * 1024;

impl Intake {
    pub(crate) fn of(holder: &Holder) -> Intake {
        Intake {
            holder: holder.clone(),
            bodies: RefCell::default(),
            uncounted_bytes: Cell::new(0),
            has_small_frames: Cell::new(false),
        }
    }

    /// A stream begins: what comes of `body` is gathered and counted as long as somebody has it.
    pub(crate) fn enter(&self, mut body: RecvBody) -> Rc<RefCell<RecvBody>> {
        body.count_for(&self.holder);
        let body = Rc::new(RefCell::new(body));
        self.bodies.borrow_mut().enter(&body);
        body
    }

    /// So many bytes have come, and so many small frames of bodies among them.
    pub(crate) fn hears(&self, bytes: usize, small_frames: usize) {
        let uncounted = self.uncounted_bytes.get() + bytes + small_frames * SMALL_FRAME_BYTES;
        let has_small_frames = self.has_small_frames.get() || small_frames > 0;
        let is_due = uncounted >= COUNTED_EVERY_BYTES;
        self.uncounted_bytes.set(if is_due { 0 } else { uncounted });
        self.has_small_frames.set(has_small_frames && !is_due);
        if is_due {
            self.bodies.borrow_mut().each(|body| {
                if has_small_frames {
                    body.gather();
                }
                body.count();
            });
        }
    }
}
