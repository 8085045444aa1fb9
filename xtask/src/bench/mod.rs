//! What a request costs: CPU time of the proxy per request, beside HAProxy and nginx in the same run.
//!
//! The figure to compare is CPU µs per request: it hardly moves with the load generator or with what else the machine does,
//! where requests per second do both. The proxy has a core of its own; load and backends share another. Peers take turns
//! within each round, so that a slow minute hits all of them, and the median of the rounds counts.

mod api;
mod backends;
mod certificate;
mod envoy;
mod peer;
mod process;
mod scale;
mod scenario;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs};

use crate::packages::{self, Program};
use crate::{Result, place, shell};
use backends::Backends;
use peer::{Kind, Peer};
use scenario::{Figure, Scenario};

/// What to run.
struct Plan {
    scenarios: Vec<Scenario>,
    /// Whether to measure what many Services cost.
    scale: bool,
    /// Whether to measure what the filter costs in Envoy.
    envoy: bool,
    /// Whether to measure what watching the API costs.
    api: bool,
    /// How many watch at once, one after another.
    watchers: String,
    peers: Vec<Kind>,
    rounds: usize,
    time: Duration,
}

/// `cargo xtask bench [SCENARIO…] [scale] [envoy] [api] [--peers a,b] [--rounds N] [--seconds N] [--watchers N,…]`.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let plan = Plan::parse(arguments)?;
    if !packages::is_root() {
        return Err("the bench needs root, for a network namespace of its own".into());
    }
    if !alone()? {
        prepare(&plan)?;
        // From here on in a namespace that has nothing but its loopback interface.
        return Err(Command::new("unshare").args(["--net", "--"]).args(env::args_os()).exec().into());
    }
    ip(&["link", "set", "lo", "up"])?;
    for address in backends::ADDRESSES {
        ip(&["address", "add", address, "dev", "lo"])?;
    }
    let folder = place::cache().join("bench");
    fs::create_dir_all(&folder)?;
    let _backends = Backends::start(&folder)?;
    certificate::make(&folder)?;
    for scenario in &plan.scenarios {
        measure(*scenario, &plan, &folder)?;
    }
    if plan.envoy {
        envoy::run(&folder, plan.rounds, plan.time)?;
    }
    let mut all_hold = true;
    if plan.scale {
        all_hold &= scale::run(&folder, plan.turns())?;
    }
    if plan.api {
        all_hold &= api::run(&folder, &plan.watchers)?;
    }
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Plan {
    fn parse(arguments: &[&str]) -> Result<Plan> {
        let mut plan = Plan {
            scenarios: Vec::new(),
            scale: false,
            envoy: false,
            api: false,
            watchers: api::WATCHERS.to_owned(),
            peers: Vec::new(),
            rounds: 3,
            time: Duration::from_secs(4),
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match *word {
                "--peers" => plan.peers = value()?.split(',').map(Kind::parse).collect::<Result<_>>()?,
                "--rounds" => plan.rounds = value()?.parse()?,
                "--seconds" => plan.time = Duration::from_secs(value()?.parse()?),
                "--watchers" => plan.watchers = (*value()?).to_owned(),
                "scale" => plan.scale = true,
                "api" => plan.api = true,
                "envoy" => plan.envoy = true,
                name => plan.scenarios.push(Scenario::parse(name)?),
            }
        }
        if plan.scenarios.is_empty() && !plan.scale && !plan.envoy && !plan.api {
            plan.scenarios.extend(Scenario::ALL);
        }
        if plan.peers.is_empty() {
            plan.peers.extend(Kind::ALL);
        }
        Ok(plan)
    }

    /// The seconds of load that each peer gets.
    fn turns(&self) -> usize {
        self.rounds * usize::try_from(self.time.as_secs()).unwrap_or(usize::MAX)
    }
}

/// Whether this namespace has no interface but `lo`.
fn alone() -> Result<bool> {
    let interfaces = fs::read_to_string("/proc/net/dev")?;
    Ok(interfaces.lines().filter(|line| line.contains(':')).all(|line| line.trim_start().starts_with("lo:")))
}

