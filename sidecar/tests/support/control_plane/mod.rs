//! A Kubernetes API server with etcd behind it and the real controllers beside it: no node, no pod.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use tempfile::TempDir;

use super::namespace::here_also_is;
use super::process::folder;
use super::time::within;
use super::{Authority, Process, curl};

mod client;
mod outage;
mod programs;

pub(crate) use client::ApiClient;
pub(crate) use outage::{Held, Outage};
use programs::ADMIN_TOKEN;

/// A control plane in the namespace of the caller, at fixed ports.
///
/// Sidecars reach the API server by the address of its Service ([`ControlPlane::VARIABLES`]), the test and the controllers by 127.0.0.1.
pub(crate) struct ControlPlane {
    home: TempDir,
    authority: Authority,
    options: Vec<String>,
    api_server: Option<Process>,
    controllers: Option<Process>,
    etcd: Process,
}

impl ControlPlane {
    /// Starts all three, and waits until there is a service account to run under. `options` are for the API server.
    pub(crate) fn start(options: &[&str]) -> ControlPlane {
        here_also_is(SERVICE_ADDRESS);
        let home = folder();
        let etcd = Process::start("etcd", folder(), programs::etcd(home.path()));
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let authority = Authority::new();
        let mut plane = ControlPlane { home, authority, options, api_server: None, controllers: None, etcd };
        plane.write_files();
        plane.start_api_server();
        plane.controllers =
            Some(Process::start("controllers", folder(), programs::controllers(plane.home.path())));
        within(PATIENCE, "there is a service account", || {
            plane.try_kubectl(&["get", "serviceaccount", "default"])
        });
        plane
    }

    /// Starts it again where it was, over the same data, and waits until it answers.
    pub(crate) fn start_api_server(&mut self) {
        let command = programs::api_server(self.home.path(), &self.options);
        let mut process = Process::start("kube-apiserver", folder(), command);
        within(PATIENCE, "the API server answers", || {
            assert!(process.is_running(), "it has ended: {}", process.log());
            self.try_kubectl(&["get", "--raw", "/readyz"])
        });
        self.api_server = Some(process);
    }

    /// Ends it as a machine does that loses its power.
    pub(crate) fn kill_api_server(&mut self) {
        self.api_server = None;
    }

    /// What the API server has logged since its last start.
    pub(crate) fn api_server_log(&self) -> String {
        self.api_server.as_ref().map_or_else(String::new, Process::log)
    }

