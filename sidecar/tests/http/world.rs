//! The sidecar under test in front of one Service, `web`, at addresses that no other test uses.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};

use super::backend::Backend;
use super::support::{Manifests, Sidecar, enter_own_network, get, service, until};
use super::wire::Wire;

/// A running sidecar and its Service.
pub(crate) struct World {
    /// A loopback address of this sidecar alone.
    ip: String,
    sidecar: Sidecar,
    _number: TcpListener,
}

impl World {
    /// `web` is served by `backends`, in turn.
    pub(crate) fn of(backends: &[&Backend], arguments: &[&str]) -> World {
        let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address()).collect();
        World::at("http", &addresses, arguments)
    }

    /// `web` is served by `backends`, with these of our annotations: `retry: reset`, each on a line.
    pub(crate) fn with(annotations: &str, backends: &[&Backend], arguments: &[&str]) -> World {
        let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address()).collect();
        World::asking(&ours(annotations), "http", &addresses, arguments)
    }

    /// `web` says that it speaks `app_protocol`, and is served at `addresses`, in turn.
    pub(crate) fn at(app_protocol: &str, addresses: &[SocketAddr], arguments: &[&str]) -> World {
        World::asking("svcmesh.dev/load-balancer: rr", app_protocol, addresses, arguments)
    }

    /// The same with these `annotations`, as YAML has them between braces.
    pub(crate) fn asking(
        annotations: &str,
        app_protocol: &str,
        addresses: &[SocketAddr],
        arguments: &[&str],
    ) -> World {
        World::over(&documents(annotations, app_protocol, addresses), arguments)
    }

    /// `web` is what `documents` say, with port [`PORT`].
    pub(crate) fn over(documents: &[String], arguments: &[&str]) -> World {
        World::in_shell("exec \"$0\" \"$@\"", documents, arguments)
    }

    /// The same in a shell that does this: `"$0" "$@"` is the sidecar.
    pub(crate) fn in_shell(script: &str, documents: &[String], arguments: &[&str]) -> World {
        enter_own_network();
        let number = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let port = number.local_addr().expect("it is bound").port();
        // While that port is held nobody else has its number, nor the address that we make of it.
        let ip = format!("127.66.{}.{}", port >> 8, port & 0xff);
        let (admin, proxy) = (format!("{ip}:{ADMIN_PORT}"), format!("{ip}:{PROXY_PORT}"));
        let vips = format!("web.default={ip}");
        let mut all = vec![
            "--allow-loopback-endpoints=true",
            "--outbound",
            "off",
            "--inbound",
            "off",
            "--forward-proxy",
            &proxy,
        ];
        all.extend(["--loopback-vips", &vips]);
        all.extend(arguments);
        let sidecar = Sidecar::start_in_shell(script, &admin, Manifests::of(documents), &all);
        World { ip, sidecar, _number: number }
    }

    /// Makes `documents` what there is.
    pub(crate) fn rewrite(&self, documents: &[String]) {
        self.sidecar.manifests().write("test.yaml", &documents.join("---\n"));
    }

    /// Does so, and waits until they are in force.
    pub(crate) fn replace(&self, documents: &[String]) {
        let applied = "svcmesh_discovery_updates_total{source=\"manifests\",result=\"applied\"}";
        let before = self.sidecar.measured(applied);
        self.rewrite(documents);
        until("the change is in force", || (self.sidecar.measured(applied) > before).then_some(()));
    }

    /// Where the Service is.
    pub(crate) fn address(&self) -> String {
        format!("{}:{PORT}", self.ip)
    }

    /// A connection to the Service.
    pub(crate) fn client(&self) -> Wire {
        Wire::new(self.stream(PORT))
    }

    /// The same, for who reads it as it likes.
    pub(crate) fn socket(&self) -> TcpStream {
        self.stream(PORT)
    }

    /// The same from another address of this machine.
    pub(crate) fn client_at(&self, source: IpAddr) -> Wire {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets are to be had");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("all of 127.0.0.0/8 is ours");
        let address: SocketAddr = format!("{}:{PORT}", self.ip).parse().expect("an address of ours");
        socket.connect(&address.into()).expect("the sidecar listens");
        Wire::new(socket.into())
    }

    /// A connection to the forward proxy.
    pub(crate) fn proxy_client(&self) -> Wire {
        Wire::new(self.stream(PROXY_PORT))
    }

    fn stream(&self, port: u16) -> TcpStream {
        let address = format!("{}:{port}", self.ip);
        until("the sidecar listens", || TcpStream::connect(&address).ok())
    }

    /// Waits until `/metrics` has this line.
    pub(crate) fn counts(&self, line: &str) {
        let admin = format!("{}:{ADMIN_PORT}", self.ip);
        let has_line = |text: &str| text.lines().any(|other| other == line);
        until(&format!("/metrics has {line}"), || {
            get(&admin, "/metrics").filter(|(_, text)| has_line(text)).map(drop)
        });
    }

    /// The values in `/metrics` of the samples that begin so.
    pub(crate) fn measured(&self, sample: &str) -> Vec<u64> {
        self.sidecar.measured(sample)
    }

    /// The resident memory of the sidecar.
    pub(crate) fn rss_kib(&mut self) -> u64 {
        self.sidecar.process().rss_kib()
    }

    /// What the sidecar has logged so far.
    pub(crate) fn said(&self) -> String {
        self.sidecar.said()
    }

    /// What the admin server answers at `path`.
    pub(crate) fn admin(&self, path: &str) -> String {
        self.sidecar.admin(path)
    }

    /// Sends a signal to the sidecar.
    pub(crate) fn signal(&mut self, signal: rustix::process::Signal) {
        self.sidecar.process().signal(signal);
    }

    /// Every record of the access log so far.
    pub(crate) fn log(&self) -> Vec<serde_json::Value> {
        self.sidecar.access_log()
    }

    /// Waits until the sidecar has ended by itself, and tells how.
    pub(crate) fn ends_within(&mut self, limit: std::time::Duration) -> std::process::ExitStatus {
        self.sidecar.process().wait(limit)
    }

    /// What the sidecar has logged.
    pub(crate) fn sidecar_log(&self) -> String {
        self.sidecar.log()
    }

    /// Where the admin server is.
    pub(crate) fn admin_address(&self) -> String {
        format!("{}:{ADMIN_PORT}", self.ip)
    }

    /// What is logged, once there are so many records.
    pub(crate) fn logged(&self, records: usize) -> Vec<serde_json::Value> {
        until(&format!("{records} records"), || {
            Some(self.sidecar.access_log()).filter(|log| log.len() >= records)
        })
    }

    /// How often anything was tried again.
    pub(crate) fn retries(&self) -> u64 {
        self.sidecar.measured("svcmesh_retries_total").iter().sum()
    }

    /// Waits until as many records are written as there are `codes`; `-` is success.
    pub(crate) fn records(&self, codes: &[&str]) {
        let code = |line: &serde_json::Value| line["failure.code"].as_str().unwrap_or("-").to_owned();
        let mut logged: Vec<String> = Vec::new();
        until(&format!("{} records", codes.len()), || {
            logged = self.sidecar.access_log().iter().map(code).collect();
            (logged.len() >= codes.len()).then_some(())
        });
        assert_eq!(logged, codes);
    }
}

