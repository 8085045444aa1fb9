//! `cluster`: a Kubernetes cluster on one machine, in the foreground.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use svc_cluster::control_plane::{self, ControlPlane, NAME_SERVER};
use svc_cluster::{Result, node};

/// Runs a control plane and nodes until it is stopped, in the network namespace of the caller.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The folder for all files, among them `kubeconfig` and the pipe `control` (stop-apiserver, start-apiserver, restart-apiserver).
    #[arg(long, value_name = "FOLDER")]
    home: PathBuf,
    /// The folder with etcd, kube-apiserver and kube-controller-manager.
    #[arg(long, value_name = "FOLDER")]
    assets: PathBuf,
    /// An image beside `busybox` and `nginx`: a root filesystem, or programs, of which the first is the entry point.
    #[arg(long = "image", value_name = "NAME=PATH[,PATH…]", value_parser = image)]
    images: Vec<(String, Vec<PathBuf>)>,
    /// A zone with a node in it.
    #[arg(long = "zone", value_name = "NAME", default_values = ["a", "b"])]
    zones: Vec<String>,
    /// A further option of the API server.
    #[arg(long = "api-server-option", value_name = "OPTION", allow_hyphen_values = true)]
    options: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match rustix::process::getpid().is_init() {
        true => run(arguments).map(|()| ExitCode::SUCCESS),
        false => run_inside(),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("cluster: {error}");
        ExitCode::FAILURE
    })
}

/// Runs this program again as the first process of a PID namespace, so that all pods and all mounts end with this process, however it ends.
fn run_inside() -> Result<ExitCode> {
    let status = Command::new("setpriv")
        .args(["--pdeathsig=KILL", "unshare", "--pid", "--mount-proc", "--fork", "--kill-child", "--"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .status()
        .map_err(|error| format!("cannot run `setpriv`: {error}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<()> {
    node::prepare().await?;
    let (home, assets, options) = (arguments.home.clone(), arguments.assets, arguments.options);
    let settings = control_plane::Settings { assets, home, options, controllers: true };
    let mut plane = ControlPlane::start(settings).await?;
    let nodes =
        arguments.zones.into_iter().enumerate().map(|(index, zone)| (format!("node-{}", index + 1), zone));
    let settings = node::Settings {
        home: arguments.home.join("node"),
        nodes: nodes.collect(),
        images: arguments.images,
        domain: "cluster.local".to_owned(),
        name_server: NAME_SERVER,
    };
    let kubeconfig = arguments.home.join("kubeconfig");
    let ready = || eprintln!("ready: export KUBECONFIG={}", kubeconfig.display());
    let client = plane.access().client()?;
    tokio::select! {
        ended = Box::pin(node::run(client, settings, ready)) => ended,
        ended = plane.follow_commands() => ended,
    }
}

fn image(text: &str) -> Result<(String, Vec<PathBuf>)> {
    let (name, paths) = text.split_once('=').ok_or("expected NAME=PATH")?;
    let paths = paths.split(',').map(std::path::absolute).collect::<std::io::Result<Vec<PathBuf>>>()?;
    match paths.iter().find(|path| !path.exists()) {
        None => Ok((name.to_owned(), paths)),
        Some(missing) => Err(format!("`{}` does not exist", missing.display()).into()),
    }
}
