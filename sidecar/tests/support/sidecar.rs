//! The product, as it is shipped: the built binary.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use super::process::{folder, peer, peer_as, peer_with_only};
use super::{Manifests, Process, get};

/// A running sidecar. Dropped in a test that held so far, it must not have logged an error.
pub(crate) struct Sidecar {
    process: Process,
    manifests: Manifests,
    admin: String,
}

impl Sidecar {
    /// Runs `sidecar run` over `manifests` with these further arguments, and waits until it is ready.
    pub(crate) fn start(manifests: Manifests, arguments: &[&str]) -> Sidecar {
        Sidecar::run(peer(BINARY), ADMIN, manifests, arguments)
    }

    /// The same as another user, which is how capture tells its connections from the application's.
    pub(crate) fn start_as(user: Option<&str>, manifests: Manifests, arguments: &[&str]) -> Sidecar {
        Sidecar::run(peer_as(user, BINARY), ADMIN, manifests, arguments)
    }

    /// The same as root in a container is, with that capability alone.
    pub(crate) fn start_with_only(capability: &str, manifests: Manifests, arguments: &[&str]) -> Sidecar {
        Sidecar::run(peer_with_only(capability, BINARY), ADMIN, manifests, arguments)
    }

    /// The same outside of any namespace, with an admin address that is free, in a shell that does this: `"$0" "$@"` is the sidecar.
    pub(crate) fn start_in_shell(
        script: &str,
        admin: &str,
        manifests: Manifests,
        arguments: &[&str],
    ) -> Sidecar {
        let mut shell = peer("sh");
        shell.args(["-c", script, BINARY]);
        Sidecar::run(shell, admin, manifests, arguments)
    }

    /// Runs it on a system that believes the authorities in `file`, and no others.
    pub(crate) fn start_believing(file: &str, manifests: Manifests, arguments: &[&str]) -> Sidecar {
        let mut peer = peer(BINARY);
        peer.env("SSL_CERT_FILE", file);
        Sidecar::run(peer, ADMIN, manifests, arguments)
    }

    /// Runs it as a pod does that is given these variables.
    pub(crate) fn start_in_pod(
        variables: &[(&str, &str)],
        manifests: Manifests,
        arguments: &[&str],
    ) -> Sidecar {
        let mut peer = peer(BINARY);
        peer.envs(variables.iter().copied());
        Sidecar::run(peer, ADMIN, manifests, arguments)
    }

    fn run(peer: Command, admin: &str, manifests: Manifests, arguments: &[&str]) -> Sidecar {
        let command = command(peer, manifests.path(), &[&["--admin", admin], arguments].concat());
        let mut sidecar = Sidecar {
            process: Process::start("sidecar", folder(), command),
            manifests,
            admin: admin.to_owned(),
        };
        sidecar.process.ready(|| get(admin, "/readyz").filter(|(status, _)| *status == 200));
        sidecar
    }

    /// Runs `sidecar run` where it cannot work: how it ended, and what it logged.
    pub(crate) fn refusal(manifests: &Path, arguments: &[&str]) -> (ExitStatus, String) {
        Sidecar::refusal_of(peer(BINARY), manifests, arguments)
    }

    /// The same as another user.
    pub(crate) fn refusal_as(user: &str, manifests: &Path, arguments: &[&str]) -> (ExitStatus, String) {
        Sidecar::refusal_of(peer_as(Some(user), BINARY), manifests, arguments)
    }

    fn refusal_of(peer: Command, manifests: &Path, arguments: &[&str]) -> (ExitStatus, String) {
        let mut process = Process::start("refused", folder(), command(peer, manifests, arguments));
        (process.wait(Duration::from_secs(5)), process.log())
    }

    /// Runs one more beside a running one, with other addresses for what it listens on.
    pub(crate) fn start_second(manifests: &Path, arguments: &[&str]) -> Process {
        let mut process = Process::start("second", folder(), command(peer(BINARY), manifests, arguments));
        process.wait_for_log("ready to carry traffic");
        process
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// What it was given to watch.
    pub(crate) fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// The lines of the access log so far.
    pub(crate) fn access_log(&self) -> Vec<serde_json::Value> {
        let lines = self.process.output();
        // The last line may still be in the making.
        lines.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(parse).collect()
    }

    /// What the admin server answers at `path`.
    pub(crate) fn admin(&self, path: &str) -> String {
        get(&self.admin, path).map(|(_, body)| body).expect("the admin server answers while the sidecar runs")
    }

    /// The values in `/metrics` of the samples that begin so.
    pub(crate) fn measured(&self, sample: &str) -> Vec<u64> {
        let metrics = self.admin("/metrics");
        let values =
            metrics.lines().filter(|line| line.starts_with(sample)).filter_map(|line| line.rsplit_once(' '));
        values.filter_map(|(_, value)| value.parse().ok()).collect()
    }

    /// How often anything failed so, of all Services and of none.
    pub(crate) fn failures(&self, code: &str) -> u64 {
        let (metrics, code) = (self.admin("/metrics"), format!("code=\"{code}\""));
        let failures = metrics.lines().filter(|line| line.starts_with("svcmesh_failures_total{"));
        let values = failures.filter(|line| line.contains(&code)).filter_map(|line| line.rsplit_once(' '));
        values.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
    }

    /// What it has logged so far.
    pub(crate) fn said(&self) -> String {
        self.process.log()
    }

    /// The process, to signal or to measure.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let log = self.process.log();
        let error = log.lines().find(|line| line.contains(" ERROR ") || line.contains("panicked at"));
        assert!(thread::panicking() || error.is_none(), "the sidecar logged an error: {error:?}\n{log}");
    }
}

fn command(mut command: Command, manifests: &Path, arguments: &[&str]) -> Command {
    command.args(["run", "--access-log", "json", "--manifests"]).arg(manifests);
    command.args(arguments);
    command
}

const BINARY: &str = env!("CARGO_BIN_EXE_sidecar");

/// Each test has its own namespace, so each sidecar may have the same port.
const ADMIN: &str = "127.0.0.1:15020";

fn parse(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON, {error}: {line}"))
}
