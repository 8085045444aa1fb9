//! Probes of containers, and the handlers of their life: exec, HTTP, TCP, gRPC.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{
    Container, ExecAction, HTTPGetAction, HTTPHeader, LifecycleHandler, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::runc::Running;
use super::{Result, oci};

/// What probes found of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Started,
    Ready(bool),
    /// Its liveness or startup probe failed: it is to be stopped.
    Unhealthy,
}

/// The part of a container that probes look at.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) container: Container,
    pub(crate) running: Running,
    pub(crate) address: IpAddr,
}

/// Probes a container until it ends.
pub(crate) async fn watch(subject: Subject, findings: mpsc::UnboundedSender<Finding>) {
    let container = &subject.container;
    if let Some(probe) = &container.startup_probe {
        let mut verdict = Verdict::new(probe, false);
        sleep(seconds(probe.initial_delay_seconds, 0)).await;
        loop {
            match verdict.after(check(&subject, probe).await.is_ok()) {
                Some(true) => break,
                Some(false) => {
                    let _gone = findings.send(Finding::Unhealthy);
                    return;
                }
                None => sleep(seconds(probe.period_seconds, 10)).await,
            }
        }
    }
    let _gone = findings.send(Finding::Started);
    tokio::join!(readiness(&subject, &findings), liveness(&subject, &findings));
}

async fn readiness(subject: &Subject, findings: &mpsc::UnboundedSender<Finding>) {
    let Some(probe) = &subject.container.readiness_probe else {
        let _gone = findings.send(Finding::Ready(true));
        return;
    };
    sleep(seconds(probe.initial_delay_seconds, 0)).await;
    let mut verdict = Verdict::new(probe, false);
    while subject.running.is_running() {
        if let Some(ready) = verdict.after(check(subject, probe).await.is_ok())
            && findings.send(Finding::Ready(ready)).is_err()
        {
            return;
        }
        sleep(seconds(probe.period_seconds, 10)).await;
    }
}

async fn liveness(subject: &Subject, findings: &mpsc::UnboundedSender<Finding>) {
    let Some(probe) = &subject.container.liveness_probe else { return };
    sleep(seconds(probe.initial_delay_seconds, 0)).await;
    let mut verdict = Verdict::new(probe, true);
    while subject.running.is_running() {
        if verdict.after(check(subject, probe).await.is_ok()) == Some(false) {
            let _gone = findings.send(Finding::Unhealthy);
            return;
        }
        sleep(seconds(probe.period_seconds, 10)).await;
    }
}

/// Counts successes and failures in a row, and derives the state of the container.
struct Verdict {
    held: bool,
    successes_needed: i32,
    failures_needed: i32,
    in_row: i32,
    last: Option<bool>,
    told: bool,
}

impl Verdict {
    fn new(probe: &Probe, held: bool) -> Verdict {
        Verdict {
            held,
            successes_needed: probe.success_threshold.unwrap_or(1).max(1),
            failures_needed: probe.failure_threshold.unwrap_or(3).max(1),
            in_row: 0,
            last: None,
            told: false,
        }
    }

    /// The new state, where it has changed.
    fn after(&mut self, success: bool) -> Option<bool> {
        self.in_row = if self.last == Some(success) { self.in_row + 1 } else { 1 };
        self.last = Some(success);
        let needed = if success { self.successes_needed } else { self.failures_needed };
        if self.in_row < needed || (self.told && self.held == success) {
            return None;
        }
        (self.held, self.told) = (success, true);
        Some(success)
    }
}

/// One probe.
async fn check(subject: &Subject, probe: &Probe) -> Result<()> {
    let limit = seconds(probe.timeout_seconds, 1);
    let address = subject.address;
    let checked = async {
        if let Some(action) = &probe.exec {
            execute(&subject.running, action, limit).await
        } else if let Some(action) = &probe.http_get {
            get(action, &subject.container, address).await
        } else if let Some(action) = &probe.tcp_socket {
            connect(action, &subject.container, address).await
        } else if let Some(action) = &probe.grpc {
            let port = u16::try_from(action.port)?;
            grpc(SocketAddr::new(address, port), action.service.as_deref().unwrap_or_default()).await
        } else {
            Ok(())
        }
    };
    timeout(limit, checked).await.map_err(|_| "no answer in time")?
}

/// Runs a postStart or preStop handler.
pub(crate) async fn handle(handler: &LifecycleHandler, subject: &Subject) -> Result<()> {
    if let Some(action) = &handler.exec {
        execute(&subject.running, action, Duration::from_secs(3600)).await
    } else if let Some(action) = &handler.http_get {
        get(action, &subject.container, subject.address).await
    } else if let Some(action) = &handler.sleep {
        sleep(Duration::from_secs(u64::try_from(action.seconds)?)).await;
        Ok(())
    } else if let Some(action) = &handler.tcp_socket {
        connect(action, &subject.container, subject.address).await
    } else {
        Ok(())
    }
}

