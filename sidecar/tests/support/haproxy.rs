//! HAProxy, which wrote the PROXY protocol.

use std::fs;
use std::net::TcpStream;

use super::Process;
use super::process::{folder, peer};

/// One HAProxy.
pub(crate) struct Haproxy {
    process: Process,
}

impl Haproxy {
    /// Has the sections `configuration` beside a `defaults` of its own; `address` is where one of them listens.
    pub(crate) fn start(configuration: &str, address: &str) -> Haproxy {
        let folder = folder();
        let file = folder.path().join("haproxy.cfg");
        let defaults = "global\n  log stdout format raw local0\ndefaults\n  log global\n  \
                        timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  timeout check 2s\n";
        fs::write(&file, format!("{defaults}{configuration}")).expect("the folder is ours");
        let mut command = peer("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        let mut process = Process::start("haproxy", folder, command);
        process.ready(|| TcpStream::connect(address).ok());
        Haproxy { process }
    }

    /// What it logged of its servers and connections.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }
}
