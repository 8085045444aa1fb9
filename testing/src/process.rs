//! One process of a peer: its files, what it printed, and its end.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::time::{until, within};

/// A running peer. Dropped, it is killed with all its children; in a test that fails it says first what it logged.
pub struct Process {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts `command` with its outputs in `folder`. See [`peer`] for the command.
    pub fn start(name: impl Into<String>, folder: TempDir, mut command: Command) -> Process {
        let file = |name: &str| File::create(folder.path().join(name)).expect("a new folder takes files");
        command.stdin(Stdio::null()).stdout(file(STDOUT)).stderr(file(STDERR)).process_group(0);
        let name = name.into();
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Process { name, child, folder }
    }

    /// Waits until `probe` has an answer; panics at once when the process has ended instead.
    pub fn ready<T>(&mut self, mut probe: impl FnMut() -> Option<T>) -> T {
        until(&format!("{} is ready", self.name), || {
            if let Some(status) = self.child.try_wait().expect("our own child can be waited for") {
                panic!("{} ended before it was ready: {status}", self.name);
            }
            probe()
        })
    }

    /// Waits until it has printed `text`.
    pub fn wait_for_output(&mut self, text: &str) {
        let output = self.folder.path().join(STDOUT);
        self.ready(|| fs::read_to_string(&output).is_ok_and(|output| output.contains(text)).then_some(()));
    }

    /// Waits until it has ended by itself, and tells how.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let name = &self.name;
        within(limit, &format!("{name} ends"), || self.child.try_wait().ok().flatten())
    }

    /// Waits until it has logged `text`.
    pub fn wait_for_log(&mut self, text: &str) {
        let log = self.folder.path().join(STDERR);
        self.ready(|| fs::read_to_string(&log).is_ok_and(|log| log.contains(text)).then_some(()));
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its own folder: configuration, logs, data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote to standard output so far.
    pub fn output(&self) -> String {
        self.read(STDOUT)
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.read(STDERR)
    }

    /// SIGKILL, as a node that vanishes: the kernel closes its connections.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _status = self.child.wait();
    }

    /// SIGTERM, and the wait until it has gone. The answer: whether it went with exit code 0.
    pub fn terminate(&mut self) -> bool {
        self.signal(Signal::TERM);
        let name = &self.name;
        until(&format!("{name} ends after SIGTERM"), || self.child.try_wait().ok().flatten()).success()
    }

    /// SIGSTOP: it keeps its sockets and answers nothing.
    pub fn stall(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends `signal` to it and to its children.
    pub fn signal(&self, signal: Signal) {
        let group = Pid::from_child(&self.child);
        // Fails only when all of them have ended, which is what most callers want to see.
        let _ended = kill_process_group(group, signal);
    }

    /// Its resident memory in KiB, the most it ever was.
    pub fn peak_rss_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    /// Its resident memory in KiB, as it is.
    pub fn rss_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// A line of its status, see proc(5).
    fn memory_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("proc(5) has it");
        line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.path().join(name)).expect("created with the process");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.log());
        }
    }
}

/// The command that becomes `program` and dies with the test, even when the test is killed.
pub fn peer(program: &str) -> Command {
    peer_as(None, program)
}

/// The same, run by `user` (a name or a number) where one is given.
pub fn peer_as(user: Option<&str>, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL");
    if let Some(user) = user {
        command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
    }
    command.arg(program);
    command
}

/// The same, run by root with nothing of root's power but `capability`, as a container gets it.
pub fn peer_with_only(capability: &str, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    let only = format!("-all,+{capability}");
    command.args(["--pdeathsig=KILL", "--bounding-set", &only, "--inh-caps", &only, program]);
    command
}

/// A folder that other users may look into, as a peer that runs as another user must.
pub fn folder() -> TempDir {
    let folder =
        tempfile::Builder::new().prefix("svcmesh-").tempdir().expect("the temporary folder is writable");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("the folder is ours");
    folder
}

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";
