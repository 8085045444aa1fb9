//! What was sent, and what endpoints saw of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::plan::Sum;

/// Both sides' notes.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    sent: HashMap<u64, Sent>,
    seen: HashMap<u64, Vec<Sum>>,
    strange: Vec<String>,
}

/// What a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) message: Message,
    pub(crate) body: Sum,
    pub(crate) records: Wanted,
    /// Its endpoint closes without an answer: on a connection that was used before, that may mean that it never read it, and it is asked
    /// once more.
    pub(crate) repeats: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// All of it, and the client waits for the answer.
    Whole,
    /// All of it, and the client is gone.
    Left,
    /// It has no end.
    Cut,
    /// It may be refused, or be read in one way.
    Odd,
}

/// How many records it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    One,
    AtMostOne,
}

impl Recorder {
    /// A client is about to send this.
    pub(crate) fn sends(&self, id: u64, sent: Sent) {
        self.notes().sent.insert(id, sent);
    }

    /// An endpoint saw a whole request.
    pub(crate) fn sees(&self, id: u64, body: Sum) {
        self.notes().seen.entry(id).or_default().push(body);
    }

    /// A peer saw what nobody meant.
    pub(crate) fn strange(&self, what: String) {
        self.notes().strange.push(what);
    }

    pub(crate) fn wanted(&self) -> HashMap<u64, Wanted> {
        self.notes().sent.iter().map(|(id, sent)| (*id, sent.records)).collect()
    }

    /// Panics with what should not have been seen.
    pub(crate) fn check(&self) {
        let notes = self.notes();
        let mut wrong = notes.strange.clone();
        for (id, bodies) in &notes.seen {
            let Some(sent) = notes.sent.get(id) else {
                wrong.push(format!("{id}: nobody sent this request by itself: it was smuggled"));
                continue;
            };
            match sent.message {
                Message::Cut => wrong.push(format!("{id}: was cut, and seen whole: {sent:?}")),
                Message::Whole | Message::Left if bodies.iter().any(|body| *body != sent.body) => {
                    wrong.push(format!("{id}: another body: {bodies:?} for {sent:?}"));
                }
                Message::Whole | Message::Left | Message::Odd if bodies.len() > 1 && !sent.repeats => {
                    wrong.push(format!("{id}: seen {} times: {sent:?}", bodies.len()));
                }
                Message::Whole | Message::Left | Message::Odd => {}
            }
        }
        let count = wrong.len();
        wrong.truncate(40);
        assert!(
            wrong.is_empty(),
            "{count} of {} streams went wrong:\n{}",
            notes.sent.len(),
            wrong.join("\n")
        );
        let whole = notes.sent.values().filter(|sent| sent.message == Message::Whole).count();
        eprintln!("{} streams, {whole} of them whole", notes.sent.len());
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
