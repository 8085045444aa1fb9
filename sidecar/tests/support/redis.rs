//! Redis: the client speaks first.

use super::process::{folder, peer};
use super::{Process, output_of};

/// One redis-server.
pub(crate) struct Redis {
    _process: Process,
}

impl Redis {
    /// Listens on `host`:`port`, keeps nothing.
    pub(crate) fn start(host: &str, port: u16) -> Redis {
        let folder = folder();
        let mut command = peer("redis-server");
        command.args(["--bind", host, "--port", &port.to_string(), "--save", "", "--protected-mode", "no"]);
        command.arg("--dir").arg(folder.path());
        let mut process = Process::start("redis", folder, command);
        process.ready(|| (Redis::ask(host, port, &["PING"]) == "PONG").then_some(()));
        Redis { _process: process }
    }

    /// What redis-cli prints for `words`, sent to `host`:`port`.
    pub(crate) fn ask(host: &str, port: u16, words: &[&str]) -> String {
        let port = port.to_string();
        output_of("timeout", &[&["10", "redis-cli", "-h", host, "-p", &port], words].concat())
            .trim_end()
            .to_owned()
    }
}
