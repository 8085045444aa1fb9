//! Where TLS is ended, and with what.

mod policy;

use std::path::PathBuf;

use clap::Arg;
use svc_core::address::SecretName;

use super::flag::{Expected, Flag};
use super::listeners::Listeners;
use super::settings::SettingsReader;
use super::values::{list, optional, path, port};

pub use policy::TlsPolicy;

/// How TLS from clients is ended.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsSettings {
    /// Files of certificates with those of their keys; the first serves whoever asks for no name, or for none of ours.
    pub pairs: Vec<(PathBuf, PathBuf)>,
    /// The file of those whose certificates clients must show.
    pub client_ca: Option<PathBuf>,
    /// Versions and suites.
    pub policy: TlsPolicy,
    /// Captured ports whose clients speak TLS; ascending.
    pub ports: Vec<u16>,
}

/// Which certificates a door shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShownBy {
    /// Those of `--tls-cert`.
    Files,
    /// That of a Secret.
    Secret(SecretName),
}

impl TlsSettings {
    pub(super) fn read(settings: &mut SettingsReader<'_>) -> TlsSettings {
        let certificates = settings.read(&TLS_CERT);
        let keys = settings.read(&TLS_KEY);
        if certificates.len() != keys.len() {
            settings.refuse(&TLS_KEY, "as many files as --tls-cert names, in the same order");
        }
        let ports = settings.read(&TLS_PORTS);
        TlsSettings {
            pairs: certificates.into_iter().zip(keys).collect(),
            client_ca: settings.read(&TLS_CLIENT_CA),
            policy: settings.read(&TLS_POLICY),
            ports,
        }
    }

    /// Whoever sets one of these believes that something is encrypted: what leads nowhere is a mistake.
    pub(super) fn check(&self, listeners: &Listeners, settings: &mut SettingsReader<'_>) {
        let mapped = || listeners.inbound_map.iter().filter_map(|mapping| mapping.tls.as_ref());
        let uses_files = !self.ports.is_empty() || mapped().any(|shown| *shown == ShownBy::Files);
        if self.pairs.is_empty() && !self.ports.is_empty() {
            settings.refuse(&TLS_PORTS, "--tls-cert to name what is shown there");
        } else if self.pairs.is_empty() && uses_files {
            settings.refuse(
                &super::listeners::INBOUND_MAP,
                "--tls-cert to name what `tls` shows, or `tls=SECRET`",
            );
        } else if !self.pairs.is_empty() && !uses_files {
            settings.refuse(&TLS_CERT, "--tls-ports, or `tls` in --inbound-map, to say where TLS is ended");
        }
        if self.client_ca.is_some() && !uses_files && mapped().next().is_none() {
            settings
                .refuse(&TLS_CLIENT_CA, "--tls-ports, or `tls` in --inbound-map, to say where TLS is ended");
        }
    }
}

pub(super) fn args() -> [Arg; 5] {
    const HEADING: &str = "TLS from clients";
    [
        TLS_CERT.arg(HEADING),
        TLS_KEY.arg(HEADING),
        TLS_PORTS.arg(HEADING),
        TLS_CLIENT_CA.arg(HEADING),
        TLS_POLICY.arg(HEADING),
    ]
}

const TLS_CERT: Flag<Vec<PathBuf>> = Flag {
    name: "tls-cert",
    value: "PATHS",
    default: "",
    help: "PEM files of certificates, each with its chain, reloaded on change. Clients get the one that has the name they ask for, \
           else the first",
    parse: paths,
};

const TLS_KEY: Flag<Vec<PathBuf>> = Flag {
    name: "tls-key",
    value: "PATHS",
    default: "",
    help: "PEM files of their keys, in the same order",
    parse: paths,
};

const TLS_PORTS: Flag<Vec<u16>> = Flag {
    name: "tls-ports",
    value: "PORTS",
    default: "",
    help: "Captured ports of the application at which clients speak TLS and the application does not",
    parse: ports,
};

const TLS_CLIENT_CA: Flag<Option<PathBuf>> = Flag {
    name: "tls-client-ca",
    value: "PATH",
    default: "",
    help: "PEM file of authorities, reloaded on change: wherever TLS is ended, clients must show a certificate by one of them",
    parse: |raw| optional(raw, path),
};

const TLS_POLICY: Flag<TlsPolicy> = Flag {
    name: "tls-policy",
    value: "modern|intermediate|LIST",
    default: "intermediate",
    help: "`modern` is TLS 1.3, `intermediate` 1.2 with forward secrecy and authenticated encryption too. A LIST names versions \
           (`1.2`, `1.3`), suites (`TLS_AES_128_GCM_SHA256`) or both",
    parse: policy::parse,
};

fn paths(raw: &str) -> Result<Vec<PathBuf>, Expected> {
    Ok(optional(raw, |raw| list(raw, path))?.unwrap_or_default())
}

fn ports(raw: &str) -> Result<Vec<u16>, Expected> {
    const EXPECTED: &str = "a list of ports from 1 to 65535, such as `8443,9443`";
    let mut ports = optional(raw, |raw| list(raw, port)).map_err(|_| EXPECTED)?.unwrap_or_default();
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}
