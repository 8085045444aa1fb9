//! Looks each setting up where it may be, and keeps the account: what holds, who said so, what was wrong.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use clap::ArgMatches;

use super::cgroup;
use super::effective::{Effective, Setting, SettingOrigin};
use super::flag::{Expected, Flag, PREFIX, variable};

/// What the process finds around itself: the only outside facts that the configuration depends on.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment's `SIDECAR_*` variables by their lower-case rest: `connect_timeout`.
    variables: BTreeMap<String, String>,
    /// Where the service account's volumes are.
    accounts: Accounts,
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`, which the kubelet sets in every pod.
    api_server: Option<(String, String)>,
    /// The most memory that the container may take, in bytes.
    memory: Option<u64>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Surroundings {
        let surroundings = Surroundings::new(environment(), None);
        Surroundings { accounts: Accounts::OfFiles, ..surroundings }.with_memory(cgroup::memory_limit())
    }

    /// Those of a process with these variables and this content of the service account's `namespace` file. There is a token where there
    /// is a namespace.
    pub fn new(
        variables: impl IntoIterator<Item = (String, String)>,
        namespace: Option<String>,
    ) -> Surroundings {
        let variables: Vec<(String, String)> = variables.into_iter().collect();
        let api_server = api_server(&variables);
        let variables: BTreeMap<String, String> = envy::prefixed(PREFIX)
            .from_iter(variables)
            .expect("a map of strings takes every name and every value");
        let meant = |(name, value): &(String, String)| !value.is_empty() && !is_service_port(name, value);
        let variables = variables.into_iter().filter(meant).collect();
        let accounts = Accounts::Fixed(ServiceAccount { has_token: namespace.is_some(), namespace });
        Surroundings { variables, accounts, api_server, memory: None }
    }

    /// The same in a container that may take so many bytes.
    #[must_use]
    pub fn with_memory(self, limit: Option<u64>) -> Surroundings {
        Surroundings { memory: limit, ..self }
    }
}

/// Where a pod's service account is read.
#[derive(Clone, Debug)]
enum Accounts {
    /// In the folder that is asked for.
    OfFiles,
    /// Whatever folder is asked for.
    Fixed(ServiceAccount),
}

/// What a service account's volume has in it.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceAccount {
    pub(super) namespace: Option<String>,
    pub(super) has_token: bool,
}

impl Default for Accounts {
    fn default() -> Accounts {
        Accounts::Fixed(ServiceAccount::default())
    }
}

impl Accounts {
    fn read(&self, folder: &Path) -> ServiceAccount {
        match self {
            Accounts::OfFiles => ServiceAccount {
                namespace: std::fs::read_to_string(folder.join("namespace")).ok(),
                has_token: folder.join("token").is_file(),
            },
            Accounts::Fixed(account) => account.clone(),
        }
    }
}

/// The API server's host and port as the kubelet tells them.
fn api_server(variables: &[(String, String)]) -> Option<(String, String)> {
    let of = |name| variables.iter().find(|variable| variable.0 == name).map(|variable| variable.1.clone());
    let host = of("KUBERNETES_SERVICE_HOST").filter(|host| !host.is_empty())?;
    Some((host, of("KUBERNETES_SERVICE_PORT").filter(|port| !port.is_empty())?))
}

/// The process's variables. In a pod anything may be set, and `std::env::vars` panics at what is not Unicode:
/// such names are left out, for none of ours is among them; such values show the replacement character, which
/// no setting takes.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
}

/// Reads settings one by one.
pub(super) struct SettingsReader<'a> {
    verb: &'static str,
    flags: &'a ArgMatches,
    surroundings: &'a Surroundings,
    effective: Vec<Setting>,
    mistakes: Vec<SettingMistake>,
}

impl<'a> SettingsReader<'a> {
    pub(super) fn new(
        verb: &'static str,
        flags: &'a ArgMatches,
        surroundings: &'a Surroundings,
    ) -> SettingsReader<'a> {
        SettingsReader { verb, flags, surroundings, effective: Vec::new(), mistakes: Vec::new() }
    }

    /// The value of `flag`. After a mistake it is the default, so that all other settings are looked at too;
    /// nobody sees it, because [`SettingsReader::finish`] then fails.
    pub(super) fn read<T>(&mut self, flag: &Flag<T>) -> T {
        let (origin, raw) = self.find(flag);
        let parsed = (flag.parse)(&raw);
        self.effective.push(Setting { name: flag.name, value: raw.clone(), origin });
        parsed.unwrap_or_else(|expected| {
            self.mistakes.push(SettingMistake { setting: origin.names(flag.name), value: raw, expected });
            (flag.parse)(flag.default).expect("a test parses every default")
        })
    }

    /// Notes that `flag` does not go together with the rest; once it is well formed at all.
    pub(super) fn refuse<T>(&mut self, flag: &Flag<T>, expected: impl Into<Expected>) {
        let (origin, value) = self.find(flag);
        let mistake = SettingMistake { setting: origin.names(flag.name), value, expected: expected.into() };
        if !self.mistakes.iter().any(|known| known.setting == mistake.setting) {
            self.mistakes.push(mistake);
        }
    }

    /// Whether somebody set `flag`.
    pub(super) fn is_given<T>(&self, flag: &Flag<T>) -> bool {
        self.find(flag).0 != SettingOrigin::Default
    }

    /// The service account whose volume is at `folder`.
    pub(super) fn account(&self, folder: &Path) -> ServiceAccount {
        let account = self.surroundings.accounts.read(folder);
        let namespace = account.namespace.map(|namespace| namespace.trim().to_owned());
        ServiceAccount { namespace: namespace.filter(|namespace| !namespace.is_empty()), ..account }
    }

    /// The API server's host and port, as the kubelet tells them in a pod.
    pub(super) fn api_server(&self) -> Option<(&'a str, &'a str)> {
        self.surroundings.api_server.as_ref().map(|(host, port)| (host.as_str(), port.as_str()))
    }

    /// The most memory that the container may take, in bytes.
    pub(super) fn memory_of_pod(&self) -> Option<u64> {
        self.surroundings.memory
    }

    /// Says that a setting nobody gave took `value` from the pod.
    pub(super) fn took_from_pod<T>(&mut self, flag: &Flag<T>, value: &str) {
        if let Some(setting) = self.effective.iter_mut().find(|setting| setting.name == flag.name) {
            value.clone_into(&mut setting.value);
            setting.origin = SettingOrigin::Pod;
        }
    }

    /// The account, and the variables that no setting of any of `verbs` asks for: the containers of a pod often share theirs.
    pub(super) fn finish(self, verbs: &[clap::Command]) -> Result<(Effective, Vec<String>), SettingMistakes> {
        let known = |name: &str| {
            let mut flags = verbs.iter().flat_map(clap::Command::get_arguments);
            flags.any(|flag| flag.get_id().as_str().replace('-', "_") == name)
        };
        let unknown =
            self.surroundings.variables.keys().filter(|name| !known(name) && !is_service_variable(name));
        let unknown = unknown.map(|name| variable(name)).collect();
        match self.mistakes.is_empty() {
            true => Ok((Effective(self.effective), unknown)),
            false => Err(SettingMistakes { verb: self.verb, mistakes: self.mistakes }),
        }
    }

    fn find<T>(&self, flag: &Flag<T>) -> (SettingOrigin, String) {
        if let Some(value) = self.flags.get_one::<String>(flag.name) {
            return (SettingOrigin::Flag, value.clone());
        }
        match self.surroundings.variables.get(&flag.name.replace('-', "_")) {
            Some(value) => (SettingOrigin::Variable, value.clone()),
            None => (SettingOrigin::Default, flag.default.to_owned()),
        }
    }
}

/// `tcp://10.0.0.1:80`: a Service named `sidecar-outbound` must not be taken for the setting `--outbound-port`.
fn is_service_port(name: &str, value: &str) -> bool {
    name.ends_with("_port") && value.contains("://")
}

