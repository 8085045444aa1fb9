//! Finds out whether a client is still there: one that is silent is asked (PING), and given up when it stays so.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};

use super::traffic::Traffic;
use crate::clock::{Sleep, sleep};

/// A client that is silent for this long is asked.
const PING_AFTER: Duration = Duration::from_secs(60);

/// And given up after this long, the idle time of HTTP connections by default. One that does not read for a while cannot answer; whether its
/// system is there is seen by its acknowledgements, much sooner (`acks`).
const GONE_AFTER: Duration = Duration::from_secs(5 * 60);

pub(crate) struct KeepAlive {
    pings: PingPong,
    traffic: Rc<Traffic>,
    timer: Pin<Box<Sleep>>,
    /// It was asked, and nothing has come since.
    asked: bool,
    /// The timer wakes the connection's task, which is the same all the time.
    set: bool,
}

impl KeepAlive {
    pub(crate) fn new(pings: PingPong, traffic: Rc<Traffic>) -> KeepAlive {
        KeepAlive { pings, traffic, timer: Box::pin(sleep(PING_AFTER)), asked: false, set: false }
    }

    /// Ready when the client is gone.
    pub(crate) fn poll_dead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.set && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        self.set = true;
        while self.timer.as_mut().poll(cx).is_ready() {
            let silent = Duration::from_millis(self.traffic.silent_ms().into());
            let wait = match PING_AFTER.checked_sub(silent).filter(|left| !left.is_zero()) {
                Some(left) => {
                    self.asked = false;
                    left
                }
                None if silent >= GONE_AFTER => return Poll::Ready(()),
                None => {
                    if !self.asked {
                        self.ask(cx);
                    }
                    PING_AFTER
                }
            };
            self.timer.set(sleep(wait));
        }
        Poll::Pending
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        let _ = self.pings.poll_pong(cx); // the last one's answer, which would be in the way
        self.asked = self.pings.send_ping(Ping::opaque()).is_ok();
    }
}
