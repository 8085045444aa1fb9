//! Folders of manifests, as people and the kubelet make them.

use std::fs;
use std::path::Path;

use svc_core::address::ServiceName;
use tempfile::TempDir;

use super::*;
use crate::certificates::Material;

mod folders;
mod formats;
mod mistakes;
mod secrets;
mod watching;

fn open(folder: &Path) -> Manifests {
    Manifests::open(folder, Rules::default()).unwrap()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn service(name: &str, port: u16) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  ports:\n  - port: {port}\n")
}

/// Changes as short texts: `+web:80` (a Service and its ports), `+web/0 10.0.0.1` (a slice), `-web` (gone).
fn shown(changes: Vec<Change>) -> Vec<String> {
    changes.into_iter().map(|change| show(&change)).collect()
}

fn show(change: &Change) -> String {
    match change {
        Change::Service(ServiceName { name, .. }, None) => format!("-{name}"),
        Change::Service(ServiceName { name, .. }, Some(service)) => {
            let ports: Vec<String> = service.ports.iter().map(|port| port.port.to_string()).collect();
            format!("+{name}:{}", ports.join(","))
        }
        Change::Slice(key, None) => format!("-{}/{}", key.name, key.part),
        Change::Slice(key, Some(slice)) => {
            let addresses: Vec<String> =
                slice.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
            format!("+{}/{} {}", key.name, key.part, addresses.join(","))
        }
        Change::Endpoints(..) | Change::Name(..) | Change::Here(_) => unreachable!("files know no DNS"),
    }
}

fn reasons(manifests: &Manifests) -> Vec<String> {
    manifests
        .rejections()
        .into_iter()
        .map(|rejection| format!("{}: {}", rejection.file, rejection.reason))
        .collect()
}

fn touched(name: &str) -> Touched {
    Touched::Files([name.to_owned()].into())
}
