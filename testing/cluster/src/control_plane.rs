//! etcd, kube-apiserver and kube-controller-manager, as processes that end with this one.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::{Access, Result, node};

/// The settings of a control plane.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder with the three programs.
    pub assets: PathBuf,
    /// The folder for its files, among them `kubeconfig`.
    pub home: PathBuf,
    /// Further options of the API server.
    pub options: Vec<String>,
    /// Whether the controllers run. Without them only what is written is there.
    pub controllers: bool,
}

/// A running control plane.
pub struct ControlPlane {
    settings: Settings,
    access: Access,
    api_server: Option<Child>,
    _etcd: Child,
    _controllers: Option<Child>,
}

/// The cluster IP of the name server.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

const PORT: u16 = 6443;
const TOKEN: &str = "admin-token";

impl ControlPlane {
    /// Starts them over an empty store. With controllers it waits until there is a service account to run pods under.
    ///
    /// # Errors
    /// A program is not there, or is not ready in a minute.
    pub async fn start(settings: Settings) -> Result<ControlPlane> {
        let home = &settings.home;
        fs::create_dir_all(home)?;
        certify(home)?;
        let access = Access {
            server: format!("https://{}:{PORT}", node::ADDRESS),
            authority: home.join("ca.crt"),
            token: TOKEN.to_owned(),
        };
        fs::write(home.join("tokens.csv"), format!("{TOKEN},admin,1,\"system:masters\"\n"))?;
        fs::write(home.join("kubeconfig"), kubeconfig(&access))?;
        let etcd = start(&settings, "etcd", &etcd(home))?;
        let api_server = start_api_server(&settings, &access).await?;
        let controllers = match settings.controllers {
            true => Some(start_controllers(&settings, &access).await?),
            false => None,
        };
        let api_server = Some(api_server);
        Ok(ControlPlane { settings, access, api_server, _etcd: etcd, _controllers: controllers })
    }

    /// The address and the token of its administrator.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The process of the API server, while it runs.
    pub fn api_server(&self) -> Option<u32> {
        self.api_server.as_ref().and_then(Child::id)
    }

    /// Kills the API server, and starts it over the same data.
    ///
    /// # Errors
    /// It is not ready in a minute.
    pub async fn restart_api_server(&mut self) -> Result<()> {
        self.stop_api_server().await?;
        self.start_api_server().await
    }

    /// Executes the commands that are written to the pipe `control` in its folder, a line each: `stop-apiserver` kills the API server,
    /// `start-apiserver` starts it over the same data, `restart-apiserver` does both.
    ///
    /// # Errors
    /// The pipe cannot be made, or the API server is not ready in a minute.
    pub async fn follow_commands(&mut self) -> Result<()> {
        let path = self.settings.home.join("control");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        let pipe = pipe::OpenOptions::new().read_write(true).open_receiver(&path)?; // with a writer of its own it has no end
        let mut lines = BufReader::new(pipe).lines();
        while let Some(line) = lines.next_line().await? {
            match line.as_str() {
                "stop-apiserver" => self.stop_api_server().await?,
                "start-apiserver" => self.start_api_server().await?,
                "restart-apiserver" => self.restart_api_server().await?,
                unknown => {
                    eprintln!("unknown command {unknown:?}");
                    continue;
                }
            }
            eprintln!("{line}: done");
        }
        Ok(())
    }

    async fn stop_api_server(&mut self) -> Result<()> {
        if let Some(mut api_server) = self.api_server.take() {
            api_server.kill().await?;
        }
        Ok(())
    }

    async fn start_api_server(&mut self) -> Result<()> {
        if self.api_server.is_none() {
            self.api_server = Some(start_api_server(&self.settings, &self.access).await?);
        }
        Ok(())
    }
}

async fn start_controllers(settings: &Settings, access: &Access) -> Result<Child> {
    let process = start(settings, "kube-controller-manager", &controllers(settings))?;
    let accounts: Api<ServiceAccount> = Api::namespaced(access.client()?, "default");
    patiently("the service account", async || accounts.get_opt("default").await.ok().flatten().map(drop))
        .await?;
    Ok(process)
}

/// Starts the API server, and waits until it answers.
async fn start_api_server(settings: &Settings, access: &Access) -> Result<Child> {
    let mut server = start(settings, "kube-apiserver", &api_server(settings))?;
    until_ready(&access.client()?, &mut server).await?;
    Ok(server)
}

async fn until_ready(client: &Client, server: &mut Child) -> Result<()> {
    patiently("the API server", async || {
        if server.try_wait().ok().flatten().is_some() {
            return Some(Err("the API server has ended: see its log"));
        }
        let request = hyper::Request::get("/readyz").body(Vec::new()).ok()?;
        client.request_text(request).await.ok().map(|_| Ok(()))
    })
    .await?
    .map_err(Into::into)
}

