//! Backends that are replaced one after the other while all kinds of traffic go on (S-22).

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use hyper::{Method, Version};

use crate::support::*;

#[test]
fn no_request_fails_while_all_backends_are_replaced_twenty_times() {
    isolated(|| {
        let pod = Pod::here();
        let manifests = Manifests::of(&[]);
        let mut services = SERVICES.each_ref().map(|service| Rolling::start(service, &pod, &manifests));
        let sidecar = Sidecar::start(manifests, VIPS);
        let load = SteadyLoad::start(&CLIENTS, &[Method::GET, Method::POST]);
        let mut calls = grpc_load("127.66.0.3:50051", "calls");
        let mut streams = [grpc_load("127.66.0.3:50051", "streams"), websocket_load("ws://127.66.0.4:8080/")];
        for step in 0..20 * BACKENDS {
            for service in &mut services {
                service.replace(step % BACKENDS, &pod);
                service.publish(sidecar.manifests(), "");
            }
            services.iter_mut().for_each(|service| service.retire(1));
        }
        services.iter_mut().for_each(|service| service.retire(0));

        for (version, seen) in load.end() {
            assert!(seen.failed.is_empty(), "{version:?}: {:?}", seen.failed);
            assert!(seen.answered > 1000, "{version:?}: {} answers", seen.answered);
        }
        assert!(calls.terminate());
        assert!(!calls.output().contains("failed"), "{}", calls.output());
        streams.iter_mut().for_each(|client| assert!(client.terminate()));
        let fates: HashMap<String, Fate> = services.into_iter().flat_map(|service| service.fates).collect();
        for client in &streams {
            let lives = lives(&client.output());
            assert!(lives.len() >= 10, "there is one at a time, for two or three seconds each: {lives:?}");
            for Life { server, begun_ms, ended_ms, .. } in &lives {
                let fate = fates.get(server).unwrap_or_else(|| panic!("{server} never left: {lives:?}"));
                assert!(*begun_ms < fate.left_ms + FOLLOWED_MS, "a new stream to {server}, which had left");
                assert!(
                    *ended_ms >= fate.ended_ms,
                    "{server} was cut off {} ms early",
                    fate.ended_ms - ended_ms
                );
            }
        }
        let refused =
            sidecar.access_log().into_iter().filter(|record| record["response.status"].as_u64() >= Some(500));
        assert_eq!(refused.count(), 0);
    });
}

#[test]
fn streams_last_for_the_time_that_their_service_lets_them_drain() {
    isolated(|| {
        let pod = Pod::here();
        let manifests = Manifests::of(&[]);
        let [_, _, rpc, chat] = &SERVICES;
        let mut services = [rpc, chat].map(|service| Rolling::start(service, &pod, &manifests));
        let sidecar = Sidecar::start(manifests, VIPS);
        let mut streams = [grpc_load("127.66.0.3:50051", "streams"), websocket_load("ws://127.66.0.4:8080/")];
        for (service, client) in services.iter_mut().zip(&mut streams) {
            until("a stream has begun", || (open(&sidecar, service) > 0).then_some(()));
            for index in 0..BACKENDS {
                service.replace(index, &pod);
            }
            service.publish(sidecar.manifests(), DRAIN);
            client.wait_for_output("\n");
            let [Life { server, ended_ms, .. }] = &lives(&client.output())[..] else {
                panic!("one has ended")
            };
            let left_ms = service.leaving.iter().find(|(backend, _)| backend.name == *server);
            let kept_ms = ended_ms - left_ms.expect("it was with one of the first").1;
            assert!((990..10_000).contains(&kept_ms), "{server} was kept for {kept_ms} ms");
        }
        let codes = || sidecar.access_log().iter().filter(|record| record["failure.code"] == "UD").count();
        until("the log says why", || (codes() == 2).then_some(()));
    });
}

/// A Service, and how its backends are made.
struct Service {
    name: &'static str,
    port: u16,
    app_protocol: &'static str,
    start: fn(name: &str, ip: &str, port: u16) -> Server,
    /// Each backend has a port of its own.
    first_port: u16,
}

const SERVICES: [Service; 4] = [
    Service {
        name: "web",
        port: 80,
        app_protocol: "http",
        start: |name, ip, port| Server::Nginx(Nginx::named(name, &format!("{ip}:{port}"))),
        first_port: 11000,
    },
    Service {
        name: "h2",
        port: 80,
        app_protocol: "kubernetes.io/h2c",
        start: |name, ip, port| {
            Server::Nginx(Nginx::serving(
                name,
                &format!("{ip}:{port} http2"),
                "location / { return 200 ok; }",
            ))
        },
        first_port: 12000,
    },
    Service {
        name: "rpc",
        port: 50051,
        app_protocol: "grpc",
        start: |name, ip, port| Server::Grpc(GrpcServer::start(name, &format!("{ip}:{port}"))),
        first_port: 13000,
    },
    Service {
        name: "chat",
        port: 8080,
        app_protocol: "kubernetes.io/ws",
        start: |name, ip, port| Server::WebSocket(WebSocketServer::named(name, ip, port)),
        first_port: 14000,
    },
];

/// Clients of the first two.
const CLIENTS: [Client; 2] = [
    Client { version: Version::HTTP_11, address: "127.66.0.1:80", host: "web" },
    Client { version: Version::HTTP_2, address: "127.66.0.2:80", host: "h2" },
];

