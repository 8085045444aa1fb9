//! One file for each Service, as `kubectl get -o yaml` and people would write it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::backends::{ADDRESSES, H1_PORT};
use crate::Result;

/// A folder of manifests: Services that nobody talks to, `load` that everybody talks to, and `moving`.
pub(super) struct Manifests {
    folder: PathBuf,
}

impl Manifests {
    /// Writes them, `services` in all.
    pub(super) fn write(folder: &Path, services: usize) -> Result<Manifests> {
        fs::create_dir_all(folder)?;
        let manifests = Manifests { folder: folder.to_owned() };
        for index in 0..services - 2 {
            let (name, first) = (format!("svc-{index:05}"), index * ENDPOINTS);
            let endpoints = (first..first + ENDPOINTS).map(address);
            fs::write(manifests.file(&name), service(&name, 8080, endpoints)?)?;
        }
        let backends = ADDRESSES.map(str::to_owned).into_iter();
        fs::write(manifests.file("load"), service("load", H1_PORT, backends)?)?;
        manifests.move_to(ADDRESSES[0])?;
        Ok(manifests)
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// Makes `endpoint` the only one of `moving`, in one step.
    pub(super) fn move_to(&self, endpoint: &str) -> Result<()> {
        let draft = self.folder.join(".moving");
        fs::write(&draft, service("moving", H1_PORT, [endpoint.to_owned()].into_iter())?)?;
        Ok(fs::rename(draft, self.file("moving"))?)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.yaml"))
    }
}

/// Of each Service that nobody talks to.
pub(super) const ENDPOINTS: usize = 100;

/// A pod's address of its own: 1,000,000 of them fit into 11.0.0.0/8.
fn address(index: usize) -> String {
    format!("11.{}.{}.{}", index >> 16, index >> 8 & 0xff, index & 0xff)
}

fn service(name: &str, port: u16, endpoints: impl Iterator<Item = String>) -> Result<String> {
    let mut text = format!(
        "apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector:
    app: {name}
  ports:
  - name: http
    port: 80
    targetPort: {port}
    protocol: TCP
    appProtocol: http
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-x7k2p
  labels:
    kubernetes.io/service-name: {name}
addressType: IPv4
ports:
- name: http
  port: {port}
  protocol: TCP
  appProtocol: http
endpoints:
"
    );
    for (index, address) in endpoints.enumerate() {
        let (node, zone) = (index * 7 % 500, index % 3);
        write!(
            text,
            "- addresses:
  - {address}
  conditions:
    ready: true
    serving: true
    terminating: false
  nodeName: node-{node}
  zone: zone-{zone}
  targetRef:
    kind: Pod
    name: {name}-6d4cf56db6-{index:05}
    namespace: default
"
        )?;
    }
    Ok(text)
}