async fn patiently<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(answer) = probe().await {
            return Ok(answer);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{what} is not ready after {} s", PATIENCE.as_secs()).into())
}

/// How long a program may take to start on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(settings: &Settings, program: &str, arguments: &[String]) -> Result<Child> {
    let path = settings.assets.join(program);
    let log = File::options().create(true).append(true).open(settings.home.join(format!("{program}.log")))?;
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL").arg(&path).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command.spawn().map_err(|error| format!("cannot start `{}`: {error}", path.display()))?)
}

fn etcd(home: &Path) -> Vec<String> {
    let data = format!("--data-dir={}", home.join("etcd").display());
    let fixed = [
        "--log-level=warn",
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ];
    fixed.into_iter().map(str::to_owned).chain([data]).collect()
}

fn api_server(settings: &Settings) -> Vec<String> {
    let file = |name: &str| settings.home.join(name).display().to_string();
    let mut options = vec![
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        "--bind-address=0.0.0.0".to_owned(),
        format!("--advertise-address={}", node::ADDRESS),
        format!("--secure-port={PORT}"),
        "--authorization-mode=RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--enable-aggregator-routing=true".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/12,fd00:10:96::/112".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--profiling=false".to_owned(),
        format!("--tls-cert-file={}", file("api.crt")),
        format!("--tls-private-key-file={}", file("api.key")),
        format!("--token-auth-file={}", file("tokens.csv")),
        format!("--service-account-key-file={}", file("account.pub")),
        format!("--service-account-signing-key-file={}", file("account.key")),
        format!("--cert-dir={}", file("certificates")),
    ];
    options.extend(gates(&settings.assets));
    options.extend_from_slice(&settings.options);
    options
}

fn controllers(settings: &Settings) -> Vec<String> {
    let file = |name: &str| settings.home.join(name).display().to_string();
    let mut options = vec![
        "--leader-elect=false".to_owned(),
        format!("--controllers={CONTROLLERS}"),
        format!("--kubeconfig={}", file("kubeconfig")),
        format!("--service-account-private-key-file={}", file("account.key")),
        format!("--root-ca-file={}", file("ca.crt")),
    ];
    options.extend(gates(&settings.assets));
    options
}

const CONTROLLERS: &str = "endpoint,endpointslice,endpointslicemirroring,namespace,serviceaccount,serviceaccount-token,\
    root-ca-cert-publisher,garbagecollector,replicaset,deployment,job,statefulset,daemonset";

/// The feature gates that versions before 1.22 need, as a flag. Later versions have these features, and refuse the names of some.
fn gates(assets: &Path) -> Option<String> {
    let version = std::process::Command::new(assets.join("kube-apiserver")).arg("--version").output().ok()?;
    let minor = minor(&String::from_utf8_lossy(&version.stdout))?;
    (minor < 22).then(|| format!("--feature-gates={GATES}"))
}

/// `Kubernetes v1.20.2` → 20.
fn minor(version: &str) -> Option<u32> {
    let (_, numbers) = version.split_once('v')?;
    numbers.split('.').nth(1)?.parse().ok()
}

const GATES: &str = "BoundServiceAccountTokenVolume=true,EndpointSliceNodeName=true,\
    EndpointSliceTerminatingCondition=true,IPv6DualStack=true";

/// An authority, the API server's certificate, and the key that signs service accounts' tokens.
fn certify(home: &Path) -> Result<()> {
    let mut authority = CertificateParams::new([])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?;
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "10.96.0.1",
    ];
    let names = names.map(str::to_owned).into_iter().chain([node::ADDRESS.to_string()]);
    let mut server = CertificateParams::new(names.collect::<Vec<_>>())?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = server.signed_by(&key, &authority)?;
    let account = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    for (name, text) in [
        ("ca.crt", authority.pem()),
        ("api.crt", certificate.pem()),
        ("api.key", key.serialize_pem()),
        ("account.key", account.serialize_pem()),
        ("account.pub", account.public_key_pem()),
    ] {
        fs::write(home.join(name), text)?;
    }
    Ok(())
}

fn kubeconfig(access: &Access) -> String {
    let (server, authority, token) = (&access.server, &access.authority, &access.token);
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: cluster\n\
         clusters: [{{ name: cluster, cluster: {{ server: {server:?}, certificate-authority: {authority:?} }} }}]\n\
         users: [{{ name: admin, user: {{ token: {token} }} }}]\n\
         contexts: [{{ name: cluster, context: {{ cluster: cluster, user: admin }} }}]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_version_is_read() {
        assert_eq!(minor("Kubernetes v1.20.2-bp1\n"), Some(20));
        assert_eq!(minor("Kubernetes v1.36.0\n"), Some(36));
        assert_eq!(minor(""), None);
    }
}
