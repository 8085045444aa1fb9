//! What keeps sidecars from the API server, though the test itself still reaches it.

use std::process::Command;

use super::SERVICE_ADDRESS;
use crate::support::process::{folder, peer};
use crate::support::{Process, until};

/// Sidecars and the API server are cut off from each other until this is dropped.
pub(crate) struct Outage(());

impl Outage {
    /// Packets are lost without a word.
    pub(super) fn silent() -> Outage {
        Outage::with("drop")
    }

    /// Connections are refused.
    pub(super) fn refused() -> Outage {
        Outage::with("tcp flags & rst == 0 reject with tcp reset") // which is a packet of these addresses too
    }

    fn with(verdict: &str) -> Outage {
        nft(&format!(
            "table ip outage {{ chain out {{ type filter hook output priority 0; \
             ip daddr {SERVICE_ADDRESS} {verdict}; ip saddr {SERVICE_ADDRESS} {verdict}; }}; }}"
        ));
        Outage(())
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        nft("delete table ip outage");
    }
}

/// An API server whose one request at a time is held, until this is dropped.
pub(crate) struct Held<'a> {
    etcd: &'a Process,
    _requests: [Process; 2],
}

impl Held<'_> {
    /// `list` are the arguments of curl for a list that etcd must answer.
    pub(super) fn by<'a>(etcd: &'a Process, list: &[&str]) -> Held<'a> {
        etcd.stall();
        let mut requests = ["first", "second"].map(|name| {
            let mut request = peer("curl");
            request.args(list);
            Process::start(name, folder(), request)
        });
        until("one of two requests is refused", || {
            requests.iter_mut().any(|request| !request.is_running()).then_some(())
        });
        Held { etcd, _requests: requests }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.etcd.resume();
    }
}

fn nft(rules: &str) {
    let output = Command::new("nft").arg(rules).output().expect("nftables is installed");
    assert!(output.status.success(), "nft {rules}: {}", String::from_utf8_lossy(&output.stderr));
}
