//! PostgreSQL.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use super::process::{folder, peer_as};
use super::{Process, output_of};

/// One PostgreSQL server with a cluster of its own.
pub(crate) struct Postgres {
    process: Process,
}

impl Postgres {
    /// Listens on `host`:`port`; everyone may connect as `postgres`.
    pub(crate) fn start(host: &str, port: u16) -> Postgres {
        let folder = folder();
        chown(folder.path(), Some(user_id()), None).expect("root gives folders away");
        let data = folder.path().join("data");
        initialise(&data);
        let mut command = peer_as(Some(USER), &program("postgres"));
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", host, "-k", ""]).args([
            "-c",
            "fsync=off",
            "-c",
            "log_connections=on",
        ]);
        let mut process = Process::start("postgres", folder, command);
        process.ready(|| (Postgres::ask(host, port, "select 1") == "1").then_some(()));
        Postgres { process }
    }

    /// What it logged so far, each connection with its client's address.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// What psql prints for `query`, sent to `host`:`port`: values only.
    pub(crate) fn ask(host: &str, port: u16, query: &str) -> String {
        let address = format!("host={host} port={port} user=postgres dbname=postgres connect_timeout=5");
        output_of("psql", &["-X", "-A", "-t", "-c", query, &address]).trim_end().to_owned()
    }
}

/// PostgreSQL refuses to run as root; the package brings this user.
const USER: &str = "postgres";

fn user_id() -> u32 {
    output_of("id", &["-u", USER]).trim().parse().expect("`id -u` prints a number")
}

fn initialise(data: &Path) {
    let mut command = peer_as(Some(USER), &program("initdb"));
    command.args(["--no-sync", "-U", USER, "-D"]).arg(data).current_dir("/");
    let output = command.output().expect("setpriv is installed");
    assert!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
    fs::write(data.join("pg_hba.conf"), "host all all all trust\n").expect("root writes everywhere");
}

/// Debian keeps the servers of each version out of the path.
fn program(name: &str) -> String {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("the package postgresql is installed");
    let mut programs: Vec<PathBuf> =
        versions.flatten().map(|version| version.path().join("bin").join(name)).collect();
    programs.retain(|path| path.exists());
    programs.sort_unstable();
    programs.pop().expect("the package holds its programs").display().to_string()
}
