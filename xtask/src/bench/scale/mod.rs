//! What 10,000 Services cost: to load, to change, to look up in, and each request that goes through.
//!
//! Two sidecars stand beside each other, one with 10 Services and one with 10,000, and get their load in turns of a second.

mod files;
mod lookups;
mod verdict;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::backends::ADDRESSES;
use super::process::{PROXY_CORE, Process};
use super::scenario::{CONNECTIONS_OPEN, wrk};
use crate::clock::{now, within};
use crate::{Result, place};

use files::{ENDPOINTS, Manifests};
pub(super) use lookups::{PROGRAMS, build};
use verdict::Verdicts;

/// Measures everything, and tells what is over its bound. Whether nothing is.
pub(super) fn run(folder: &Path, turns: usize) -> Result<bool> {
    let folder = folder.join("scale");
    let _none = fs::remove_dir_all(&folder);
    let mut verdicts = Verdicts::default();
    println!("\nscale: {MANY} Services × {ENDPOINTS} endpoints in as many files, beside {FEW}");
    let small = Sidecar::start(&folder, FEW, "127.66.1")?;
    let large = Sidecar::start(&folder, MANY, "127.66.2")?;
    let loaded = large.process.cpu()?;
    verdicts.add("loaded, CPU s", loaded.as_secs_f64(), Some(LOAD_CPU_SECONDS));
    verdicts.add("resident memory, MiB", large.process.rss_kib()? / 1024.0, None);

    let mut rewrites = (0..REWRITES).map(|turn| large.rewrite(turn)).collect::<Result<Vec<_>>>()?;
    rewrites.sort_unstable();
    verdicts.add("a rewritten file in use, median ms", ms(rewrites[REWRITES / 2]), Some(REWRITE_MS));
    verdicts.add("a rewritten file in use, maximum ms", ms(rewrites[REWRITES - 1]), None);
    let rewriting = (large.process.cpu()? - loaded) / u32::try_from(REWRITES)?;
    verdicts.add("a rewritten file, CPU ms with asking for it", ms(rewriting), None);

    let (few, many) = costs(&small, &large, turns)?;
    verdicts.add("a request among few, CPU µs", few, None);
    verdicts.add("a request among many ÷ among few", many / few, Some(REQUEST_RATIO));
    drop((small, large));

    for kind in lookups::KINDS {
        let (few, many) = (lookups::instructions(kind, FEW)?, lookups::instructions(kind, MANY)?);
        verdicts.add(&format!("a look-up by {kind} among few, instructions"), few, None);
        verdicts.add(&format!("a look-up by {kind} among many ÷ among few"), many / few, Some(LOOKUP_RATIO));
    }
    fs::remove_dir_all(&folder)?;
    Ok(verdicts.all_hold())
}

const FEW: usize = 10;
const MANY: usize = 10_000;
const REWRITES: usize = 50;

const LOAD_CPU_SECONDS: f64 = 15.0;
const REWRITE_MS: f64 = 200.0;
const REQUEST_RATIO: f64 = 1.05;
const LOOKUP_RATIO: f64 = 1.2;

/// A sidecar that has loaded its manifests.
struct Sidecar {
    process: Process,
    manifests: Manifests,
    /// The first three numbers of its addresses.
    network: &'static str,
}

impl Sidecar {
    fn start(folder: &Path, services: usize, network: &'static str) -> Result<Sidecar> {
        let manifests = Manifests::write(&folder.join(services.to_string()), services)?;
        let (path, admin) = (manifests.path().display().to_string(), format!("{network}.3:15020"));
        let vips = format!("load.default={network}.1,moving.default={network}.2");
        let arguments = ["run", "--discovery", "manifests", "--manifests", &path, "--loopback-vips", &vips];
        let only = [
            "--admin",
            &admin,
            "--outbound",
            "off",
            "--inbound",
            "off",
            "--forward-proxy",
            "off",
            "--log",
            "warn",
        ];
        let arguments = [&arguments[..], &only].concat();
        let program = place::target().join("release/sidecar");
        let process = Process::start(PROXY_CORE, &program, &arguments, folder, &admin)?;
        if within(READY_WITHIN, || get(&admin, "/readyz").is_ok_and(|body| body == "ok\n")) {
            return Ok(Sidecar { process, manifests, network });
        }
        Err(format!("a sidecar with {services} Services does not get ready").into())
    }

    /// From the moment a file says that a Service's only endpoint is another one until that one answers.
    fn rewrite(&self, turn: usize) -> Result<Duration> {
        let endpoint = ADDRESSES[turn % 2];
        self.manifests.move_to(endpoint)?;
        let start = now();
        let vip = format!("{}.2:80", self.network);
        while get(&vip, "/who")? != endpoint {
            if now() - start > READY_WITHIN {
                return Err("a rewritten file is not taken in".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(now() - start)
    }

    /// CPU µs per request in one turn.
    fn cost(&self) -> Result<f64> {
        let before = self.process.cpu()?;
        let requests = wrk(&format!("http://{}.1:80/1", self.network), CONNECTIONS_OPEN, TURN)?;
        Ok((self.process.cpu()? - before).as_secs_f64() * 1e6 / requests)
    }
}

/// Far more than it takes.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// So short that what else the machine does meets both.
const TURN: Duration = Duration::from_secs(1);

/// The medians of what a request costs each of the two. The first turn warms up.
fn costs(small: &Sidecar, large: &Sidecar, turns: usize) -> Result<(f64, f64)> {
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for turn in 0..=turns {
        let (of_few, of_many) = (small.cost()?, large.cost()?);
        if turn > 0 {
            few.push(of_few);
            many.push(of_many);
        }
    }
    Ok((median(few), median(many)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The body of an answer over a connection of its own.
fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
    Ok(body.to_owned())
}