async fn execute(running: &Running, action: &ExecAction, limit: Duration) -> Result<()> {
    running.execute(&oci::command(action.command.as_ref())?, limit).await
}

async fn get(action: &HTTPGetAction, container: &Container, address: IpAddr) -> Result<()> {
    if action.scheme.as_deref() == Some("HTTPS") {
        return Err("probes over TLS are not built".into());
    }
    let address = SocketAddr::new(host(action.host.as_ref(), address)?, port(&action.port, container)?);
    let stream = TcpStream::connect(address).await?;
    let (mut requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let path = action.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let mut request =
        Request::get(path).header("user-agent", "kube-probe/1.33").header("connection", "close");
    let headers = action.http_headers.as_deref().unwrap_or_default();
    if !headers.iter().any(|HTTPHeader { name, .. }| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", address.to_string());
    }
    for HTTPHeader { name, value } in headers {
        request = request.header(name, value);
    }
    let answer = requests.send_request(request.body(Empty::<Bytes>::new())?).await?;
    connection.abort();
    match answer.status().as_u16() {
        200..400 => Ok(()),
        status => Err(format!("HTTP probe failed with statuscode: {status}").into()),
    }
}

async fn connect(action: &TCPSocketAction, container: &Container, address: IpAddr) -> Result<()> {
    let address = SocketAddr::new(host(action.host.as_ref(), address)?, port(&action.port, container)?);
    drop(TcpStream::connect(address).await?);
    Ok(())
}

/// `grpc.health.v1.Health/Check`, which answers `SERVING`.
async fn grpc(address: SocketAddr, service: &str) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    let (mut requests, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.33")
        .body(())?;
    let (answer, mut body) = requests.send_request(request, false)?;
    body.send_data(health_request(service)?, true)?;
    let mut answer = answer.await?.into_body();
    let mut message = Vec::new();
    while let Some(chunk) = answer.data().await {
        let chunk = chunk?;
        answer.flow_control().release_capacity(chunk.len())?;
        message.extend_from_slice(&chunk);
    }
    connection.abort();
    // flag, length, and field 1 of the message: 1 is SERVING
    match message.get(5..) {
        Some([0x08, 1, ..]) => Ok(()),
        _ => Err("service unhealthy".into()),
    }
}

/// A frame with `HealthCheckRequest { service }`.
fn health_request(service: &str) -> Result<Bytes> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.extend([
            0x0a,
            u8::try_from(service.len()).ok().filter(|length| *length < 0x80).ok_or("too long")?,
        ]);
        message.extend(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len())?.to_be_bytes());
    frame.extend(message);
    Ok(frame.into())
}

fn host(host: Option<&String>, address: IpAddr) -> Result<IpAddr> {
    match host.filter(|host| !host.is_empty()) {
        None => Ok(address),
        Some(host) => Ok(host.parse().map_err(|_| format!("`{host}` is no address"))?),
    }
}

/// A port by its number, or by the name that the container gives it.
fn port(port: &IntOrString, container: &Container) -> Result<u16> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => match name.parse() {
            Ok(number) => Some(number),
            Err(_) => {
                let mut ports = container.ports.iter().flatten();
                let named = ports.find(|port| port.name.as_ref() == Some(name));
                named.map(|port| port.container_port)
            }
        },
    };
    let number = number.ok_or("couldn't find port")?;
    Ok(u16::try_from(number)?)
}

fn seconds(value: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(
        value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(default),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_verdict_changes_after_as_many_in_a_row_as_the_probe_says() {
        let probe: Probe =
            serde_json::from_value(json!({ "successThreshold": 2, "failureThreshold": 3 })).unwrap();
        let mut verdict = Verdict::new(&probe, false);
        let told: Vec<_> = [true, false, true, true, true, false, false, true, false, false, false, false]
            .map(|success| verdict.after(success))
            .to_vec();
        let mut expected = vec![None; 12];
        (expected[3], expected[10]) = (Some(true), Some(false));
        assert_eq!(told, expected);
    }

    #[test]
    fn a_port_is_found_by_its_name() {
        let container = json!({ "name": "c", "ports": [{ "name": "web", "containerPort": 8080 }] });
        let container: Container = serde_json::from_value(container).unwrap();
        assert_eq!(port(&IntOrString::String("web".into()), &container).unwrap(), 8080);
        assert_eq!(port(&IntOrString::String("81".into()), &container).unwrap(), 81);
        assert_eq!(port(&IntOrString::Int(80), &container).unwrap(), 80);
        assert!(port(&IntOrString::String("db".into()), &container).is_err());
        assert!(port(&IntOrString::Int(70_000), &container).is_err());
    }

    #[test]
    fn a_health_request_names_its_service() {
        assert_eq!(&health_request("").unwrap()[..], [0, 0, 0, 0, 0]);
        assert_eq!(&health_request("ab").unwrap()[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
    }
}
