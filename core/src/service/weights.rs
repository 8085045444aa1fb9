//! `svcmesh.dev/weights`: `ADDRESS|POD=N,…`.

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

use crate::hash::HashMap;

/// Shares that an annotation gives to endpoints, by address or by the pod's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weights<'a> {
    by_address: HashMap<IpAddr, u16>,
    by_pod: HashMap<&'a str, u16>,
}

impl<'a> Weights<'a> {
    /// Reads the annotation: entries between commas, spaces around them, N from 0 to 65535.
    ///
    /// # Errors
    /// The first entry that is not `ADDRESS=N` or `POD=N`, or that names an endpoint again.
    pub(crate) fn parse(text: &'a str) -> Result<Weights<'a>, BadWeight> {
        let mut weights = Weights::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            weights.add(entry).ok_or_else(|| BadWeight { entry: entry.into() })?;
        }
        Ok(weights)
    }

    /// The share of an endpoint, if one is given: by its address before its pod's name.
    pub(crate) fn of(&self, address: IpAddr, pod: Option<&str>) -> Option<u16> {
        let by_pod = || pod.and_then(|pod| self.by_pod.get(pod));
        self.by_address.get(&address).or_else(by_pod).copied()
    }

    fn add(&mut self, entry: &'a str) -> Option<()> {
        let (endpoint, weight) = entry.rsplit_once('=')?;
        let (endpoint, weight) = (endpoint.trim(), weight.trim().parse().ok()?);
        let replaced = match endpoint.parse() {
            Ok(address) => self.by_address.insert(address, weight),
            Err(_) if endpoint.is_empty() => return None,
            Err(_) => self.by_pod.insert(endpoint, weight),
        };
        replaced.is_none().then_some(())
    }
}

/// An entry that gives no endpoint a weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadWeight {
    /// The entry as written.
    pub entry: String,
}

impl fmt::Display for BadWeight {
    /// The rule, for a message that names the entry already.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be ADDRESS=N or POD=N, each once, with N from 0 to 65535")
    }
}

impl core::error::Error for BadWeight {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::ip;

    #[test]
    fn an_address_beats_the_name_of_the_pod() {
        let weights = Weights::parse(" 10.0.0.1=3, fd00::1=0 ,web-0 = 65535,").unwrap();
        assert_eq!(weights.of(ip("10.0.0.1"), Some("web-0")), Some(3));
        assert_eq!(weights.of(ip("fd00:0::1"), None), Some(0));
        assert_eq!(weights.of(ip("10.0.0.2"), Some("web-0")), Some(65535));
        assert_eq!(weights.of(ip("10.0.0.2"), Some("web-1")), None);
    }

    #[test]
    fn an_entry_without_a_weight_is_named() {
        for entry in ["web-0", "=1", "web-0=", "web-0=-1", "web-0=65536", "fd00::1"] {
            let text = ["10.0.0.1=1,", entry].concat();
            assert_eq!(Weights::parse(&text), Err(BadWeight { entry: entry.into() }));
        }
        assert_eq!(Weights::parse("fd00::1=1,fd00:0::1=2"), Err(BadWeight { entry: "fd00:0::1=2".into() }));
        assert_eq!(Weights::parse(""), Ok(Weights::default()));
    }
}
