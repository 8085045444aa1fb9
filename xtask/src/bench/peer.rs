//! The proxies that are compared: one worker each, the same backends, forwarding headers on, no access log.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::backends::{ADDRESSES, H1_PORT, H2_PORT};
use super::certificate;
use super::process::{PROXY_CORE, Process};
use crate::{Result, packages, place};

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours.
    Sidecar,
    /// The reference that ratios are to.
    HaProxy,
    /// The other one that everybody knows.
    Nginx,
}

/// What a proxy does at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// HTTP/1.1 to HTTP/1.1.
    Http1,
    /// HTTP/2 to HTTP/2, both with prior knowledge.
    Http2,
    /// Bytes to the HTTP/1.1 backends.
    Tcp,
    /// HTTP/1.1 within TLS to HTTP/1.1, at one backend: what TLS costs is looked for, and ends at the application.
    Tls,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Sidecar, Kind::HaProxy, Kind::Nginx];

    pub(crate) fn parse(name: &str) -> Result<Kind> {
        let known = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let names = Kind::ALL.map(Kind::name).join(" ");
        known.ok_or_else(|| format!("unknown peer `{name}`: one of {names}").into())
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Sidecar => "sidecar",
            Kind::HaProxy => "haproxy",
            Kind::Nginx => "nginx",
        }
    }
}

/// A running proxy.
pub(crate) struct Peer {
    pub(crate) process: Process,
}

impl Peer {
    /// Starts it on its core, with its configuration in `folder`.
    pub(crate) fn start(kind: Kind, folder: &Path) -> Result<Peer> {
        let folder = folder.join(kind.name());
        fs::create_dir_all(&folder)?;
        let (program, arguments) = match kind {
            Kind::Sidecar => sidecar(&folder)?,
            Kind::HaProxy => haproxy(&folder)?,
            Kind::Nginx => nginx(&folder)?,
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let process = Process::start(PROXY_CORE, &program, &arguments, &folder, &address(Role::Tcp))?;
        Ok(Peer { process })
    }
}

/// Where every proxy listens for that role; they take turns.
pub(crate) fn address(role: Role) -> String {
    match role {
        Role::Http1 | Role::Http2 | Role::Tcp => format!("{}:{PORT}", host(role)),
        Role::Tls => format!("{}:{TLS_PORT}", host(role)),
    }
}

/// One loopback VIP per role, as `--loopback-vips` gives one to each Service.
fn host(role: Role) -> &'static str {
    match role {
        Role::Http1 => "127.66.0.1",
        Role::Http2 => "127.66.0.2",
        Role::Tcp => "127.66.0.3",
        Role::Tls => "127.66.0.4",
    }
}

const PORT: u16 = 8000;

/// Another, for a sidecar listens for its own application at all addresses.
const TLS_PORT: u16 = 8443;

fn sidecar(folder: &Path) -> Result<(PathBuf, Vec<String>)> {
    let manifests = folder.join("manifests");
    fs::create_dir_all(&manifests)?;
    let mut vips = Vec::new();
    for (name, role, app_protocol, port) in [
        ("h1", Role::Http1, "http", H1_PORT),
        ("h2", Role::Http2, "kubernetes.io/h2c", H2_PORT),
        ("tcp", Role::Tcp, "tcp", H1_PORT),
    ] {
        fs::write(manifests.join(format!("{name}.yaml")), service(name, app_protocol, port)?)?;
        vips.push(format!("{name}.default={}", host(role)));
    }
    let manifests = manifests.display().to_string();
    let vips = vips.join(",");
    let arguments = ["run", "--discovery", "manifests", "--manifests", &manifests, "--loopback-vips", &vips];
    let quiet = ["--outbound", "off", "--inbound", "off", "--forward-proxy", "off", "--log", "warn"];
    let [certificate, key] = certificate::files(folder);
    let map = format!("{TLS_PORT}={}:{H1_PORT},tls", ADDRESSES[0]);
    let tls = ["--inbound-map", &map, "--tls-cert", &certificate, "--tls-key", &key];
    let arguments = arguments.into_iter().chain(quiet).chain(tls).map(str::to_owned).collect();
    Ok((place::target().join("release/sidecar"), arguments))
}

