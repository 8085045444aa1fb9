//! The API server under measurement.

use std::fs;
use std::ops::Sub;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hyper::Request;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use kube::Client;
use serde_json::Value;
use svc_cluster::Result;
use svc_cluster::control_plane::{ControlPlane, Settings};
use tokio::time::{Instant, sleep};

use crate::watchers::ALL_SLICES;

/// Where watchers connect to; this program's own requests go to another address, and are not counted.
pub(crate) const HOST: &str = "10.96.0.1";
pub(crate) const PORT: u16 = 6443;
pub(crate) const URL: &str = "https://10.96.0.1:6443";

/// A control plane without controllers.
pub(crate) struct Server {
    plane: ControlPlane,
    client: Client,
    audit_log: PathBuf,
}

/// In whose name an object is written; `managedFields` has it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Author {
    User,
    Controller,
}

/// What the server has spent so far.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    at: Instant,
    cpu: Duration,
    /// Of resident memory.
    peak_kib: f64,
    /// Sent to the watchers that are connected.
    pub(crate) bytes: u64,
    /// Begun by watchers.
    pub(crate) requests: usize,
}

/// What it takes by itself: CPU seconds in a second, and resident memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    cpu: f64,
    rss_kib: f64,
}

/// What it has spent between two samples.
#[derive(Debug)]
pub(crate) struct Spent {
    time: Duration,
    pub(crate) cpu: f64,
    /// The peak of its memory up to the second.
    pub(crate) peak_kib: f64,
    pub(crate) bytes: u64,
    pub(crate) requests: usize,
}

impl Server {
    pub(crate) async fn start(assets: &Path, home: &Path) -> Result<Server> {
        fs::create_dir_all(home)?;
        let (policy, audit_log) = (home.join("audit.yaml"), home.join("audit.log"));
        fs::write(&policy, AUDIT_POLICY)?;
        let options = vec![
            format!("--audit-policy-file={}", policy.display()),
            format!("--audit-log-path={}", audit_log.display()),
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/20".to_owned(), // a Service's creation writes the bitmap of all addresses
        ];
        let (assets, home) = (assets.to_owned(), home.to_owned());
        let plane = ControlPlane::start(Settings { assets, home, options, controllers: false }).await?;
        let client = plane.access().client()?;
        Ok(Server { plane, client, audit_log })
    }

    /// Kills it and starts it over the same data: what former watchers left in its memory is gone.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.plane.restart_api_server().await?;
        self.client = self.plane.access().client()?;
        sleep(STARTED).await;
        Ok(())
    }

    /// What it takes by itself.
    pub(crate) async fn idle(&self) -> Result<Idle> {
        let before = self.sample()?;
        sleep(IDLE).await;
        let spent = self.sample()? - before;
        let rss_kib = status_kib(self.process()?, "VmRSS:")?;
        Ok(Idle { cpu: spent.cpu / spent.time.as_secs_f64(), rss_kib })
    }

    /// Lets the peak of its memory begin anew.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.process()?), "5")?)
    }

    fn process(&self) -> Result<u32> {
        Ok(self.plane.api_server().ok_or("the API server does not run")?)
    }

    pub(crate) async fn version(&self) -> Result<String> {
        let version: Value = self.client.request(Request::get("/version").body(Vec::new())?).await?;
        Ok(version["gitVersion"].as_str().unwrap_or("of unknown version").to_owned())
    }

    /// The version of a list of all slices that is made now.
    pub(crate) async fn slices_version(&self) -> Result<String> {
        let list: Value =
            self.client.request(Request::get(format!("{ALL_SLICES}?limit=1")).body(Vec::new())?).await?;
        Ok(list["metadata"]["resourceVersion"].as_str().ok_or("a list without a version")?.to_owned())
    }

    pub(crate) async fn create(&self, path: &str, author: Author, object: &Value) -> Result<Value> {
        self.send(Request::post(path), author, "application/json", object.to_string()).await
    }

    pub(crate) async fn create_yaml(&self, path: &str, object: &str) -> Result<Value> {
        self.send(Request::post(path), Author::User, "application/yaml", object.to_owned()).await
    }

    pub(crate) async fn replace(&self, path: &str, object: &Value) -> Result<Value> {
        self.send(Request::put(path), Author::Controller, "application/json", object.to_string()).await
    }

    async fn send(
        &self,
        request: hyper::http::request::Builder,
        author: Author,
        content: &str,
        body: String,
    ) -> Result<Value> {
        let agent = match author {
            Author::User => "kubectl/v1.20",
            Author::Controller => "kube-controller-manager/v1.20",
        };
        let request = request.header(CONTENT_TYPE, content).header(USER_AGENT, agent);
        Ok(self.client.request(request.body(body.into_bytes())?).await?)
    }

    pub(crate) fn sample(&self) -> Result<Sample> {
        let process = self.process()?;
        Ok(Sample {
            at: Instant::now(),
            cpu: cpu(process)?,
            peak_kib: status_kib(process, "VmHWM:")?,
            bytes: bytes_sent()?,
            requests: fs::read_to_string(&self.audit_log).map_or(0, |log| log.lines().count()),
        })
    }
}

impl Sub for Sample {
    type Output = Spent;

    fn sub(self, before: Sample) -> Spent {
        Spent {
            time: self.at - before.at,
            cpu: (self.cpu - before.cpu).as_secs_f64(),
            peak_kib: self.peak_kib,
            bytes: self.bytes.saturating_sub(before.bytes),
            requests: self.requests - before.requests,
        }
    }
}

impl Spent {
    /// Less what the server would have spent anyway.
    pub(crate) fn without(mut self, idle: Idle) -> Spent {
        self.cpu -= idle.cpu * self.time.as_secs_f64();
        self.peak_kib -= idle.rss_kib;
        self
    }
}

/// CPU time of all its threads. The kernel counts it in nanoseconds; `utime` and `stime` would come in ticks.
fn cpu(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += schedstat.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// A line of its status, see proc(5).
fn status_kib(process: u32, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("proc(5) has it")?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}

/// What the server has sent on the connections of watchers, TLS included.
fn bytes_sent() -> Result<u64> {
    let filter = format!("src {HOST} and sport = {PORT}");
    let output = Command::new("ss").args(["-tinHO", "state", "established", &filter]).output()?;
    let text = String::from_utf8(output.stdout)?;
    text.split_whitespace()
        .filter_map(|word| word.strip_prefix("bytes_sent:"))
        .map(|bytes| Ok(bytes.parse::<u64>()?))
        .sum()
}

/// Only watchers' requests, when they begin: tells how many there were for 50 µs each.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [ResponseStarted, ResponseComplete, Panic]
rules:
- level: None
  userGroups: [\"system:masters\"]
- level: None
  users: [\"system:apiserver\", \"system:anonymous\"]
- level: Metadata
";

/// It has work to do after it is ready.
const STARTED: Duration = Duration::from_secs(5);

const IDLE: Duration = Duration::from_secs(5);