/// `web` with `annotations`, as YAML has them between braces.
pub(crate) fn documents(annotations: &str, app_protocol: &str, addresses: &[SocketAddr]) -> Vec<String> {
    let endpoints: Vec<_> = addresses.iter().map(|address| (*address, READY)).collect();
    web(annotations, app_protocol, &endpoints)
}

/// The same, with the conditions of each endpoint.
pub(crate) fn web(annotations: &str, app_protocol: &str, endpoints: &[(SocketAddr, &str)]) -> Vec<String> {
    let asking = format!("name: web, annotations: {{ {annotations} }}");
    let web = service("web", &["10.96.0.10"], PORT, app_protocol).replacen("name: web", &asking, 1);
    let endpoint = |(index, (at, conditions)): (usize, &(SocketAddr, &str))| {
        slice(index, *at) + &format!("  conditions: {{ {conditions} }}\n")
    };
    std::iter::once(web).chain(endpoints.iter().enumerate().map(endpoint)).collect()
}

/// The conditions of an endpoint that may be used.
pub(crate) const READY: &str = "ready: true";

/// Those of one that may not be used yet.
pub(crate) const UNREADY: &str = "ready: false";

/// Those of one whose pod is being replaced.
pub(crate) const TERMINATING: &str = "ready: false, serving: true, terminating: true";

/// Annotations of ours, as YAML has them between braces.
pub(crate) fn ours(annotations: &str) -> String {
    let named = annotations.lines().filter_map(|line| line.split_once(": "));
    let named: Vec<String> =
        named.map(|(name, value)| format!("svcmesh.dev/{}: {value:?}", name.trim())).collect();
    named.join(", ")
}

/// The EndpointSlice number `index` of `web`, with the one endpoint at `address`.
pub(crate) fn slice(index: usize, address: SocketAddr) -> String {
    let mut text = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: web-{index}\n  \
         labels: {{ kubernetes.io/service-name: web }}\naddressType: IPv4\n"
    );
    let (ip, port) = (address.ip(), address.port());
    write!(text, "ports: [{{ port: {port} }}]\nendpoints:\n- addresses: [{ip}]\n").expect("a string");
    text
}

/// Only the manifests tell of Services: what they do not have is unknown at once, without a question to DNS.
pub(crate) const MANIFESTS_ONLY: [&str; 2] = ["--discovery", "manifests"];

/// The port of `web`.
pub(crate) const PORT: u16 = 8080;
const PROXY_PORT: u16 = 15002;
const ADMIN_PORT: u16 = 15020;
