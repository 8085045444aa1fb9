//! Runs the lines of the tour, as whoever reads them would.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::task::spawn_blocking;

use crate::error::RunError;

/// How lines ended, and what they said: first on stdout, then on stderr.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) success: bool,
    pub(super) output: String,
}

/// Runs `lines` in a shell in `folder`, up to the first that fails.
pub(super) async fn run(lines: String, folder: &Path) -> io::Result<Finished> {
    let mut shell = Command::new("sh");
    shell.args(["-ec", &lines]).current_dir(folder).stdin(Stdio::null());
    for elsewhere in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        shell.env_remove(elsewhere); // a proxy for the Internet does not lead to this machine
    }
    let output = spawn_blocking(move || shell.output()).await.map_err(io::Error::other)??;
    let said = [output.stdout, output.stderr].concat();
    Ok(Finished { success: output.status.success(), output: String::from_utf8_lossy(&said).into_owned() })
}

/// Sees whether there is a curl: the demo shows nothing that you could not do yourself.
pub(super) fn require_curl() -> Result<(), RunError> {
    let found = Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    found.map(drop).map_err(RunError::because("cannot run curl (hint: install the package `curl`)"))
}
