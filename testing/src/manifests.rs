//! A folder of manifests, and the two kinds of object that tests write into it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::process::folder;

/// A folder that the sidecar watches. Files appear in it whole, as `kubectl` users' editors and ConfigMap mounts do it.
pub struct Manifests {
    folder: TempDir,
}

impl Manifests {
    /// A folder with one file of these documents.
    pub fn of(documents: &[String]) -> Manifests {
        let manifests = Manifests { folder: folder() };
        manifests.write("test.yaml", &documents.join("---\n"));
        manifests
    }

    /// Makes or replaces the file `name` in one step.
    pub fn write(&self, name: &str, text: &str) {
        let (hidden, path) = (self.folder.path().join(format!(".{name}")), self.folder.path().join(name));
        fs::write(&hidden, text).expect("the folder is ours");
        fs::rename(hidden, path).expect("a rename within one folder");
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A Service `name` of the namespace `default` with one port; `app_protocol` is the API's `appProtocol`.
pub fn service(name: &str, cluster_ips: &[&str], port: u16, app_protocol: &str) -> String {
    let families = cluster_ips.iter().map(|ip| format!("{ip:?}")).collect::<Vec<String>>().join(", ");
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec:\n  clusterIP: {:?}\n  clusterIPs: [{families}]\n  \
         ports: [{{ port: {port}, appProtocol: {app_protocol} }}]\n",
        cluster_ips[0]
    )
}

/// The annotations of a Service whose requests are to be counted, to follow its name in `metadata`.
pub const IN_TURN: &str = "annotations: { svcmesh.dev/load-balancer: rr }";

/// The EndpointSlice of that Service for the endpoints `addresses` (of one family), all ready and all at `port`.
pub fn slice(service: &str, addresses: &[&str], port: u16) -> String {
    let family = if addresses.iter().any(|address| address.contains(':')) { "IPv6" } else { "IPv4" };
    let mut text = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {service}-{}\n  \
         labels: {{ kubernetes.io/service-name: {service} }}\naddressType: {family}\nports: [{{ port: {port} }}]\nendpoints:\n",
        family.to_lowercase()
    );
    for address in addresses {
        writeln!(text, "- addresses: [{address:?}]").expect("a string takes any text");
    }
    text
}
