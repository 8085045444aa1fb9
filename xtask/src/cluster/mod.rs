//! `cargo xtask cluster`: a Kubernetes cluster on this machine, of the package `svc-cluster`, in the background.

mod tour;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crate::clock::within;
use crate::groups::net::NEEDS_ROOT;
use crate::packages::{self, Program};
use crate::{Result, kube, place, shell};

pub(crate) fn run(words: &[&str]) -> Result<ExitCode> {
    let cluster = Cluster { home: place::cache().join("cluster") };
    match words {
        ["up"] => cluster.up(),
        ["down"] => cluster.down(),
        ["status"] => return cluster.status(),
        ["restart-apiserver"] => cluster.restart_api_server(),
        ["tour"] => return tour::run(&cluster),
        _ => Err("expected one of up down status restart-apiserver tour".into()),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The one cluster of this machine.
struct Cluster {
    /// Its files: `kubeconfig`, logs, the pipe `control`, the process number in `pid`.
    home: PathBuf,
}

impl Cluster {
    /// Starts it, unless it runs.
    fn up(&self) -> Result<()> {
        if self.is_running() {
            println!("it runs: export KUBECONFIG={}", self.kubeconfig().display());
            return Ok(());
        }
        if !packages::is_root() {
            return Err(NEEDS_ROOT.into());
        }
        packages::ensure(PROGRAMS)?;
        let assets = kube::assets()?;
        let images = build()?;
        self.clear()?;
        fs::create_dir_all(&self.home)?;
        make_network()?;
        self.start(&assets, &images)?;
        println!("ready: export KUBECONFIG={}", self.kubeconfig().display());
        println!("images: busybox, nginx, sidecar; pods and nodes are reached from here at 10.244.0.0/16");
        Ok(())
    }

    fn start(&self, assets: &Path, images: &Images) -> Result<()> {
        let log = File::create(self.log())?;
        let mut command = Command::new("nsenter"); // `ip netns exec` would hide /sys/fs/cgroup from runc
        command.arg(format!("--net=/run/netns/{NETWORK}")).arg(&images.cluster);
        command.arg("--home").arg(&self.home).arg("--assets").arg(assets);
        command.arg("--image").arg(format!("sidecar={},{}", images.sidecar.display(), images.nft.display()));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut process = command.spawn()?;
        fs::write(self.home.join("pid"), process.id().to_string())?;
        let is_up = within(PATIENCE, || {
            self.logged("ready:") > 0 || process.try_wait().is_ok_and(|end| end.is_some())
        });
        if is_up && self.logged("ready:") > 0 {
            return Ok(());
        }
        let _gone = process.kill();
        Err(format!("the cluster did not start:\n{}", fs::read_to_string(self.log())?).into())
    }

    /// Ends it with all of its pods. Its logs stay until the next start.
    fn down(&self) -> Result<()> {
        if let Some(process) = self.process() {
            shell::answer(&mut shell::command("kill", [&process]))?;
            if !within(PATIENCE, || !self.is_running()) {
                return Err(format!("process {process} does not end").into());
            }
        }
        remove_network();
        println!("it does not run");
        Ok(())
    }

    fn status(&self) -> Result<ExitCode> {
        if !self.is_running() {
            println!("it does not run");
            return Ok(ExitCode::FAILURE);
        }
        println!("it runs: export KUBECONFIG={}", self.kubeconfig().display());
        for objects in ["nodes", "pods,services"] {
            println!("\n{}", self.kubectl(&["get", objects, "--all-namespaces", "--output=wide"])?);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Kills the API server and starts it over the same data; watches end, pods run on.
    fn restart_api_server(&self) -> Result<()> {
        if !self.is_running() {
            return Err(NOT_RUNNING.into());
        }
        let before = self.logged(RESTARTED);
        let mut control = OpenOptions::new().write(true).open(self.home.join("control"))?;
        control.write_all(b"restart-apiserver\n")?;
        match within(PATIENCE, || self.logged(RESTARTED) > before) {
            true => {
                println!("{RESTARTED}");
                Ok(())
            }
            false => {
                Err(format!("it does not answer: see {}", self.home.join("kube-apiserver.log").display())
                    .into())
            }
        }
    }

    fn kubectl(&self, words: &[&str]) -> Result<String> {
        let mut kubectl = Command::new("kubectl");
        shell::answer(kubectl.env("KUBECONFIG", self.kubeconfig()).args(words))
    }

    fn kubeconfig(&self) -> PathBuf {
        self.home.join("kubeconfig")
    }

    fn log(&self) -> PathBuf {
        self.home.join("cluster.log")
    }

    /// How often its log has `text`.
    fn logged(&self, text: &str) -> usize {
        fs::read_to_string(self.log()).map_or(0, |log| log.matches(text).count())
    }

    fn is_running(&self) -> bool {
        self.process().is_some()
    }

    /// Its process, unless that has ended and its number is another one's now.
    fn process(&self) -> Option<String> {
        let number = fs::read_to_string(self.home.join("pid")).ok()?;
        let command = fs::read_to_string(format!("/proc/{number}/cmdline")).ok()?;
        command.contains(&*self.home.to_string_lossy()).then_some(number)
    }

    fn clear(&self) -> Result<()> {
        remove_network();
        match fs::remove_dir_all(&self.home) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("cannot remove `{}`: {error}", self.home.display()).into())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The programs that a cluster is made from.
struct Images {
    cluster: PathBuf,
    sidecar: PathBuf,
    nft: PathBuf,
}

fn build() -> Result<Images> {
    println!("building the cluster and the sidecar (minutes, the first time)");
    let finished = shell::run(shell::cargo(["build", "--package", "svc-cluster", "--package", "sidecar"]));
    if !finished.success {
        return Err(finished.output.into());
    }
    let nft = packages::find("nft").ok_or("no `nft`")?;
    let folder = place::target().join("debug");
    Ok(Images { cluster: folder.join("cluster"), sidecar: folder.join("sidecar"), nft })
}

/// A network of the cluster's own, with a link to this machine by which its nodes and pods are reached.
fn make_network() -> Result<()> {
    let script = format!(
        "ip netns add {NETWORK}
         ip link add {NETWORK} type veth peer name host netns {NETWORK}
         ip addr add {HERE}/30 dev {NETWORK}; ip link set {NETWORK} up
         ip -n {NETWORK} addr add {THERE}/30 dev host; ip -n {NETWORK} link set host up
         ip route add 10.244.0.0/16 via {THERE}"
    );
    shell::answer(shell::command("sh", ["-ec"]).arg(script)).map(drop)
}

fn remove_network() {
    shell::run(shell::command("ip", ["netns", "delete", NETWORK])); // the link and the route end with it
}

/// The name of the network namespace and of the link to it.
const NETWORK: &str = "svc-cluster";
/// Both ends of the link, of the pods' range but beyond the addresses that pods get.
const HERE: &str = "10.244.255.1";
const THERE: &str = "10.244.255.2";

/// The line of the log that tells that the API server answers again.
const RESTARTED: &str = "restart-apiserver: done";
const NOT_RUNNING: &str = "no cluster runs: cargo xtask cluster up";

/// How long a control plane may take on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(120);

/// The programs that a cluster runs pods with, and of which its images are made.
pub(crate) const PROGRAMS: &[Program] = &[
    Program { name: "busybox", package: "busybox-static" },
    Program { name: "ip", package: "iproute2" },
    Program { name: "nft", package: "nftables" },
    Program { name: "nginx", package: "nginx-light" },
    Program { name: "runc", package: "runc" },
    Program { name: "setpriv", package: "util-linux" },
];
