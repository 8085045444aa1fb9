//! Containers by runc: started, asked, signalled, waited for.

use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use serde_json::Value;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::sync::{oneshot, watch};

use super::Result;
use super::logs::Log;

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// As a shell tells it: 128 and the signal, where it was one.
    pub(crate) code: i32,
    pub(crate) at: Timestamp,
}

/// A container that was started.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) id: String,
    pub(crate) started: Timestamp,
    pub(crate) exit: watch::Receiver<Option<Exit>>,
    process: Arc<OwnedFd>,
    state: PathBuf,
}

/// What a container is started from.
pub(crate) struct Bundle<'a> {
    /// Its own folder.
    pub(crate) folder: &'a Path,
    pub(crate) id: &'a str,
    /// The root filesystem below its writable layer.
    pub(crate) lower: &'a Path,
    pub(crate) config: &'a Value,
    /// Where runc keeps its state.
    pub(crate) state: &'a Path,
    /// The owner of the container's standard output and error.
    pub(crate) user: u32,
}

/// The root filesystem of a bundle.
pub(crate) fn root(folder: &Path) -> PathBuf {
    folder.join("rootfs")
}

/// Starts a container, and collects what it prints.
pub(crate) async fn start(bundle: Bundle<'_>) -> Result<(Running, Arc<Log>)> {
    lay(&bundle)?;
    let (output, output_end) = stream(bundle.user)?;
    let (errors, errors_end) = stream(bundle.user)?;
    let log = Log::start(bundle.folder.join("log"), output, errors);
    let (pid_file, messages) = (bundle.folder.join("pid"), bundle.folder.join("runc.log"));
    let mut command = Command::new("runc");
    command.arg("--root").arg(bundle.state).arg("--log").arg(&messages).args([
        "run",
        "--detach",
        "--pid-file",
    ]);
    command.arg(&pid_file).arg("--bundle").arg(bundle.folder).arg(bundle.id);
    command.stdin(Stdio::null()).stdout(output_end).stderr(errors_end);
    let status = command.status().await.map_err(|error| format!("cannot start runc: {error}"))?;
    if !status.success() {
        clear(bundle.state, bundle.id, bundle.folder).await;
        return Err(complaint(&messages).into());
    }
    let pid = fs::read_to_string(&pid_file)?.trim().parse()?;
    let pid = Pid::from_raw(pid).ok_or("runc tells no process")?;
    let process = Arc::new(pidfd_open(pid, PidfdFlags::empty())?);
    let (sender, exit) = watch::channel(None);
    let running = Running {
        id: bundle.id.to_owned(),
        started: Timestamp::now(),
        exit,
        process: Arc::clone(&process),
        state: bundle.state.to_owned(),
    };
    let (state, id, folder) = (bundle.state.to_owned(), bundle.id.to_owned(), bundle.folder.to_owned());
    let waited = waiting(process)?;
    tokio::spawn(async move {
        let code = waited.await.unwrap_or(UNKNOWN);
        clear(&state, &id, &folder).await;
        sender.send_replace(Some(Exit { code, at: Timestamp::now() }));
    });
    Ok((running, log))
}

impl Running {
    /// Waits until it has ended.
    pub(crate) async fn ended(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.map(|exit| *exit) {
            Ok(Some(exit)) => exit,
            Ok(None) | Err(_) => Exit { code: UNKNOWN, at: Timestamp::now() }, // the runtime shuts down
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _ended = pidfd_send_signal(&*self.process, signal);
    }

    /// Runs a command in it; an error tells how it failed.
    pub(crate) async fn execute(&self, words: &[String], limit: Duration) -> Result<()> {
        let mut command = Command::new("runc");
        command.arg("--root").arg(&self.state).arg("exec").arg(&self.id).args(words);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(limit, command.output());
        let output = output.await.map_err(|_| format!("command timed out: {words:?}"))??;
        if output.status.success() {
            return Ok(());
        }
        let told = [output.stdout, output.stderr].concat();
        Err(format!("{}: {}", output.status, String::from_utf8_lossy(&told).trim()).into())
    }
}

/// The exit code of a container whose end could not be observed.
const UNKNOWN: i32 = 137;

/// The root filesystem with its writable layer, and the configuration.
fn lay(bundle: &Bundle<'_>) -> Result<()> {
    let (root, upper, work) = (root(bundle.folder), bundle.folder.join("upper"), bundle.folder.join("work"));
    for folder in [&root, &upper, &work] {
        fs::create_dir_all(folder)?;
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        bundle.lower.display(),
        upper.display(),
        work.display()
    );
    let options = std::ffi::CString::new(options)?;
    mount(c"overlay", &root, c"overlay", MountFlags::empty(), options.as_c_str())
        .map_err(|error| format!("cannot mount a root filesystem: {error}"))?;
    fs::write(bundle.folder.join("config.json"), serde_json::to_vec(bundle.config)?)?;
    Ok(())
}

/// A stream that a container's user may open anew, as `/dev/stdout`.
fn stream(user: u32) -> Result<(pipe::Receiver, Stdio)> {
    let (sender, receiver) = pipe::pipe()?;
    let end = sender.into_blocking_fd()?;
    std::os::unix::fs::fchown(&end, Some(user), None)?;
    Ok((receiver, end.into()))
}

/// The exit code of a process, once it has one. It is a child of ours, because runc that made it has ended. A thread waits for it: there is no
/// safe way to have a runtime poll a file descriptor of this kind.
fn waiting(process: Arc<OwnedFd>) -> Result<oneshot::Receiver<i32>> {
    let (sender, receiver) = oneshot::channel();
    let wait = move || {
        let status = loop {
            match waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => break status,
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        };
        let signal = || status.terminating_signal().map(|signal| 128 + signal);
        let _nobody = sender.send(status.exit_status().or_else(signal).unwrap_or(UNKNOWN));
    };
    thread::Builder::new().name("container".to_owned()).stack_size(STACK).spawn(wait)?;
    Ok(receiver)
}

/// Two calls deep: 64 KiB for each of some hundred containers.
const STACK: usize = 64 << 10;

/// Removes the state and the layers of a container; its log stays.
async fn clear(state: &Path, id: &str, folder: &Path) {
    let mut delete = Command::new("runc");
    delete.arg("--root").arg(state).args(["delete", "--force", id]);
    let _gone = delete.stdin(Stdio::null()).output().await;
    let _unmounted = unmount(root(folder), UnmountFlags::DETACH);
    for layer in ["upper", "work", "rootfs"] {
        let _removed = fs::remove_dir_all(folder.join(layer));
    }
}

/// What runc says of its failure.
fn complaint(messages: &Path) -> String {
    let log = fs::read_to_string(messages).unwrap_or_default();
    let last = log.lines().rfind(|line| line.contains("level=error")).unwrap_or(log.trim());
    let told = last.split_once("msg=").map_or(last, |(_, message)| message);
    format!("cannot start the container: {}", told.trim_matches('"'))
}
