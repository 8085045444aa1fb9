//! A Kubernetes cluster with pods, of the program `cluster` (the package `svc-cluster`).

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, folder, peer};
use crate::time::within;

/// A running cluster, in the network namespace of the thread that started it.
pub struct Cluster {
    process: Process,
}

impl Cluster {
    /// Starts `program`, and waits until pods can run. `arguments` come after those that it needs.
    ///
    /// # Panics
    /// No control plane is named by `KUBEBUILDER_ASSETS`, or it is not ready in a minute.
    #[expect(clippy::disallowed_methods, reason = "how a test is told where its peers are")]
    pub fn start(program: &Path, arguments: &[&str]) -> Cluster {
        let assets =
            std::env::var("KUBEBUILDER_ASSETS").expect("`cargo xtask test cluster` names the folder");
        let home = folder();
        let mut command = peer(program.to_str().expect("our own name"));
        command.arg("--home").arg(home.path().join(HOME)).arg("--assets").arg(assets).args(arguments);
        let mut cluster = Cluster { process: Process::start("cluster", home, command) };
        within(PATIENCE, "the cluster is ready", || {
            assert!(cluster.process.is_running(), "it has ended: {}", cluster.process.log());
            cluster.process.log().contains("ready:").then_some(())
        });
        cluster
    }

    /// Its files, and those of the test.
    pub fn folder(&self) -> &Path {
        self.process.folder()
    }

    /// The path of its administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join(HOME).join("kubeconfig")
    }

    /// Applies YAML.
    pub fn apply(&self, text: &str) {
        let file = self.folder().join("applied.yaml");
        fs::write(&file, text).expect("the folder is ours");
        self.kubectl(&["apply", "-f", file.to_str().expect("our own name")]);
    }

    /// The answer of kubectl.
    ///
    /// # Panics
    /// It failed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(self.kubeconfig());
        kubectl.arg("--cache-dir").arg(self.folder().join("cache"));
        let output = kubectl.args(arguments).output().expect("kubectl is installed");
        let (answer, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {} failed: {error}", arguments.join(" "));
        answer.into_owned()
    }

    /// Waits until `object` has the value at the JSON path.
    pub fn until(&self, object: &str, path: &str, expected: &str) {
        let what = format!("{path} of {object} is {expected:?}");
        within(PATIENCE, &what, || {
            let value = self.kubectl(&["get", object, "-o", &format!("jsonpath={path}")]);
            (value == expected).then_some(())
        });
    }

    /// Kills the API server.
    pub fn stop_api_server(&mut self) {
        self.control("stop-apiserver");
    }

    /// Starts the API server over the same data, and waits until it answers.
    pub fn start_api_server(&mut self) {
        self.control("start-apiserver");
    }

    fn control(&mut self, command: &str) {
        let done = format!("{command}: done");
        let times = |log: &str| log.matches(&done).count();
        let before = times(&self.process.log());
        let pipe = fs::OpenOptions::new().write(true).open(self.folder().join(HOME).join("control"));
        writeln!(pipe.expect("the cluster made it"), "{command}").expect("the cluster reads it");
        within(PATIENCE, &done, || (times(&self.process.log()) > before).then_some(()));
    }

    /// The number of a process of that container, as this machine counts.
    pub fn process_of(&self, pod: &str, container: &str) -> u32 {
        let uid = self.kubectl(&["get", "pod", pod, "-o", "jsonpath={.metadata.uid}"]);
        let group = format!("{uid}-{container}-");
        let processes = fs::read_dir("/proc").expect("Linux has it").flatten();
        let of = |entry: fs::DirEntry| {
            let groups = fs::read_to_string(entry.path().join("cgroup")).ok()?;
            groups.contains(&group).then(|| entry.file_name().to_str()?.parse().ok())?
        };
        processes.filter_map(of).min().unwrap_or_else(|| panic!("no process of {container} in {pod}"))
    }
}

/// The cluster's own folder in that of its process.
const HOME: &str = "cluster";

/// How long anything may take on a machine with other work.
pub const PATIENCE: Duration = Duration::from_secs(60);