    /// Lets one request take all the time there is, of an API server that has been started with `--max-requests-inflight=1`:
    /// others but those of the administrator get a 429.
    pub(crate) fn hold_a_request(&self) -> Held<'_> {
        let token = fs::read_to_string(self.home.path().join("account/token")).expect("there is an account");
        let (authority, token) = (self.file("ca.crt"), format!("Authorization: Bearer {token}"));
        let url = "https://127.0.0.1:6443/api/v1/namespaces/default/services?limit=1";
        Held::by(&self.etcd, &["--cacert", &authority, "-H", &token, url])
    }

    /// Makes etcd forget all versions but the present one.
    pub(crate) fn compact(&self) {
        let etcd = |method: &str, request: &str| {
            let url = format!("http://127.0.0.1:2379/v3/kv/{method}");
            let answer = curl(&["--json", request, &url]);
            assert_eq!(answer.status, 200, "{}", answer.body);
            serde_json::from_str::<serde_json::Value>(&answer.body).expect("it speaks JSON")
        };
        let header = &etcd("range", r#"{"key":"AA=="}"#)["header"];
        etcd("compaction", &format!(r#"{{"revision":{},"physical":true}}"#, header["revision"]));
    }

    /// A connection to the API server.
    pub(crate) fn client(&self) -> ApiClient {
        ApiClient::connect(&self.authority.pem())
    }

    /// Loses what sidecars and the API server send to each other without a word.
    pub(crate) fn blackhole(&self) -> Outage {
        Outage::silent()
    }

    /// Refuses the connections of sidecars to the API server.
    pub(crate) fn refuse_connections(&self) -> Outage {
        Outage::refused()
    }

    /// Applies YAML.
    pub(crate) fn apply(&self, text: &str) {
        self.write("applied.yaml", text);
        self.kubectl(&["apply", "-f", &self.file("applied.yaml")]);
    }

    /// The same of what the server may not know yet.
    pub(crate) fn try_apply(&self, text: &str) -> Option<()> {
        self.write("applied.yaml", text);
        self.try_kubectl(&["apply", "-f", &self.file("applied.yaml")])
    }

    /// Gives the objects the status that they have in this YAML, as the kubelet does.
    pub(crate) fn replace_status(&self, text: &str) {
        self.write("status.yaml", text);
        self.kubectl(&["replace", "--subresource=status", "-f", &self.file("status.yaml")]);
    }

    /// What kubectl answers.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output =
            programs::kubectl(self.home.path()).args(arguments).output().expect("kubectl is installed");
        let (answer, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {} failed: {error}", arguments.join(" "));
        answer.into_owned()
    }

    /// Whether pods of the namespace `default` may list a resource.
    pub(crate) fn allows_sidecars_to_list(&self, resource: &str) -> bool {
        let user =
            ["--as=system:serviceaccount:default:default", "--as-group=system:serviceaccounts:default"];
        self.try_kubectl(&[&["auth", "can-i", "list", resource], &user[..]].concat()).is_some()
    }

    /// The folder of a service account, as a pod of the namespace `default` has it, with a new token.
    pub(crate) fn service_account(&self) -> PathBuf {
        let folder = self.home.path().join("account");
        fs::create_dir_all(&folder).expect("the folder is ours");
        let token = self.kubectl(&["create", "token", "default"]);
        for (name, text) in
            [("ca.crt", self.authority.pem().as_str()), ("namespace", "default"), ("token", &token)]
        {
            let new = folder.join(format!(".{name}"));
            fs::write(&new, text).expect("the folder is ours");
            fs::rename(new, folder.join(name)).expect("a rename within one folder");
        }
        folder
    }

    /// Makes all tokens of service accounts invalid, by making the account anew.
    pub(crate) fn replace_service_account(&self) {
        self.kubectl(&["delete", "serviceaccount", "default"]);
        within(PATIENCE, "there is a service account again", || {
            self.try_kubectl(&["get", "serviceaccount", "default"])
        });
    }

    /// Gives the API server a certificate of another authority, from its next start.
    pub(crate) fn replace_authority(&mut self) {
        self.authority = Authority::new();
        self.write_certificate();
    }

    /// How pods are told where the API server is.
    pub(crate) const VARIABLES: [(&str, &str); 2] =
        [("KUBERNETES_SERVICE_HOST", SERVICE_ADDRESS), ("KUBERNETES_SERVICE_PORT", "6443")];

    fn try_kubectl(&self, arguments: &[&str]) -> Option<()> {
        let output = programs::kubectl(self.home.path()).args(arguments).output();
        output.is_ok_and(|output| output.status.success()).then_some(())
    }

    fn write_files(&self) {
        let account = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("there is randomness");
        self.write("account.key", &account.serialize_pem());
        self.write("account.pub", &account.public_key_pem());
        self.write("tokens.csv", &format!("{ADMIN_TOKEN},admin,1,\"system:masters\"\n"));
        self.write("kubeconfig", &programs::kubeconfig(self.home.path()));
        self.write_certificate();
    }

    fn write_certificate(&self) {
        let names = ["kubernetes", "kubernetes.default.svc", "127.0.0.1", SERVICE_ADDRESS];
        let pair = self.authority.certify(&names);
        self.write("ca.crt", &self.authority.pem());
        self.write("api.crt", &pair.certificate);
        self.write("api.key", &pair.key);
    }

    /// The path of a file of all three.
    fn file(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).expect("the folder is ours");
    }
}

/// The address of the Service `kubernetes`: the first of the range.
const SERVICE_ADDRESS: &str = "10.96.0.1";

/// How long a control plane may take to start on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(60);
