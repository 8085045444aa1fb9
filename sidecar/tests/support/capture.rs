//! `sidecar init`, as an init container of the pod runs it.

use std::process::Command;

/// The user that the sidecar runs as, whose own connections are not captured.
pub(crate) const SIDECAR_USER: &str = "2102";

/// Captures what leaves the namespace of the caller.
pub(crate) fn capture_output() {
    init(&["--inbound-port=off"]).succeeds();
}

/// Captures what comes to the namespace of the caller from elsewhere.
pub(crate) fn capture_input() {
    init(&["--outbound-port=off"]).succeeds();
}

/// Runs `sidecar init` in the namespace of the caller.
pub(crate) fn init(arguments: &[&str]) -> Ended {
    ended(Command::new(env!("CARGO_BIN_EXE_sidecar")).arg("init").args(arguments))
}

/// The same, by a user without any capability.
pub(crate) fn init_as(user: &str, arguments: &[&str]) -> Ended {
    let mut command = super::process::peer_as(Some(user), env!("CARGO_BIN_EXE_sidecar"));
    ended(command.arg("init").args(arguments))
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the binary is built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes text");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// It did what it was asked to, without a word.
    #[track_caller]
    pub(crate) fn succeeds(&self) {
        assert!(self.code == Some(0) && self.stdout.is_empty() && self.stderr.is_empty(), "{self:?}");
    }
}