/// Whether the kubelet would inject this for a Service whose name starts with `sidecar`. (S-12)
fn is_service_variable(name: &str) -> bool {
    let name = format!("_{name}");
    name.contains("_port_") || ["_port", "_service_host"].iter().any(|end| name.ends_with(end))
}

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingMistake {
    setting: String,
    value: String,
    expected: Cow<'static, str>,
}

impl fmt::Display for SettingMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.value.chars().take(VALUE_CHARS_MAX).collect();
        let cut = if shown.len() < self.value.len() { "…" } else { "" };
        write!(f, "{} `{}{cut}`: expected {}", self.setting, shown.escape_debug(), self.expected)
    }
}

/// All mistakes of one configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingMistakes {
    verb: &'static str,
    mistakes: Vec<SettingMistake>,
}

impl fmt::Display for SettingMistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SettingMistakes { verb, mistakes } = self;
        let plural = if mistakes.len() == 1 { "" } else { "s" };
        writeln!(f, "the configuration has {} mistake{plural}:", mistakes.len())?;
        for mistake in mistakes {
            writeln!(f, "  {mistake}")?;
        }
        writeln!(f, "hint: `sidecar {verb} --help` explains every setting")
    }
}

impl std::error::Error for SettingMistakes {}

/// Enough to recognise a value by, short enough for one line of a terminal.
const VALUE_CHARS_MAX: usize = 60;
