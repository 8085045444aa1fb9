//! What the kubelet, the terminal and the operator tell the process, on a thread of its own: also when everything else waits for a disk, a
//! pipe or a peer, the process ends in its time.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::{Instant, sleep_until};
use crate::log;

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalMeaning {
    /// SIGTERM, SIGINT.
    End,
    /// SIGHUP.
    Reload,
}

/// What was told. As many as signals come, which are few.
pub(crate) struct Signals {
    told: UnboundedReceiver<SignalMeaning>,
    serving: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on. A process that was told to end does so within `drain_timeout`, and at once when it is told again, or has
    /// not begun to serve: if not by itself, then here.
    ///
    /// # Errors
    /// The system has no thread left, or no way to hear of signals.
    pub(crate) fn start(drain_timeout: Duration) -> io::Result<Signals> {
        let (sender, told) = unbounded_channel();
        let serving = Arc::new(AtomicBool::new(false));
        let (started, starts) = std::sync::mpsc::channel();
        let watch = SignalWatch { sender, serving: serving.clone(), drain_timeout };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || watch.run(&started))?;
        starts.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for signals has ended")))?;
        Ok(Signals { told, serving })
    }

    /// There is something to drain from now on.
    pub(crate) fn serving(&self) {
        self.serving.store(true, Relaxed);
    }

    pub(crate) async fn next(&mut self) -> SignalMeaning {
        match self.told.recv().await {
            Some(told) => told,
            None => std::future::pending().await, // the thread lives as long as the process
        }
    }

    pub(crate) async fn end(&mut self) {
        while self.next().await != SignalMeaning::End {}
    }
}

struct SignalWatch {
    sender: UnboundedSender<SignalMeaning>,
    serving: Arc<AtomicBool>,
    drain_timeout: Duration,
}

impl SignalWatch {
    fn run(self, started: &std::sync::mpsc::Sender<io::Result<()>>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error))),
        };
        runtime.block_on(async {
            match Sources::new() {
                Ok(sources) => {
                    let _ = started.send(Ok(()));
                    self.watch(sources).await;
                }
                Err(error) => drop(started.send(Err(error))),
            }
        });
    }

    async fn watch(self, mut sources: Sources) {
        let mut ends_at: Option<Instant> = None;
        loop {
            let over = async {
                match ends_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let told = tokio::select! {
                told = sources.next() => told,
                () = over => break,
            };
            if told == SignalMeaning::End {
                let left = match ends_at {
                    None if self.serving.load(Relaxed) => self.drain_timeout + GRACE,
                    None => Duration::ZERO,
                    Some(_) => GRACE,
                };
                ends_at = Some(Instant::now() + left);
            }
            let _ = self.sender.send(told); // nobody hears it who has ended
        }
        tracing::warn!("told to end, and did not in time: ended as it is");
        log::flush();
        exit(EXIT_CUT);
    }
}

/// For what is cut at the end to be recorded, and the last lines to be written, while somebody reads them.
const GRACE: Duration = Duration::from_secs(1);

/// As of any failure.
const EXIT_CUT: i32 = 1;

struct Sources {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Sources {
    fn new() -> io::Result<Sources> {
        Ok(Sources {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> SignalMeaning {
        tokio::select! {
            _ = self.terminate.recv() => SignalMeaning::End,
            _ = self.interrupt.recv() => SignalMeaning::End,
            _ = self.hangup.recv() => SignalMeaning::Reload,
        }
    }
}
