//! What the reading side of an HTTP/1 connection and the side that answers tell each other: whose turn it is.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use hyper::{Method, Version};
use svc_core::sniff::may_become_request;

use super::rule::Rule;
use crate::access_log::RequestDetails;
use crate::http::authority::without_userinfo;
use crate::sync::lock;

/// The turns of a connection's requests, counted from 1. Atomic only because hyper wants the I/O that it may hand out to be `Send`; one
/// thread uses it.
#[derive(Debug, Default)]
pub(crate) struct RequestTurns {
    /// The request that is answered, or was last.
    now: AtomicU32,
    /// The last one whose answer has ended, and is no tunnel.
    ended: AtomicU32,
    /// Somebody waits for such an end.
    waits: AtomicBool,
    /// Who. Locked only where a tunnel is asked for.
    waker: Mutex<Option<Waker>>,
    refused: OnceLock<Box<RefusedHead>>,
    /// The beginning of a head that has no end.
    begun: OnceLock<Box<RefusedHead>>,
}

impl RequestTurns {
    /// It is the next request's turn.
    pub(crate) fn next(&self) {
        self.now.store(self.now.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Why the request whose turn it is never was one.
    pub(crate) fn refused(&self) -> Option<&RefusedHead> {
        let refused = self.refused.get().filter(|refused| refused.turn == self.now.load(Relaxed));
        refused.map(|refused| &**refused)
    }

    /// The request whose turn it is was answered, and is no tunnel.
    pub(crate) fn end(&self) {
        self.ended.store(self.now.load(Relaxed), Relaxed);
        if self.waits.swap(false, Relaxed) {
            let waker = lock(&self.waker).take();
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// Ready once the request of this turn has been answered, and is no tunnel.
    pub(super) fn poll_end(&self, turn: u32, cx: &Context<'_>) -> Poll<()> {
        if self.ended.load(Relaxed) == turn {
            return Poll::Ready(());
        }
        *lock(&self.waker) = Some(cx.waker().clone());
        self.waits.store(true, Relaxed);
        Poll::Pending
    }

    /// Notes what can be read of a head that came no further than this.
    pub(crate) fn break_off(&self, bytes: &[u8]) {
        if may_become_request(bytes) {
            self.begun.get_or_init(|| Box::new(RefusedHead::new(0, Rule::CutShort, bytes)));
        }
    }

    /// What there is to be told of a head that did not come to its end.
    pub(crate) fn begun(&self) -> Option<RequestDetails> {
        self.begun.get().map(|begun| begun.details())
    }

    pub(super) fn refuse(&self, refused: RefusedHead) {
        self.refused.get_or_init(|| Box::new(refused));
    }
}

/// A head that was refused: the last of its connection.
#[derive(Debug)]
pub(crate) struct RefusedHead {
    turn: u32,
    pub(crate) rule: Rule,
    method: Option<Method>,
    /// Where the target was a whole URI.
    scheme: Option<String>,
    path: String,
    host: String,
    /// Nothing where the line does not end with one that we speak.
    version: Option<Version>,
}

impl RefusedHead {
    /// With what can be read of the head that `bytes` begin with.
    pub(super) fn new(turn: u32, rule: Rule, bytes: &[u8]) -> RefusedHead {
        let mut lines = bytes.trim_ascii_start().split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let mut words = lines.next().unwrap_or_default().splitn(2, |byte| byte.is_ascii_whitespace());
        let method = words.next().and_then(|word| Method::from_bytes(word).ok());
        let rest = words.next().unwrap_or_default().trim_ascii();
        let version = match rest.rsplit(|&byte| byte == b' ').next() {
            Some(b"HTTP/1.0") => Some(Version::HTTP_10),
            Some(b"HTTP/1.1") => Some(Version::HTTP_11),
            Some(_) | None => None,
        };
        let rest = shown(rest);
        let (target, _version) = rest.rsplit_once(' ').unwrap_or((&rest, ""));
        let host = lines.take_while(|line| !line.is_empty()).find_map(|line| {
            let (name, value) = line.split_at_checked("host:".len())?;
            name.eq_ignore_ascii_case(b"host:").then_some(value.trim_ascii())
        });
        let (scheme, authority, path) = per_client(target);
        let host = authority.map_or_else(|| shown(host.unwrap_or_default()), str::to_owned);
        let host = String::from_utf8_lossy(without_userinfo(host.as_bytes())).into_owned();
        RefusedHead {
            turn,
            rule,
            method,
            scheme: scheme.map(str::to_owned),
            path: path.to_owned(),
            host,
            version,
        }
    }

    pub(super) fn asks_for_head(&self) -> bool {
        self.method == Some(Method::HEAD)
    }

    /// What the access log says of it.
    pub(crate) fn details(&self) -> RequestDetails {
        RequestDetails {
            method: self.method.clone(),
            path: self.path.clone(),
            host: self.host.clone(),
            version: self.version,
            scheme: self.scheme.clone(),
        }
    }
}

/// A target's scheme and authority, if it has any, and the rest.
fn per_client(target: &str) -> (Option<&str>, Option<&str>, &str) {
    let Some((scheme, rest)) = target.split_once("://").filter(|(scheme, _)| !scheme.contains('/')) else {
        return (
            None,
            None,
            target.rsplit_once('@').filter(|_| !target.starts_with('/')).map_or(target, |(_, host)| host),
        );
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    (Some(scheme), Some(authority), path)
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)]).into_owned()
}

/// One record may name a target and a host of that size; what is no head can be anything.
const SHOWN_BYTES_MAX: usize = 1024;