fn service(name: &str, app_protocol: &str, port: u16) -> Result<String> {
    let mut text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\n\
         spec: {{ ports: [{{ port: {PORT}, appProtocol: {app_protocol} }}] }}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{ name: {name}, labels: {{ kubernetes.io/service-name: {name} }} }}\n\
         addressType: IPv4\nports: [{{ port: {port} }}]\nendpoints:\n"
    );
    for address in ADDRESSES {
        writeln!(text, "- addresses: [{address}]")?;
    }
    Ok(text)
}

fn haproxy(folder: &Path) -> Result<(PathBuf, Vec<String>)> {
    let mut text = "global\n  nbthread 1\n  maxconn 4500\n  tune.ssl.cachesize 0\n\
        \x20 ssl-default-bind-options no-tls-tickets ssl-min-ver TLSv1.2\n\
        defaults\n  timeout connect 5s\n  timeout client 300s\n  timeout server 300s\n  timeout http-keep-alive 300s\n\
        \x20 balance roundrobin\n"
        .to_owned();
    for (role, settings, protocol, port) in [
        (Role::Http1, "mode http\n  option forwardfor\n  http-reuse always", "", H1_PORT),
        (Role::Http2, "mode http\n  option forwardfor\n  http-reuse always", "proto h2", H2_PORT),
        (Role::Tcp, "mode tcp", "", H1_PORT),
    ] {
        writeln!(text, "listen {role:?}\n  bind {} backlog 4096 {protocol}\n  {settings}", address(role))?;
        for backend in ADDRESSES {
            writeln!(text, "  server {backend} {backend}:{port} {protocol}")?;
        }
    }
    let [certificate, _] = certificate::files(folder); // HAProxy finds the key beside it
    writeln!(
        text,
        "listen Tls\n  bind {} backlog 4096 ssl crt {certificate} alpn http/1.1",
        address(Role::Tls)
    )?;
    writeln!(
        text,
        "  mode http\n  option forwardfor\n  http-reuse always\n  server a {}:{H1_PORT}",
        ADDRESSES[0]
    )?;
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text)?;
    Ok((installed("haproxy")?, vec!["-db".to_owned(), "-f".to_owned(), file.display().to_string()]))
}

fn nginx(folder: &Path) -> Result<(PathBuf, Vec<String>)> {
    let path = folder.display();
    let upstream = |port: u16, settings: &str| {
        let servers = ADDRESSES.map(|backend| format!("server {backend}:{port};")).concat();
        format!("upstream b {{ {servers} {settings} }}")
    };
    let pool = "keepalive 1024; keepalive_requests 1000000000;";
    let [certificate, key] = certificate::files(folder);
    let mut http = format!(
        "http {{ access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 300s;
           proxy_buffers 16 16k; proxy_max_temp_file_size 0; proxy_http_version 1.1; proxy_set_header Connection '';
           proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
           {} {}
           server {{ listen {} backlog=4096; location / {{ proxy_pass http://b; }} }}
           server {{ listen {} http2; http2_max_requests 1000000000; location / {{ grpc_pass grpc://b2; }} }}
           upstream b3 {{ server {}:{H1_PORT}; {pool} }}
           server {{ listen {} ssl backlog=4096; ssl_certificate {certificate}; ssl_certificate_key {key};
             ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache off; ssl_session_tickets off; location / {{ proxy_pass http://b3; }} }}\n",
        upstream(H1_PORT, pool),
        upstream(H2_PORT, pool).replace("upstream b", "upstream b2"),
        address(Role::Http1),
        address(Role::Http2),
        ADDRESSES[0],
        address(Role::Tls),
    );
    for temporary in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(http, "{temporary}_temp_path {path}/{temporary};")?;
    }
    let stream = format!(
        "stream {{ {} server {{ listen {} backlog=4096; proxy_pass b; }} }}",
        upstream(H1_PORT, ""),
        address(Role::Tcp)
    );
    let text = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;
         daemon off; master_process off; user root; pid {path}/pid; error_log stderr crit; worker_rlimit_nofile 20000;
         events {{ worker_connections 16384; }}\n{http} }}\n{stream}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text)?;
    Ok((installed("nginx")?, vec!["-c".to_owned(), file.display().to_string()]))
}

fn installed(program: &str) -> Result<PathBuf> {
    packages::find(program).ok_or_else(|| format!("{program} is not installed").into())
}
