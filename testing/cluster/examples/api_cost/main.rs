//! What watching the API costs: `cargo xtask bench api` runs this in a network namespace of its own.
//!
//! Sidecars that use a few Services, beside clients that watch all slices, on one API server whose objects are written by this program.
#![expect(clippy::print_stdout, reason = "the tables go to stdout")]

mod http;
mod kube_client;
mod memory;
mod objects;
mod server;
mod table;
mod updates;
mod watchers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use svc_cluster::Result;
use tokio::time::sleep;

use objects::Objects;
use server::{Idle, Server};
use table::Row;
use watchers::{Watchers, Way};

#[derive(Clone, Debug, Parser)]
enum Verb {
    Measure(Measure),
    KubeClient(kube_client::Arguments),
}

/// Measures what watching the API costs, in the network namespace of the caller.
#[derive(Clone, Debug, Parser)]
struct Measure {
    /// The folder with etcd and kube-apiserver.
    #[arg(long, value_name = "FOLDER")]
    assets: PathBuf,
    /// The folder for all files.
    #[arg(long, value_name = "FOLDER")]
    home: PathBuf,
    /// The sidecar.
    #[arg(long, value_name = "PROGRAM")]
    sidecar: PathBuf,
    /// How many watch at once, one measurement each.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 50, 300])]
    watchers: Vec<usize>,
}

fn main() -> ExitCode {
    let ended = match Verb::parse() {
        Verb::Measure(arguments) => run(&arguments),
        Verb::KubeClient(arguments) => kube_client::run(&arguments),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("api_cost: {error}");
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn run(arguments: &Measure) -> Result<ExitCode> {
    let mut server = Server::start(&arguments.assets, &arguments.home).await?;
    let objects = Objects::write(&server, &arguments.home).await?;
    tokio::spawn(http::serve(objects::PORT));
    println!("\n{}", objects::title(&server.version().await?));

    let holds = memory::compare(arguments, &objects).await?;

    table::head();
    server.restart().await?;
    let idle = server.idle().await?;
    let before = server.sample()?;
    updates::make(&server).await?;
    table::alone(&(server.sample()? - before).without(idle));
    for way in Way::ALL {
        server.restart().await?;
        let idle = server.idle().await?;
        for &count in arguments.watchers.iter().filter(|&&count| count <= way.most()) {
            measure(&server, &objects, arguments, way, count, idle).await?.print();
        }
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts so many watchers, waits until each has its first state, and changes slices.
async fn measure(
    server: &Server,
    objects: &Objects,
    arguments: &Measure,
    way: Way,
    count: usize,
    idle: Idle,
) -> Result<Row> {
    server.forget_peak()?;
    let before = server.sample()?;
    let starts = STARTS_MIN.div_ceil(count);
    let mut watchers = Watchers::start(way, count, server, objects, arguments).await?;
    for _ in 1..starts {
        drop(watchers);
        watchers = Watchers::start(way, count, server, objects, arguments).await?;
    }
    sleep(SETTLED).await;
    let synced = server.sample()?;
    let updated = updates::make(server).await?;
    let after = server.sample()?;
    let events = updated.iter().map(|service| watchers.watching(*service)).sum::<usize>();
    drop(watchers);
    sleep(SETTLED).await;
    Ok(Row {
        way,
        count,
        starts,
        sync_bytes: synced.bytes,
        sync: (synced.clone() - before).without(idle),
        events,
        updates: (after - synced).without(idle),
    })
}

/// The start of one costs the server no more than what it does by itself meanwhile.
const STARTS_MIN: usize = 10;

/// After the last answer that a client waits for, watches are opened.
const SETTLED: Duration = Duration::from_secs(1);
