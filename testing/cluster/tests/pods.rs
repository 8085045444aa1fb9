//! Pods on a real control plane. `cargo xtask test cluster` runs these: they need root, runc, nginx, busybox and kubectl.

use std::fs;
use std::path::Path;

use testing::cluster::{Cluster, PATIENCE};
use testing::network::enter_own_network;
use testing::time::within;

fn start() -> Cluster {
    enter_own_network();
    Cluster::start(Path::new(env!("CARGO_BIN_EXE_cluster")), &[])
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - name: nginx
        image: nginx:1.27
        ports: [{ name: http, containerPort: 80 }]
        readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
";

/// A Job of which the log is what `script` printed.
fn job(name: &str, script: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: {name} }}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      \
         containers: [{{ name: client, image: busybox, command: [sh, -c, {script:?}] }}]\n"
    )
}

#[test]
fn a_client_reaches_the_pods_of_a_deployment_by_the_name_of_their_service() {
    let cluster = start();
    cluster.apply(WEB);
    cluster.until("deployment/web", "{.status.readyReplicas}", "2");
    cluster
        .apply(&job("client", "env; for i in $(seq 40); do wget -qO- http://web/hostname || exit 1; done"));
    cluster.until("job/client", "{.status.succeeded}", "1");
    let log = cluster.kubectl(&["logs", "job/client"]);
    let address = cluster.kubectl(&["get", "service/web", "-o", "jsonpath={.spec.clusterIP}"]);
    assert!(log.contains(&format!("WEB_PORT_80_TCP=tcp://{address}:80\n")), "{log}");
    let pods = cluster.kubectl(&["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}"]);
    let pods: Vec<&str> = pods.split(' ').collect();
    let answers = |pod: &str| log.lines().filter(|line| *line == pod).count();
    // both are chosen, but for one run in 2^39
    assert!(pods.len() == 2 && pods.iter().all(|pod| answers(pod) > 0), "{pods:?}\n{log}");
    assert_eq!(pods.iter().map(|pod| answers(pod)).sum::<usize>(), 40);

    let proxied = format!("/api/v1/namespaces/default/pods/{}:80/proxy/hostname", pods[0]);
    assert_eq!(cluster.kubectl(&["get", "--raw", &proxied]).trim(), pods[0]);

    cluster.kubectl(&["scale", "deployment/web", "--replicas=0"]);
    within(PATIENCE, "no pod is left", || {
        cluster.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]).is_empty().then_some(())
    });
    cluster.apply(&job("late", "wget -qO- http://web/ 2>&1 | grep -o refused"));
    cluster.until("job/late", "{.status.succeeded}", "1");
}

#[test]
fn native_sidecars_start_before_the_application_and_stop_after_it() {
    let cluster = start();
    let told = cluster.folder().join("told");
    let member = |name: &str, rest: &str| {
        let script = format!(
            "trap 'echo {name} stops >> /told/log; exit 0' TERM; echo {name} starts >> /told/log; touch /tmp/up; while :; do sleep 0.1; done"
        );
        format!(
            "  - name: {name}\n    image: busybox\n    command: [sh, -c, {script:?}]\n    {rest}\n    \
             volumeMounts: [{{ name: told, mountPath: /told }}]\n"
        )
    };
    let startup = "startupProbe: { exec: { command: [test, -f, /tmp/up] }, periodSeconds: 1 }";
    let hook = "lifecycle: { preStop: { exec: { command: [sh, -c, 'echo one is told >> /told/log'] } } }";
    let (one, two) = (
        member("one", &format!("restartPolicy: Always\n    {startup}\n    {hook}")),
        member("two", &format!("restartPolicy: Always\n    {startup}")),
    );
    let waits = "lifecycle: { preStop: { exec: { command: [sh, -c, 'until grep -q told /told/log; do sleep 0.1; done'] } } }";
    cluster.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: order }}\nspec:\n  terminationGracePeriodSeconds: 30\n  \
         volumes: [{{ name: told, hostPath: {{ path: {told:?}, type: DirectoryOrCreate }} }}]\n  \
         initContainers:\n{one}{two}  containers:\n{}",
        member("app", waits)
    ));
    let log = told.join("log");
    within(PATIENCE, "all have started", || {
        fs::read_to_string(&log).ok()?.contains("app starts").then_some(())
    });
    cluster.until("pod/order", "{.status.conditions[?(@.type=='Ready')].status}", "True");
    cluster.kubectl(&["delete", "pod", "order", "--timeout=60s"]);
    let log = fs::read_to_string(log).expect("it was there");
    let lines: Vec<&str> = log.lines().collect();
    let expected =
        ["one starts", "two starts", "app starts", "one is told", "app stops", "two stops", "one stops"];
    assert_eq!(lines, expected);
}

#[test]
fn a_container_is_given_and_refused_what_its_pod_says() {
    let cluster = start();
    cluster.apply(
        "
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { mode: fast }
---
apiVersion: v1
kind: Pod
metadata: { name: held, labels: { tier: back } }
spec:
  restartPolicy: Never
  hostAliases: [{ ip: 10.9.8.7, hostnames: [alias.example] }]
  securityContext:
    runAsUser: 65532
    runAsNonRoot: true
    sysctls: [{ name: net.ipv4.ip_unprivileged_port_start, value: '79' }]
  volumes:
  - { name: settings, configMap: { name: settings } }
  - name: told
    projected:
      sources:
      - serviceAccountToken: { path: token, audience: mesh, expirationSeconds: 900 }
      - downwardAPI: { items: [{ path: labels, fieldRef: { fieldPath: metadata.labels } }] }
  containers:
  - name: app
    image: busybox
    env: [{ name: MODE, valueFrom: { configMapKeyRef: { name: settings, key: mode } } }]
    command:
    - sh
    - -c
    - |
      id -u; echo $MODE; cat /settings/mode; echo; cat /told/labels; echo; grep alias /etc/hosts; test -s /told/token && echo token
      touch /file 2>&1; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; grep -E 'CapBnd|NoNewPrivs' /proc/self/status
      wget --no-check-certificate -qO- https://kubernetes.default.svc/version | grep -o gitVersion
      exit 3
    securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
    volumeMounts: [{ name: settings, mountPath: /settings }, { name: told, mountPath: /told }]
",
    );
    cluster.until("pod/held", "{.status.phase}", "Failed");
    cluster.until("pod/held", "{.status.containerStatuses[0].state.terminated.exitCode}", "3");
    let expected = "65532\nfast\nfast\ntier=\"back\"\n10.9.8.7\talias.example\ntoken\n\
        touch: /file: Read-only file system\n79\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\ngitVersion\n";
    assert_eq!(cluster.kubectl(&["logs", "held"]), expected);
}
