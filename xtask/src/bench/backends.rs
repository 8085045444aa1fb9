//! What the proxies stand in front of: four addresses, HTTP/1.1 (nginx) on one port and HTTP/2 (nghttpd) on another.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::process::{LOAD_CORE, Process};
use crate::Result;
use crate::packages::find;

/// Addresses of `lo` that no proxy takes for loopback (S-04).
pub(crate) const ADDRESSES: [&str; 4] = ["10.99.0.1", "10.99.0.2", "10.99.0.3", "10.99.0.4"];

/// HTTP/1.1: `/1` is 1 KiB, `/64` is 64 KiB, `/who` tells the address that was reached.
pub(crate) const H1_PORT: u16 = 9001;

/// HTTP/2 with prior knowledge: `/1` is 1 KiB.
pub(crate) const H2_PORT: u16 = 9002;

/// The running backends.
pub(crate) struct Backends {
    _processes: Vec<Process>,
}

impl Backends {
    /// Starts them on the load's core.
    pub(crate) fn start(folder: &Path) -> Result<Backends> {
        let folder = folder.join("backends");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("1"), "x".repeat(1024))?;
        fs::write(folder.join("64"), "x".repeat(64 * 1024))?;
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(&folder)?)?;
        let start = |program: &str, arguments: &[&str], address: String| {
            let program = find(program).ok_or_else(|| format!("{program} is not installed"))?;
            Process::start(LOAD_CORE, &program, arguments, &folder, &address)
        };
        let configured = ["-c", &file.display().to_string()];
        let mut processes = vec![start("nginx", &configured, format!("{}:{H1_PORT}", ADDRESSES[0]))?];
        for address in ADDRESSES {
            let (port, root) = (H2_PORT.to_string(), folder.display().to_string());
            let arguments = ["--no-tls", "-n1", "-a", address, "-d", &root, &port];
            processes.push(start("nghttpd", &arguments, format!("{address}:{H2_PORT}"))?);
        }
        Ok(Backends { _processes: processes })
    }
}

/// 1 KiB comes from memory; 64 KiB from a file that stays open.
fn configuration(folder: &Path) -> Result<String> {
    let folder = folder.display();
    let mut text = format!(
        "daemon off; master_process off; user root; pid {folder}/nginx.pid; error_log stderr crit;
         events {{ worker_connections 8192; }}
         http {{ access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 300s;
           open_file_cache max=10; root {folder};\n"
    );
    for temporary in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "{temporary}_temp_path {folder}/{temporary};")?;
    }
    writeln!(text, "server {{")?;
    for address in ADDRESSES {
        writeln!(text, "listen {address}:{H1_PORT} backlog=4096;")?;
    }
    writeln!(text, "location = /who {{ return 200 $server_addr; }}")?;
    writeln!(text, "location = /1 {{ return 200 '{}'; }} }} }}", "x".repeat(1024))?;
    Ok(text)
}
