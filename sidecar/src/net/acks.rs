//! Whether a peer acknowledges what it is sent. One that does not read is alive: it says so each time that it is asked, and may take as long
//! as the idle time; one that acknowledges nothing is gone. `TCP_USER_TIMEOUT` counts both alike, hence this.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use svc_core::ack_timeout::{self, AckState};
use tokio::net::TcpStream;

use super::tcp_info;
use crate::clock;

/// What a peer owes. Atomic only because a client's I/O has to be `Send`; one thread writes and reads it.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// Since when it may owe an acknowledgement ([`clock::coarse_ms`]); 0 when it owes none.
    owes_since_ms: AtomicU32,
    /// At the last look it had been asked for one twice.
    doubted: AtomicBool,
}

/// Clients, and both ends of what is carried as bytes, may be silent for this long: nobody can be asked instead of them. The kernel itself
/// would wait for a quarter of an hour.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(30);

impl Acks {
    /// Something was sent.
    pub(crate) fn sent(&self) {
        if self.owes_since_ms.load(Relaxed) == 0 {
            self.owes_since(clock::coarse_ms());
        }
    }

    /// The peer has said something: so far it owes nothing. It may since owe for what was sent meanwhile, which a look will tell.
    pub(crate) fn heard(&self) {
        if self.owes_since_ms.load(Relaxed) != 0 {
            self.owes_since(clock::coarse_ms());
        }
    }

    pub(crate) fn owes(&self) -> bool {
        self.owes_since_ms.load(Relaxed) != 0
    }

    /// Whether it is time for a look: something was sent so long ago, and nothing came since.
    pub(crate) fn is_due(&self, silence_max: Duration) -> bool {
        let since_ms = self.owes_since_ms.load(Relaxed);
        since_ms != 0 && u128::from(clock::coarse_since(since_ms)) >= silence_max.as_millis()
    }

    /// Looks at the peer, which [is due](Acks::is_due): whether it has been silent for `silence_max`.
    pub(crate) fn is_silent(&self, socket: &TcpStream, silence_max: Duration) -> bool {
        let doubted = self.doubted.swap(false, Relaxed);
        let info = tcp_info::look(socket).ok();
        match info.map_or(AckState::Settled, |info| ack_timeout::judge(info, silence_max, doubted)) {
            AckState::Settled => self.owes_since_ms.store(0, Relaxed),
            AckState::Owes(ago) => self.owes_since(clock::coarse_ms().wrapping_sub(ago.as_millis() as u32)),
            AckState::Doubted => {
                self.doubted.store(true, Relaxed);
                self.owes_since(clock::coarse_ms());
            }
            AckState::Silent => return true,
        }
        false
    }

    /// Notes a time that can be told from none.
    fn owes_since(&self, ms: u32) {
        self.owes_since_ms.store(ms.max(1), Relaxed);
    }
}