/// Installs and builds what the plan needs, while there is still a network.
fn prepare(plan: &Plan) -> Result<()> {
    packages::ensure(PROGRAMS)?;
    if plan.scale {
        packages::ensure(scale::PROGRAMS)?;
        scale::build()?;
    }
    if plan.envoy {
        envoy::prepare()?;
    }
    if plan.api {
        packages::ensure(api::PROGRAMS)?;
        api::prepare()?;
    }
    let is_peer = !plan.scenarios.is_empty() && plan.peers.contains(&Kind::Sidecar);
    if !plan.scale && !plan.api && !is_peer {
        return Ok(());
    }
    eprintln!("building the sidecar (a few minutes the first time)");
    let status = shell::cargo(["build", "--release", "--package", "sidecar"]).status()?;
    if status.success() { Ok(()) } else { Err("the sidecar does not build".into()) }
}

/// The peers, the backends and the load generators.
const PROGRAMS: &[Program] = &[
    Program { name: "h2load", package: "nghttp2-client" },
    Program { name: "haproxy", package: "haproxy" },
    Program { name: "ip", package: "iproute2" },
    Program { name: "openssl", package: "openssl" },
    Program { name: "nghttpd", package: "nghttp2-server" },
    Program { name: "nginx", package: "nginx-light" },
    Program { name: "/usr/lib/nginx/modules/ngx_stream_module.so", package: "libnginx-mod-stream" },
    Program { name: "wrk", package: "wrk" },
];

/// Everything that any of it needs.
pub(crate) fn programs() -> impl Iterator<Item = &'static [Program]> {
    [PROGRAMS, scale::PROGRAMS, envoy::PROGRAMS, api::PROGRAMS].into_iter()
}

fn ip(arguments: &[&str]) -> Result<()> {
    let finished = shell::run({
        let mut command = shell::command("ip", []);
        command.args(arguments);
        command
    });
    if finished.success { Ok(()) } else { Err(finished.output.into()) }
}

/// Runs one scenario against every peer and prints its table.
fn measure(scenario: Scenario, plan: &Plan, folder: &std::path::Path) -> Result<()> {
    println!("\n{scenario}");
    let mut figures: Vec<Vec<Figure>> = plan.peers.iter().map(|_| Vec::new()).collect();
    for _round in 0..plan.rounds {
        for (kind, figures) in plan.peers.iter().zip(&mut figures) {
            let peer = Peer::start(*kind, folder)?;
            figures.push(scenario.measure(&peer, plan.time)?);
        }
    }
    let medians: Vec<Figure> = figures.into_iter().map(Figure::median).collect();
    let haproxy = plan.peers.iter().position(|kind| *kind == Kind::HaProxy).map(|index| medians[index].cost);
    println!("{:10} {:>12} {:>10} {}", "", scenario.unit(), "÷ HAProxy", scenario.load_columns());
    for (kind, figure) in plan.peers.iter().zip(&medians) {
        let ratio = haproxy.map_or_else(|| "–".to_owned(), |haproxy| format!("{:.2}", figure.cost / haproxy));
        println!("{:10} {:12.2} {ratio:>10} {figure}", kind.name(), figure.cost);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_what_it_does_not_know() {
        let error = |arguments: &[&str]| Plan::parse(arguments).err().map(|error| error.to_string());
        assert_eq!(error(&["A", "--peers", "haproxy,sidecar", "--rounds", "1"]), None);
        assert_eq!(
            error(&["Z"]).as_deref(),
            Some("unknown scenario `Z`: one of A B AR D1 E F FK idle conn scale envoy api")
        );
        assert_eq!(
            error(&["--peers", "x"]).as_deref(),
            Some("unknown peer `x`: one of sidecar haproxy nginx")
        );
        assert_eq!(error(&["--rounds"]).as_deref(), Some("--rounds wants a value"));
    }
}
