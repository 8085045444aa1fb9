//! Which versions and suites clients may choose from.

use rustls::crypto::ring::ALL_CIPHER_SUITES;
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::flag::Expected;
use crate::config::values::list;

/// Versions and suites. What a policy can weaken ends here: no suite that there is lacks forward secrecy or authenticated encryption.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsPolicy {
    /// At least one.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// At least one for each version.
    pub suites: Vec<SupportedCipherSuite>,
}

pub(super) fn parse(raw: &str) -> Result<TlsPolicy, Expected> {
    match raw {
        "modern" => Ok(TlsPolicy::of(vec![&TLS13], Vec::new())),
        "intermediate" => Ok(TlsPolicy::of(vec![&TLS13, &TLS12], Vec::new())),
        raw => listed(list(raw, item)?),
    }
}

enum PolicyItem {
    Version(&'static SupportedProtocolVersion),
    Suite(SupportedCipherSuite),
}

fn item(raw: &str) -> Result<PolicyItem, Expected> {
    match raw {
        "1.2" => Ok(PolicyItem::Version(&TLS12)),
        "1.3" => Ok(PolicyItem::Version(&TLS13)),
        raw => {
            let suite = ALL_CIPHER_SUITES.iter().find(|suite| name(**suite) == raw);
            suite.copied().map(PolicyItem::Suite).ok_or_else(expected)
        }
    }
}

/// As IANA registers it.
fn name(suite: SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    name.replace("TLS13_", "TLS_")
}

/// A version without suites has all of them, suites without a version have their own.
fn listed(items: Vec<PolicyItem>) -> Result<TlsPolicy, Expected> {
    let (mut versions, mut suites) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            PolicyItem::Version(version) => versions.push(version),
            PolicyItem::Suite(suite) => suites.push(suite),
        }
    }
    if versions.is_empty() {
        let used =
            |version: &&SupportedProtocolVersion| suites.iter().any(|suite| suite.version() == *version);
        versions = [&TLS13, &TLS12].into_iter().filter(used).collect();
    }
    let other = suites.iter().find(|suite| !versions.contains(&suite.version()));
    match other {
        None => Ok(TlsPolicy::of(versions, suites)),
        Some(other) => Err(format!("the version of {} too", name(*other)).into()),
    }
}

impl TlsPolicy {
    fn of(
        versions: Vec<&'static SupportedProtocolVersion>,
        mut suites: Vec<SupportedCipherSuite>,
    ) -> TlsPolicy {
        let unnamed =
            |version: &SupportedProtocolVersion| !suites.iter().any(|suite| suite.version() == version);
        let whole: Vec<_> = versions.iter().copied().filter(|version| unnamed(version)).collect();
        suites.extend(ALL_CIPHER_SUITES.iter().filter(|suite| whole.contains(&suite.version())));
        TlsPolicy { versions, suites }
    }
}

fn expected() -> Expected {
    let suites: Vec<String> = ALL_CIPHER_SUITES.iter().map(|suite| name(*suite)).collect();
    format!("`modern`, `intermediate`, or a list of `1.2`, `1.3`, {}", suites.join(", ")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions and the number of suites of each.
    fn read(raw: &str) -> Result<(usize, usize), Expected> {
        let policy = parse(raw)?;
        let count = |version| policy.suites.iter().filter(|suite| suite.version() == version).count();
        let counts = (count(&TLS12), count(&TLS13));
        assert_eq!(
            (counts.0 > 0, counts.1 > 0),
            (policy.versions.contains(&&TLS12), policy.versions.contains(&&TLS13))
        );
        Ok(counts)
    }

    #[test]
    fn names_and_lists_say_what_may_be_chosen() {
        for (raw, counts) in [
            ("modern", (0, 3)),
            ("1.3", (0, 3)),
            ("intermediate", (6, 3)),
            ("1.2, 1.3", (6, 3)),
            ("TLS_AES_128_GCM_SHA256", (0, 1)),
            ("1.2,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", (1, 0)),
            ("1.2,1.3,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", (1, 3)),
        ] {
            assert_eq!(read(raw), Ok(counts), "{raw}");
        }
    }

    #[test]
    fn what_is_old_or_contradicts_itself_is_refused() {
        for raw in ["", "old", "1.1", "SSLv3", "TLS_RSA_WITH_AES_128_GCM_SHA256", "1.3,1.3x"] {
            assert!(read(raw).is_err(), "{raw}");
        }
        let reason = read("1.2,TLS_AES_128_GCM_SHA256").unwrap_err();
        assert_eq!(reason, "the version of TLS_AES_128_GCM_SHA256 too");
    }
}