const VIPS: &[&str] = &[
    "--loopback-vips",
    "web.default=127.66.0.1,h2.default=127.66.0.2,rpc.default=127.66.0.3,chat.default=127.66.0.4",
];

/// Backends of each Service: with fewer than two there is nobody left while one is replaced.
const BACKENDS: usize = 2;

/// How long a backend serves on after it has left: what a pod's `preStop` hook is for.
const SERVES_ON: Duration = Duration::from_secs(2);

/// A second: the shortest time that AWS's annotations can say.
const DRAIN: &str = "service.beta.kubernetes.io/aws-load-balancer-connection-draining-enabled: \"true\", \
                     service.beta.kubernetes.io/aws-load-balancer-connection-draining-timeout: \"1\"";

/// The sidecar has read the files by then.
const FOLLOWED_MS: u64 = 500;

enum Server {
    Nginx(Nginx),
    Grpc(GrpcServer),
    WebSocket(WebSocketServer),
}

impl Server {
    fn process(&mut self) -> &mut Process {
        match self {
            Server::Nginx(nginx) => nginx.process(),
            Server::Grpc(server) => server.process(),
            Server::WebSocket(server) => server.process(),
        }
    }
}

struct Backend {
    name: String,
    ip: String,
    port: u16,
    server: Server,
}

/// When a backend left its Service, and when it was told to end.
struct Fate {
    left_ms: u64,
    ended_ms: u64,
}

/// A Service whose backends are replaced.
struct Rolling {
    service: &'static Service,
    started: u16,
    serving: Vec<Backend>,
    leaving: Vec<(Backend, u64)>,
    fates: Vec<(String, Fate)>,
}

impl Rolling {
    fn start(service: &'static Service, pod: &Pod, manifests: &Manifests) -> Rolling {
        let mut rolling =
            Rolling { service, started: 0, serving: Vec::new(), leaving: Vec::new(), fates: Vec::new() };
        for _ in 0..BACKENDS {
            let backend = rolling.backend(pod);
            rolling.serving.push(backend);
        }
        rolling.publish(manifests, "");
        rolling
    }

    /// A new one, which is ready.
    fn backend(&mut self, pod: &Pod) -> Backend {
        let Service { name, first_port, start, .. } = *self.service;
        let (name, port) = (format!("{name}-{}", self.started), first_port + self.started);
        let ip = Pod::backend_v4(1 + (self.started % u16::from(Pod::BACKENDS)) as u8);
        self.started += 1;
        let server = pod.node.enter(|| start(&name, &ip, port));
        Backend { name, ip, port, server }
    }

    /// Puts a new backend in the place of one, which leaves with the next [`Rolling::publish`].
    fn replace(&mut self, index: usize, pod: &Pod) {
        let new = self.backend(pod);
        let old = std::mem::replace(&mut self.serving[index], new);
        self.leaving.push((old, milliseconds()));
    }

    /// Writes down who is ready, and who is about to go. Whoever has gone is not in it.
    fn publish(&self, manifests: &Manifests, annotations: &str) {
        let Service { name, port, app_protocol, .. } = *self.service;
        let metadata = format!("{{ name: {name}, annotations: {{ {annotations} }} }}");
        let mut documents = vec![
            service(name, &[&format!("10.96.0.{}", self.service.first_port / 1000)], port, app_protocol)
                .replace(&format!("{{ name: {name} }}"), &metadata),
        ];
        documents.extend(self.serving.iter().map(|backend| self.slice(backend, "ready: true")));
        let leaving = "ready: false, serving: true, terminating: true";
        documents.extend(self.leaving.iter().map(|(backend, _)| self.slice(backend, leaving)));
        manifests.write(&format!("{name}.yaml"), &documents.join("---\n"));
    }

    fn slice(&self, backend: &Backend, conditions: &str) -> String {
        let Backend { name, ip, port, .. } = backend;
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {name}\n  \
             labels: {{ kubernetes.io/service-name: {} }}\naddressType: IPv4\nports: [{{ port: {port} }}]\n\
             endpoints: [{{ addresses: [{ip}], conditions: {{ {conditions} }} }}]\n",
            self.service.name
        )
    }

    /// Ends those that have left for long enough, until at most `kept` are on their way.
    fn retire(&mut self, kept: usize) {
        while self.leaving.len() > kept {
            let (mut backend, left_ms) = self.leaving.remove(0);
            let serves_on = (SERVES_ON.as_millis() as u64 + left_ms).saturating_sub(milliseconds());
            thread::sleep(Duration::from_millis(serves_on)); // not a wait for something: it is what the pod does
            let ended_ms = milliseconds();
            backend.server.process().terminate();
            self.fates.push((backend.name, Fate { left_ms, ended_ms }));
        }
    }
}

/// Connections that the sidecar has open to a Service's endpoints.
fn open(sidecar: &Sidecar, rolling: &Rolling) -> u64 {
    let name = rolling.service.name;
    let sample = format!("svcmesh_connections_open{{direction=\"outbound\",service=\"default/{name}\"");
    sidecar.measured(&sample).iter().sum()
}

/// One stream, as its client saw it.
#[derive(Debug)]
struct Life {
    server: String,
    begun_ms: u64,
    ended_ms: u64,
}

fn lives(output: &str) -> Vec<Life> {
    let life = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ms = |index: usize| words[index].parse().expect("a time");
        Life { server: words[0].to_owned(), begun_ms: ms(1), ended_ms: ms(2) }
    };
    output.lines().map(life).collect()
}
