//! The pods of the demo: three that speak HTTP and tell what they saw, and one that speaks first.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use svc_proto::names;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::manifests::{GREETER, POD_A, POD_B, POD_C};
use super::ports::DemoPorts;

/// The pods; they end when this is dropped.
pub(super) struct Backends {
    _listeners: JoinSet<()>,
}

impl Backends {
    pub(super) async fn start(ports: &DemoPorts) -> io::Result<Backends> {
        let mut listeners = JoinSet::new();
        for (pod, name) in [(POD_A, "pod-a"), (POD_B, "pod-b"), (POD_C, "pod-c")] {
            for (port, port_name) in [(ports.pod_http, "http"), (ports.pod_admin, "admin")] {
                let listener = listen(pod, port).await?;
                listeners.spawn(serve(listener, move |stream| tell(stream, name, port_name)));
            }
        }
        listeners.spawn(serve(listen(GREETER, ports.pod_lines).await?, read_proxy_header));
        Ok(Backends { _listeners: listeners })
    }
}

async fn listen(pod: Ipv4Addr, port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((pod, port)).await;
    listener.map_err(|error| io::Error::new(error.kind(), format!("{pod}:{port}: {error}")))
}

/// Hands each connection to `converse`. Ends when the listener fails: the tour then says what it misses.
async fn serve<F>(listener: TcpListener, converse: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {} // forget those that have ended
        connections.spawn(converse(stream));
    }
}

/// Answers each request with who it reached, and what that one saw.
async fn tell(stream: TcpStream, pod: &'static str, port_name: &'static str) {
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(Response::new(seen(&request, pod, port_name)))
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await; // the client sees how it went
}

fn seen(request: &Request<Incoming>, pod: &str, port_name: &str) -> String {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("none").to_owned()
    };
    let (method, path) = (request.method(), request.uri());
    let host = header(header::HOST.as_str());
    let forwarded_for = header(names::header::X_FORWARDED_FOR);
    format!("{pod}: {method} {path} at port {port_name}, Host {host}, X-Forwarded-For {forwarded_for}\n")
}

/// Speaks first, then repeats each line, until one says `bye`.
async fn read_proxy_header(mut stream: TcpStream) {
    let _ = converse(&mut stream).await; // the client sees how it went
}

async fn converse(stream: &mut TcpStream) -> io::Result<()> {
    let (read, mut write) = stream.split();
    write.write_all(b"greeter: say something, or bye\n").await?;
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        write.write_all(format!("greeter: you said {line}\n").as_bytes()).await?;
        if line == "bye" {
            break;
        }
    }
    Ok(())
}
