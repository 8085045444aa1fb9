//! A running Envoy.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testing::process::{Process, folder, peer};
use testing::time::within;

use super::bootstrap::Bootstrap;
use super::built;
use super::client::{Answer, Client};

/// One Envoy, with two workers unless a test wants another number.
pub(crate) struct Envoy {
    process: Process,
    admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
}

impl Envoy {
    /// Runs it, and waits until it takes connections.
    pub(crate) fn start(bootstrap: &Bootstrap) -> Envoy {
        Envoy::with_workers(2, bootstrap)
    }

    /// The same with another number of workers.
    pub(crate) fn with_workers(count: usize, bootstrap: &Bootstrap) -> Envoy {
        let folder = folder();
        let admin_file = folder.path().join("admin");
        let command = command(&folder, bootstrap, &["--concurrency", &count.to_string()]);
        let mut process = Process::start("envoy", folder, command);
        let admin = within(LOADED_WITHIN, "envoy is ready", || {
            assert!(process.is_running(), "envoy ended before it was ready:\n{}", process.log());
            let admin: SocketAddr = fs::read_to_string(&admin_file).ok()?.trim().parse().ok()?;
            (Client::of(admin).ask("admin", "/ready", &[]).status() == 200).then_some(admin)
        });
        Envoy { process, admin, listeners: listeners(admin) }
    }

    /// Runs it where it cannot work: how it ended, and what it logged.
    pub(crate) fn refusal(bootstrap: &Bootstrap) -> (ExitStatus, String) {
        let folder = folder();
        let command = command(&folder, bootstrap, &["--concurrency", "2"]);
        let mut process = Process::start("envoy", folder, command);
        (process.wait(LOADED_WITHIN), process.log())
    }

    /// Has it look at a configuration: how that ended, and what it logged.
    pub(crate) fn validate(bootstrap: &Bootstrap) -> (ExitStatus, String) {
        let folder = folder();
        let command = command(&folder, bootstrap, &["--mode", "validate"]);
        let mut process = Process::start("envoy", folder, command);
        (process.wait(LOADED_WITHIN), process.log())
    }

    /// Where it listens for those that the filter serves.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.listeners.values().next().expect("each file has a listener")
    }

    /// Where the listener of that name listens, where there are several.
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        self.listeners[name]
    }

    /// A connection to there.
    pub(crate) fn client(&self) -> Client {
        Client::of(self.address())
    }

    /// A counter or gauge by its whole name; 0 where nothing was counted yet.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let stats = self.admin("/stats").body;
        let line = stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map_or(0, |value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
    }

    /// Waits until that is `value`; workers hand in what they counted every few seconds.
    pub(crate) fn wait_for_stat(&self, name: &str, value: u64) {
        let what = format!("{name} is {value}");
        within(Duration::from_secs(20), &what, || (self.stat(name) == value).then_some(()));
    }

    /// The process, to measure or to search its log.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What its admin server says.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        Client::of(self.admin).ask("admin", path, &[])
    }
}

/// V8 compiles the whole filter first: a second on a machine that does nothing else, which those that run tests are not.
const LOADED_WITHIN: Duration = Duration::from_secs(60);

/// The addresses of its listeners, by their names.
fn listeners(admin: SocketAddr) -> BTreeMap<String, SocketAddr> {
    let listeners = Client::of(admin).ask("admin", "/listeners?format=json", &[]).body;
    let listeners: Value = serde_json::from_str(&listeners).expect("it is asked for JSON");
    let listener = |status: &Value| {
        let port = status["local_address"]["socket_address"]["port_value"].as_u64()?.try_into().ok()?;
        Some((status["name"].as_str()?.to_owned(), SocketAddr::new([127, 0, 0, 1].into(), port)))
    };
    let found: Option<_> =
        listeners["listener_statuses"].as_array().and_then(|all| all.iter().map(listener).collect());
    found.unwrap_or_else(|| panic!("no names and ports: {listeners}"))
}

fn command(folder: &TempDir, bootstrap: &Bootstrap, arguments: &[&str]) -> Command {
    let file = folder.path().join("envoy.json");
    bootstrap.write(&file);
    let mut command = peer(&built::envoy());
    command.arg("--config-path").arg(file).arg("--admin-address-path").arg(folder.path().join("admin"));
    // Without it Envoys of one machine would take each other for their forebears.
    command.args(["--disable-hot-restart", "--log-level", "warning", "--component-log-level", "wasm:debug"]);
    command.args(arguments);
    command
}
