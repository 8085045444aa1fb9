//! The sidecar of the demo: this binary again, as `sidecar run`.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use svc_proto::services::Document;
use tokio::time::sleep;

use super::folder::DemoFolder;
use super::ports::DemoPorts;
use super::shell;
use crate::error::RunError;

/// A running sidecar; it ends when this is dropped.
pub(super) struct Sidecar(Child);

/// The loopback VIP of each Service, by its name.
pub(super) type Vips = BTreeMap<String, IpAddr>;

impl Sidecar {
    /// Starts it over the manifests in `folder`. Of our own environment it sees nothing: what runs is what is said here.
    pub(super) fn start(folder: &DemoFolder, ports: &DemoPorts) -> io::Result<Sidecar> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("run").arg("--manifests").arg(folder.manifests());
        command.args(["--discovery=manifests", "--namespace=demo", "--allow-loopback-endpoints"]);
        command.args(["--outbound=off", "--inbound=off", "--loopback-vips=on", "--access-log=common"]);
        command.arg(format!("--forward-proxy=127.0.0.1:{}", ports.forward_proxy));
        command.arg(format!("--admin=127.0.0.1:{}", ports.pages));
        command.env_clear().stdin(Stdio::null());
        command.stdout(folder.log("access.log")?).stderr(folder.log("sidecar.log")?);
        command.spawn().map(Sidecar)
    }

    /// Waits until it carries traffic.
    pub(super) async fn ready(&mut self, folder: &DemoFolder, ports: &DemoPorts) -> Result<(), RunError> {
        for _ in 0..READY_LOOKS {
            let ended = self.0.try_wait().map_err(RunError::because("cannot watch the sidecar"))?;
            if let Some(status) = ended {
                let log = std::fs::read_to_string(folder.path().join("sidecar.log")).unwrap_or_default();
                return Err(RunError::because(format!("the sidecar ended with {status}"))(log));
            }
            let asked = page(ports, "readyz", folder.path()).await;
            if asked.map_err(RunError::because("cannot ask the sidecar"))?.success {
                return Ok(());
            }
            sleep(READY_LOOK).await;
        }
        Err(RunError::because("the sidecar does not become ready")("it had ten seconds"))
    }

    /// Where its Services are, inside this machine.
    pub(super) async fn vips(&self, ports: &DemoPorts) -> Result<Vips, RunError> {
        let act = "cannot read the sidecar's services";
        let page = page(ports, "services", Path::new("/")).await.map_err(RunError::because(act))?;
        let document: Document<'_> = serde_json::from_str(&page.output).map_err(RunError::because(act))?;
        let vip = |service: svc_proto::services::Service<'_>| {
            service.loopback_vip.map(|vip| (service.name.into_owned(), vip))
        };
        Ok(document.services.into_iter().filter_map(vip).collect())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it has ended already
        let _ = self.0.wait();
    }
}

async fn page(ports: &DemoPorts, name: &str, folder: &Path) -> io::Result<shell::Finished> {
    shell::run(format!("curl -sf http://127.0.0.1:{}/{name}", ports.pages), folder).await
}

/// 200 × 50 ms = 10 s, of which it needs a tenth of one.
const READY_LOOKS: u32 = 200;
const READY_LOOK: Duration = Duration::from_millis(50);
