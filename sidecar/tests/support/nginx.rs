//! nginx.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;

use tempfile::TempDir;

use super::Process;
use super::process::{folder, peer};

/// One nginx: a single process, so that killing or stalling it does what it says.
pub(crate) struct Nginx {
    process: Process,
    name: String,
    address: String,
}

impl Nginx {
    /// Listens on `address` and answers every request with `name` and a line end.
    pub(crate) fn named(name: &str, address: &str) -> Nginx {
        Nginx::serving(name, address, &format!("location / {{ return 200 '{name}\\n'; }}"))
    }

    /// Listens as `listen` says (an address, and what else the directive takes, such as `http2`), with the given content of
    /// its `server` block.
    pub(crate) fn serving(name: &str, listen: &str, server: &str) -> Nginx {
        let address = listen.split(' ').next().expect("split yields something");
        let folder = folder();
        let path = folder.path().display();
        let mut configuration = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr; user root;
             events {{ worker_connections 4096; }}
             http {{ log_format short '$request_method $uri $status'; access_log {path}/access.log short;
                     keepalive_requests 1000000; client_max_body_size 0; client_body_temp_path {path}/body;\n"
        );
        for unused in ["proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(configuration, "{unused}_temp_path {path}/{unused};").expect("a string takes any text");
        }
        writeln!(configuration, "server {{ listen {listen}; {server} }} }}")
            .expect("a string takes any text");
        Nginx::run(name, address, folder, &configuration)
    }

    /// The same without HTTP: the content of a `server` block of its stream module.
    pub(crate) fn streaming(name: &str, listen: &str, server: &str) -> Nginx {
        let address = listen.split(' ').next().expect("split yields something");
        let folder = folder();
        let path = folder.path().display();
        let configuration = format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;
             daemon off; master_process off; pid {path}/pid; error_log stderr; user root;
             events {{ }} stream {{ server {{ listen {listen}; {server} }} }}"
        );
        Nginx::run(name, address, folder, &configuration)
    }

    fn run(name: &str, address: &str, folder: TempDir, configuration: &str) -> Nginx {
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).expect("the folder is ours");
        let mut command = peer("nginx");
        command.arg("-c").arg(file).arg("-e").arg("stderr");
        let mut process = Process::start(format!("nginx {name}"), folder, command);
        process.ready(|| TcpStream::connect(address).ok());
        Nginx { process, name: name.to_owned(), address: address.to_owned() }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it is called in its answers.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many requests it has answered.
    pub(crate) fn requests(&self) -> usize {
        fs::read_to_string(self.process.folder().join("access.log")).map_or(0, |log| log.lines().count())
    }

    /// The process, to kill or to stall.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
