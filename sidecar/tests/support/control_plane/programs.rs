//! The command lines of the three programs.

use std::path::Path;
use std::process::Command;

use crate::support::process::peer;

/// etcd, with its data in `home`.
pub(super) fn etcd(home: &Path) -> Command {
    let mut command = asset("etcd");
    command.arg("--data-dir").arg(home.join("etcd")).args([
        "--log-level=warn",
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ]);
    command
}

/// The API server, with the files in `home` and these further options.
pub(super) fn api_server(home: &Path, options: &[String]) -> Command {
    let file = |name: &str| home.join(name).display().to_string();
    let mut command = asset("kube-apiserver");
    command.args([
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        "--advertise-address=10.1.0.2",
        "--secure-port=6443",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/12,fd00:10:96::/108",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--profiling=false",
        FEATURES,
        &format!("--tls-cert-file={}", file("api.crt")),
        &format!("--tls-private-key-file={}", file("api.key")),
        &format!("--token-auth-file={}", file("tokens.csv")),
        &format!("--service-account-key-file={}", file("account.pub")),
        &format!("--service-account-signing-key-file={}", file("account.key")),
        &format!("--cert-dir={}", file("certificates")),
    ]);
    command.args(options);
    command
}

/// The controllers that endpoints come from, and those of service accounts.
pub(super) fn controllers(home: &Path) -> Command {
    let file = |name: &str| home.join(name).display().to_string();
    let mut command = asset("kube-controller-manager");
    command.args([
        "--leader-elect=false",
        "--controllers=endpoint,endpointslice,endpointslicemirroring,namespace,serviceaccount,serviceaccount-token",
        FEATURES,
        &format!("--kubeconfig={}", file("kubeconfig")),
        &format!("--service-account-private-key-file={}", file("account.key")),
        &format!("--root-ca-file={}", file("ca.crt")),
    ]);
    command
}

/// kubectl as the administrator.
pub(super) fn kubectl(home: &Path) -> Command {
    let mut kubectl = Command::new("kubectl");
    kubectl.arg("--kubeconfig").arg(home.join("kubeconfig")).arg("--cache-dir").arg(home.join("cache"));
    kubectl
}

/// The kubeconfig of the administrator.
pub(super) fn kubeconfig(home: &Path) -> String {
    let authority = home.join("ca.crt");
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{ name: test, cluster: {{ server: 'https://127.0.0.1:6443', certificate-authority: {authority:?} }} }}]\n\
         users: [{{ name: admin, user: {{ token: {ADMIN_TOKEN} }} }}]\n\
         contexts: [{{ name: test, context: {{ cluster: test, user: admin }} }}]\n"
    )
}

/// The token of the administrator.
pub(super) const ADMIN_TOKEN: &str = "admin-token";

/// On by default in later versions.
const FEATURES: &str =
    "--feature-gates=EndpointSliceNodeName=true,EndpointSliceTerminatingCondition=true,IPv6DualStack=true";

/// One of the programs that `cargo xtask test cluster` has found or built.
#[expect(clippy::disallowed_methods, reason = "how a test is told where its peers are")]
fn asset(program: &str) -> Command {
    let folder = std::env::var("KUBEBUILDER_ASSETS").expect("`cargo xtask test cluster` names the folder");
    peer(&format!("{folder}/{program}"))
}
