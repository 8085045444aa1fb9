//! A process on a core of its choice, and what it has used so far.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Result, clock};

/// The core that only the proxy under test runs on.
pub(crate) const PROXY_CORE: &str = "0";

/// The core of backends and load generators.
pub(crate) const LOAD_CORE: &str = "1";

/// A running program; killed when it is dropped, or when this program dies.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `program` on `core` with its output in a file of `folder`, and waits until it accepts connections at
    /// `address`.
    pub(crate) fn start(
        core: &str,
        program: &Path,
        arguments: &[&str],
        folder: &Path,
        address: &str,
    ) -> Result<Process> {
        let name = program.file_name().unwrap_or_default().display().to_string();
        let log = File::create(folder.join(format!("{name}.log")))?;
        let mut command = on_core(core, program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut process = Process { child: command.spawn()?, name };
        let mut ended = false;
        let listens = clock::within(LISTENS_WITHIN, || {
            ended = !matches!(process.child.try_wait(), Ok(None));
            ended || TcpStream::connect(address).is_ok()
        });
        if listens && !ended {
            return Ok(process);
        }
        let said = fs::read_to_string(folder.join(format!("{}.log", process.name)))?;
        Err(format!("{} does not listen on {address}:\n{said}", process.name).into())
    }

    /// CPU time of all its threads. The kernel counts it in nanoseconds; `utime` and `stime` would come in ticks.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += schedstat.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Its resident memory.
    pub(crate) fn rss_kib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(value.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Far longer than 10,000 files take, on a machine that does much else: what is over its bound shall be measured, not missed.
const LISTENS_WITHIN: Duration = Duration::from_secs(120);

/// The command that becomes `program` on `core`, and dies with this program.
pub(crate) fn on_core(core: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig=KILL", "taskset", "--cpu-list", core]).arg(program);
    command
}
