//! The tour: what a client with a sidecar sees while its Service changes, as commands to repeat.

use std::process::{Command, ExitCode};
use std::time::Duration;

use super::{Cluster, NOT_RUNNING};
use crate::clock::within;
use crate::{Result, place, shell};

/// Takes the tour. The exit code is 0 when each command printed what it should.
pub(super) fn run(cluster: &Cluster) -> Result<ExitCode> {
    if !cluster.is_running() {
        return Err(NOT_RUNNING.into());
    }
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    let objects = place::root().join("testing/cluster/tour.yaml");
    let of_an_interrupted_tour = ["delete", "--ignore-not-found", "--filename", &objects.to_string_lossy()];
    cluster.kubectl(&of_an_interrupted_tour)?;
    let mut failed = 0;
    for (index, step) in STEPS.iter().enumerate() {
        println!("\n{:2}  {}", index + 1, step.title);
        step.command.lines().for_each(|line| println!("    $ {}", line.trim_start()));
        let (passed, printed) = step.take(cluster);
        printed.lines().for_each(|line| println!("      {line}"));
        println!("    {}", if passed { "passed" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    println!("\n{} of {} passed", STEPS.len() - failed, STEPS.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Step {
    title: &'static str,
    command: &'static str,
    /// Each line that it prints contains one of these, in this order.
    expected: &'static [&'static str],
}

impl Step {
    /// Runs the command, and again until it prints what is expected.
    fn take(&self, cluster: &Cluster) -> (bool, String) {
        let mut printed = String::new();
        let passed = within(PATIENCE, || {
            let mut command = Command::new("sh");
            command.args(["-c", self.command]).current_dir(place::root());
            printed = shell::run({
                command.env("KUBECONFIG", cluster.kubeconfig());
                command
            })
            .output;
            let lines: Vec<&str> = printed.lines().collect();
            lines.len() == self.expected.len()
                && lines.iter().zip(self.expected).all(|(line, expected)| line.contains(expected))
        });
        (passed, printed)
    }
}

const STEPS: &[Step] = &[
    Step {
        title: "A Role for sidecars, a Service with three pods of nginx, and a client with a sidecar beside it",
        command: "kubectl apply -k deploy/rbac/namespaced >/dev/null
            kubectl apply -f testing/cluster/tour.yaml >/dev/null
            kubectl rollout status deployment/web | tail -1
            kubectl wait --for=condition=Ready pod/client",
        expected: &["successfully rolled out", "condition met"],
    },
    Step {
        title: "Thirty requests of the client: ten for each pod",
        command: "kubectl logs client --container=application --tail=30 | sort | uniq -c",
        expected: &["10 web-", "10 web-", "10 web-"],
    },
    Step {
        title: "Scaled to five pods: each answers",
        command: "kubectl scale deployment/web --replicas=5 >/dev/null
            kubectl rollout status deployment/web | tail -1
            kubectl logs client --container=application --tail=25 | sort | uniq | wc -l",
        expected: &["successfully rolled out", "5"],
    },
    Step {
        title: "All pods replaced: no request failed",
        command: "kubectl rollout restart deployment/web >/dev/null
            kubectl rollout status deployment/web | tail -1
            kubectl logs client --container=application | grep -c -v ^web-",
        expected: &["successfully rolled out", "0"],
    },
    Step {
        title: "The API server is restarted: no request failed",
        command: "cargo xtask cluster restart-apiserver 2>/dev/null
            kubectl logs client --container=application | grep -c -v ^web-",
        expected: &[super::RESTARTED, "0"],
    },
    Step {
        title: "Without a pod: the sidecar answers, and says why",
        command: "kubectl delete deployment/web >/dev/null 2>&1
            kubectl logs client --container=application --tail=1",
        expected: &["svcmesh: the Service has no usable endpoint"],
    },
    Step {
        title: "All is removed",
        command: "kubectl delete -f testing/cluster/tour.yaml --ignore-not-found >/dev/null
            kubectl get pods -o name | wc -l",
        expected: &["0"],
    },
];

/// Images start in a second, a rollout of three pods takes ten.
const PATIENCE: Duration = Duration::from_secs(60);
