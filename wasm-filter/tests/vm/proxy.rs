//! What the proxy around a VM knows: all that the functions read and write which the module imports.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wasmi::{Memory, TypedFunc};

use super::fields::Fields;

/// The proxy.
#[derive(Default)]
pub(crate) struct Proxy {
    /// The time since the proxy began. It stands still while the VM computes.
    pub(crate) now: Duration,
    /// What `random_get` fills memory with, little-endian, over and over.
    pub(crate) chance: u64,
    /// The variables that the VM's configuration hands in.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) configuration: Vec<u8>,
    /// Clusters that nobody knows: a request to one is refused at once.
    pub(crate) unknown_clusters: BTreeSet<String>,
    /// On whose behalf the VM asks.
    pub(crate) effective: u32,
    pub(crate) streams: BTreeMap<u32, Stream>,
    pub(crate) statistics: Vec<(String, i64)>,
    pub(crate) log: Vec<(u32, String)>,
    /// Requests to clusters that have not been answered.
    pub(crate) calls: BTreeMap<u32, Call>,
    pub(crate) calls_made: u32,
    /// What has come of the call whose end is being told.
    pub(crate) answer: (Fields, Vec<u8>),
    pub(crate) tick_period: Duration,
    /// How to reach into the VM, once it is there.
    pub(crate) reach: Option<Reach>,
}

/// How to reach into a VM.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) memory: Memory,
    pub(crate) allocate: TypedFunc<u32, u32>,
}

/// One HTTP request, or one TCP connection.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) request: Fields,
    pub(crate) response: Fields,
    /// Attributes by their paths, the parts of which are joined by zero bytes.
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) reply: Option<Reply>,
    /// What a client has sent and nobody has taken.
    pub(crate) received: Vec<u8>,
    pub(crate) sent_back: Vec<u8>,
    /// The client's connection is being closed.
    pub(crate) closed: bool,
}

/// An answer that the filter gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u32,
    pub(crate) headers: Fields,
    pub(crate) body: String,
}

/// A request to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) cluster: String,
    pub(crate) headers: Fields,
    pub(crate) timeout: Duration,
}

impl Proxy {
    /// The stream on whose behalf the VM asks.
    pub(crate) fn stream(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.effective)
    }

    /// The headers of that kind (`proxy_map_type_t`).
    pub(crate) fn map(&mut self, kind: u32) -> Option<&mut Fields> {
        match kind {
            0 => self.stream().map(|stream| &mut stream.request),
            2 => self.stream().map(|stream| &mut stream.response),
            6 => Some(&mut self.answer.0),
            _ => None,
        }
    }

    /// The bytes of that kind (`proxy_buffer_type_t`).
    pub(crate) fn buffer(&mut self, kind: u32) -> Option<&mut Vec<u8>> {
        match kind {
            2 => self.stream().map(|stream| &mut stream.received),
            3 => self.stream().map(|stream| &mut stream.sent_back),
            4 => Some(&mut self.answer.1),
            7 => Some(&mut self.configuration),
            _ => None,
        }
    }

    /// The statistic of that name, which begins at 0.
    pub(crate) fn define(&mut self, name: &str) -> u32 {
        let known = self.statistics.iter().position(|(other, _)| other == name);
        let index = known.unwrap_or_else(|| {
            self.statistics.push((name.to_owned(), 0));
            self.statistics.len() - 1
        });
        u32::try_from(index).expect("tests are small")
    }

    pub(crate) fn statistic(&mut self, id: u32) -> Option<&mut i64> {
        self.statistics.get_mut(id as usize).map(|(_, value)| value)
    }
}
