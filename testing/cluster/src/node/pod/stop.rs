//! How a container is stopped: its preStop hook, its turn (KEP-753), its stop signal, and SIGKILL when its time is up.

use std::future::Future;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::node::probe::{self, Subject};
use crate::node::runc::Running;

/// A container that is to be stopped.
pub(crate) struct Stop {
    pub(crate) subject: Subject,
    pub(crate) signal: Signal,
    /// Those that have to end first.
    pub(crate) after: Vec<Running>,
    /// When its time is up. It can come nearer, as when a pod is deleted again with a shorter grace period.
    pub(crate) deadline: watch::Receiver<Instant>,
}

impl Stop {
    /// Runs for all containers of a pod at once: preStop hooks run when termination begins, also those of sidecars that are stopped later.
    pub(crate) async fn run(self) {
        let Stop { subject, signal, after, deadline } = self;
        let hook = subject.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.clone());
        if let Some(hook) = hook
            && *deadline.borrow() > Instant::now()
        {
            let failed = until(deadline.clone(), probe::handle(&hook, &subject)).await;
            if let Some(Err(error)) = failed {
                eprintln!("preStop hook of {} failed: {error}", subject.running.id);
            }
        }
        for other in &after {
            until(deadline.clone(), other.ended()).await;
        }
        let least = Instant::now() + LEAST;
        subject.running.signal(signal);
        if until(deadline, subject.running.ended()).await.is_none() {
            let _late = tokio::time::timeout_at(least, subject.running.ended()).await;
        }
        subject.running.signal(Signal::KILL);
    }
}

/// What a container always has between its signal and SIGKILL.
const LEAST: Duration = Duration::from_secs(2);

/// Waits for `future`, but no longer than until the deadline.
async fn until<T>(mut deadline: watch::Receiver<Instant>, future: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(future);
    loop {
        let time = *deadline.borrow_and_update();
        tokio::select! {
            biased; // an output that is there counts, whatever the time
            output = &mut future => return Some(output),
            () = sleep_until(time) => return None,
            changed = deadline.changed() => if changed.is_err() {
                return tokio::time::timeout_at(time, future).await.ok();
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_nearer_is_kept() {
        let begin = Instant::now();
        let (sender, deadline) = watch::channel(begin + Duration::from_secs(30));
        let waiting = tokio::spawn(until(deadline, std::future::pending::<()>()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        sender.send_replace(begin + Duration::from_secs(5));
        assert_eq!(waiting.await.expect("it does not panic"), None);
        assert_eq!(begin.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_stays_is_kept_too() {
        let begin = Instant::now();
        let (_, deadline) = watch::channel(begin + Duration::from_secs(3));
        assert_eq!(until(deadline.clone(), std::future::pending::<()>()).await, None);
        assert_eq!(begin.elapsed(), Duration::from_secs(3));
        assert_eq!(until(deadline, async { 7 }).await, Some(7));
    }
}
