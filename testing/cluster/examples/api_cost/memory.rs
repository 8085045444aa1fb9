//! What the API costs a sidecar: the memory of one that discovers by it, beside one that does not, and beside kube's client.

use std::fs;
use std::process::Stdio;

use svc_cluster::Result;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::objects::{self, Objects, USED};
use crate::server::URL;
use crate::watchers::Sidecar;
use crate::{Measure, SETTLED};

/// Prints the table. Whether the API costs no more than its bound.
pub(crate) async fn compare(arguments: &Measure, objects: &Objects) -> Result<bool> {
    println!("\nmemory, kB {:40} {:>9} {:>9} {:>9}", "", "RSS", "PSS", "anonymous");
    let services = objects::used_by(0);
    let manifests = objects.manifests(&services)?.display().to_string();
    let by_manifests = ["--discovery", "manifests", "--manifests", &manifests];
    let without = Sidecar::start(0, &["--discovery", "env"], arguments);
    show("sidecar without a source of Services, idle", without, &[]).await?;
    let without = Sidecar::start(0, &by_manifests, arguments);
    let without =
        show(&format!("sidecar with {USED} Services from manifests, used"), without, &services).await?;
    show("sidecar with the API, idle", Sidecar::with_api(0, objects, arguments), &[]).await?;
    let with = Sidecar::with_api(0, objects, arguments);
    let with = show(&format!("sidecar with the API, {USED} Services used"), with, &services).await?;
    let client = kube_client(objects, &services).await?;
    Memory::of(client.id().ok_or("kube's client has ended")?)?.print("kube's client alone, the same watches");
    let more = with.anonymous_kb - without.anonymous_kb;
    let holds = more <= MORE_MAX_KB;
    println!(
        "{:51} {more:29.0} ≤ {MORE_MAX_KB:.0}  {}",
        "more than from manifests",
        if holds { "PASS" } else { "over" }
    );
    Ok(holds)
}

const MORE_MAX_KB: f64 = 1000.0;

async fn show(what: &str, sidecar: Result<Sidecar>, services: &[usize]) -> Result<Memory> {
    let sidecar = sidecar?;
    sidecar.call(services).await?;
    sleep(SETTLED).await;
    let memory = Memory::of(sidecar.id()?)?;
    memory.print(what);
    Ok(memory)
}

async fn kube_client(objects: &Objects, services: &[usize]) -> Result<Child> {
    let namespace = objects::namespace_of(services[0]);
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL").arg(std::env::current_exe()?).args([
        "kube-client",
        "--namespace",
        &namespace,
    ]);
    command.args(["--server", URL]).arg("--account").arg(objects.account(&namespace));
    command.args(services.iter().map(|&service| objects::name(service)));
    let mut client = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let output = client.stdout.take().ok_or("a child without output")?;
    BufReader::new(output).lines().next_line().await?.ok_or("kube's client has ended")?;
    sleep(SETTLED).await;
    Ok(client)
}

/// Memory of a process.
#[derive(Debug)]
struct Memory {
    rss_kb: f64,
    pss_kb: f64,
    anonymous_kb: f64,
}

impl Memory {
    fn of(process: u32) -> Result<Memory> {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let kb = |field: &str| -> Result<f64> {
            let value = text.lines().find_map(|line| line.strip_prefix(field)).ok_or("proc(5) has it")?;
            Ok(value.trim().trim_end_matches(" kB").parse::<f64>()? * 1.024)
        };
        Ok(Memory { rss_kb: kb("Rss:")?, pss_kb: kb("Pss:")?, anonymous_kb: kb("Anonymous:")? })
    }

    fn print(&self, what: &str) {
        let Memory { rss_kb, pss_kb, anonymous_kb } = self;
        println!("{what:51} {rss_kb:9.0} {pss_kb:9.0} {anonymous_kb:9.0}");
    }
}
