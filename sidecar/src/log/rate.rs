//! No kind of line is logged more often than people can read it: most kinds can be caused by a remote, as often as it likes.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard};

use svc_core::time::Now;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::queue;
use crate::clock;
use crate::sync::lock;

/// Lines that were too many of their kind.
pub(crate) static LINES_SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// So many of a kind may come at once: a folder of manifests has as many mistakes.
const BURST: f64 = 256.0;

/// And then so many a second.
const PER_SECOND: f64 = 10.0;

/// Limits INFO, WARN and ERROR, each place in the code for itself. DEBUG and TRACE are for who wants to see it all.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// Counts what is left out.
    pub(super) suppressed: &'static AtomicU64,
}

/// What is left of a place's share, by place: as many as there are in the code.
static KINDS: Mutex<Option<HashMap<Identifier, LineKind>>> = Mutex::new(None);

struct LineKind {
    metadata: &'static Metadata<'static>,
    left: f64,
    at: Now,
    suppressed: u64,
}

impl<S: Subscriber> Layer<S> for RateLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target() == module_path!() {
            return true;
        }
        let is_within = take(metadata, clock::now());
        if !is_within {
            self.suppressed.fetch_add(1, Relaxed);
            queue::tell_suppressed();
        }
        is_within
    }
}

/// Whether one more line of that kind may be logged.
fn take(metadata: &'static Metadata<'static>, now: Now) -> bool {
    let mut kinds = kinds();
    let kind = kinds.get_or_insert_default().entry(metadata.callsite()).or_insert(LineKind {
        metadata,
        left: BURST,
        at: now,
        suppressed: 0,
    });
    let refilled = now.since(kind.at).as_secs_f64() * PER_SECOND;
    (kind.left, kind.at) = ((kind.left + refilled).min(BURST), now);
    let is_within = kind.left >= 1.0;
    match is_within {
        true => kind.left -= 1.0,
        false => kind.suppressed += 1,
    }
    is_within
}

/// Tells what was suppressed since this was asked last, in a line for each kind.
pub(super) fn tell() {
    let told: Vec<_> = {
        let mut kinds = kinds();
        let all = kinds.iter_mut().flat_map(HashMap::values_mut);
        let taken = all.map(|kind| (kind.metadata, std::mem::take(&mut kind.suppressed)));
        taken.filter(|(_, lines)| *lines > 0).collect()
    };
    for (metadata, lines) in told {
        let (target, line) = (metadata.target(), metadata.line());
        tracing::warn!(of = target, line, lines, "lines were suppressed: too many of a kind");
    }
}

fn kinds() -> MutexGuard<'static, Option<HashMap<Identifier, LineKind>>> {
    lock(&KINDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tracing_subscriber::layer::SubscriberExt as _;

    struct Count(Arc<AtomicU64>);

    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn lines_of_a_kind_are_limited_those_of_others_and_of_debug_are_not_and_what_is_left_out_is_counted() {
        let count = Arc::new(AtomicU64::new(0));
        static SUPPRESSED: AtomicU64 = AtomicU64::new(0);
        let limit = RateLimit { suppressed: &SUPPRESSED };
        let subscriber = tracing_subscriber::registry().with(limit).with(Count(count.clone()));
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..1000 {
                tracing::warn!("of one kind");
            }
            let logged = count.swap(0, Relaxed);
            assert!((BURST as u64..BURST as u64 + 20).contains(&logged), "{logged}");
            assert_eq!(SUPPRESSED.load(Relaxed), 1000 - logged);
            tracing::warn!("of another");
            (0..1000).for_each(|_| tracing::debug!("of those that somebody asked for"));
            assert_eq!(count.swap(0, Relaxed), 1001);
            tell();
            assert_eq!(count.load(Relaxed), 1);
        });
    }
}
