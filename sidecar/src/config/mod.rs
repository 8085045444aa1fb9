//! The configuration of `sidecar run`, `sidecar init` and `sidecar lint`: a flag, else a `SIDECAR_*` variable, else the default.
//!
//! clap and envy only collect strings. Each concern has a file with its flags, the parsers that are its own
//! and the values they become; [`Config::read`] goes through all of them and reports every mistake at once.

mod cgroup;
mod deadlines;
mod discovery;
mod dns;
mod drain;
mod effective;
mod init;
mod limits;
mod lint;
mod listeners;
mod logs;
mod privileges;
mod tls;

mod flag;
mod run;
mod settings;
mod values;
mod verbs;

#[cfg(test)]
mod tests;

use clap::ArgMatches;
use svc_core::capture::Privileges;

use privileges::PRIVILEGES;
use run::RUN;
use settings::SettingsReader;
use verbs::verbs;

pub use deadlines::DeadlineSettings;
pub use discovery::{ApiServer, DiscoverySettings};
pub use dns::DnsSettings;
pub use drain::Drain;
pub use effective::{Effective, Setting, SettingOrigin};
pub use init::{CLEAN, DRY_RUN, Init, init_command};
pub use limits::{Limits, ProxyProtocolIn};
pub use lint::{Lint, Output, lint_command};
pub use listeners::{Listeners, Mapping};
pub use logs::{AccessLogFormat, LogFormat, Logs};
pub use run::{CHECK, command};
pub use settings::{SettingMistake, SettingMistakes, Surroundings, environment};
pub use tls::{ShownBy, TlsPolicy, TlsSettings};

/// Everything `sidecar run` can be told, parsed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Services come from and how names are read.
    pub discovery: DiscoverySettings,
    /// How DNS is asked.
    pub dns: DnsSettings,
    /// Where the sidecar listens.
    pub listeners: Listeners,
    /// What the sidecar may do.
    pub privileges: Privileges,
    /// How TLS from clients is ended.
    pub tls: TlsSettings,
    /// How long things may take.
    pub deadlines: DeadlineSettings,
    /// How much there may be.
    pub limits: Limits,
    /// How the sidecar ends.
    pub drain: Drain,
    /// What is written where.
    pub logs: Logs,
    /// Every setting with its value and who gave it.
    pub effective: Effective,
    /// `SIDECAR_*` variables that mean nothing to us: worth a warning, for one may be a misspelt setting.
    pub unknown_variables: Vec<String>,
}

impl Config {
    /// Parses what the command line and the process's surroundings say.
    ///
    /// # Errors
    /// Every mistake there is, in the order of `--help`.
    pub fn read(flags: &ArgMatches, surroundings: &Surroundings) -> Result<Config, SettingMistakes> {
        let mut settings = SettingsReader::new(RUN, flags, surroundings);
        let discovery = DiscoverySettings::read(&mut settings);
        let dns = DnsSettings::read(&mut settings);
        let listeners = Listeners::read(&mut settings, &discovery.namespace);
        let privileges = settings.read(&PRIVILEGES);
        let tls = TlsSettings::read(&mut settings);
        tls.check(&listeners, &mut settings);
        let deadlines = DeadlineSettings::read(&mut settings);
        let limits = Limits::read(&mut settings);
        let drain = Drain::read(&mut settings);
        let logs = Logs::read(&mut settings);
        let (effective, unknown_variables) = settings.finish(&verbs())?;
        Ok(Config {
            discovery,
            dns,
            listeners,
            privileges,
            tls,
            deadlines,
            limits,
            drain,
            logs,
            effective,
            unknown_variables,
        })
    }

    /// What the inventory is told of all this. Node addresses are nobody's to configure: a source of ours may
    /// learn them.
    pub fn inventory(&self) -> svc_core::inventory::Settings {
        svc_core::inventory::Settings {
            sources: self.discovery.sources.clone(),
            namespace: self.discovery.namespace.clone(),
            cluster_domain: self.discovery.cluster_domain.clone(),
            service_cidrs: self.discovery.service_cidrs.clone(),
            allow_loopback_endpoints: self.discovery.allow_loopback_endpoints,
            external_ips_all: self.discovery.external_ips_all,
            loopback_vips: self.listeners.loopback_vips.clone(),
            app_ports: self.listeners.app_ports.clone(),
            ports_from: 0, // the system says, not the operator
            here: svc_core::endpoints::Here {
                node: self.discovery.node_name.clone(),
                zone: self.discovery.zone.clone(),
            },
            node_addresses: Vec::new(),
        }
    }
}

/// `EX_USAGE` of sysexits.h: the command was used wrongly; a restart will not help.
pub const EXIT_MISTAKES: u8 = 64;
