//! An API server by script.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use svc_core::service::Rules;
use tokio_rustls::TlsAcceptor;

use super::super::KubernetesSource;
use crate::config::{self, ApiServer, Config, Surroundings};
use crate::net::TcpListener;
use crate::shared::interest::ApiInterest;
use crate::sync::lock;

type Body = Channel<Bytes, Infallible>;

/// An API server with the Services of the namespace `default`.
pub(super) struct ApiServerOfTest {
    pub(super) folder: tempfile::TempDir,
    port: u16,
    pub(super) script: Arc<Script>,
}

#[derive(Default)]
pub(super) struct Script {
    pub(super) heard: Mutex<Vec<Heard>>,
    /// Statuses for the next lists, before they are answered well.
    pub(super) refusals: Mutex<VecDeque<u16>>,
    /// Watches that are open.
    pub(super) watches: Mutex<Vec<Sender<Bytes>>>,
    /// Answers to further paths, without their queries. What is in none is forbidden.
    answers: Mutex<HashMap<String, (u16, String)>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    pub(super) path: String,
    pub(super) authorization: String,
}

impl ApiServerOfTest {
    pub(super) async fn start() -> ApiServerOfTest {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "first\n").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = TlsAcceptor::from(certificate(folder.path()));
        let server = ApiServerOfTest { folder, port, script: Arc::default() };
        server.answer(GROUP_PATH, 200, GROUP);
        server.answer("/api/v1/namespaces/default/services", 200, SERVICES);
        server.answer("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", 200, SLICES);
        let script = server.script.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(stream) = tls.accept(tcp).await else { continue };
                let script = script.clone();
                let answer = service_fn(move |request: Request<Incoming>| {
                    let answer = script.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(
                    http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer),
                );
            }
        });
        server
    }

    /// From here on it answers this, at a path without query.
    pub(super) fn answer(&self, path: &str, status: u16, body: &str) {
        lock(&self.script.answers).insert(path.into(), (status, body.into()));
    }

    pub(super) fn source(&self, interest: &Arc<ApiInterest>) -> KubernetesSource {
        self.source_with(&["--zone", "told"], interest)
    }

    pub(super) fn source_with(&self, flags: &[&str], interest: &Arc<ApiInterest>) -> KubernetesSource {
        let flags = ["run", "--discovery", "env"].iter().chain(flags);
        let flags = config::command().get_matches_from(flags);
        let config = Arc::new(Config::read(&flags, &Surroundings::default()).unwrap());
        let account = self.folder.path().to_owned();
        let server = ApiServer { host: "127.0.0.1".into(), port: self.port, account };
        let rules = Rules {
            default_namespace: "default".into(),
            allow_loopback_endpoints: true, // as our own
            ..Rules::default()
        };
        KubernetesSource::new(server, &config, rules, interest)
    }

    pub(super) fn heard(&self, path: &str) -> Vec<Heard> {
        let heard = lock(&self.script.heard);
        heard
            .iter()
            .filter(|heard| heard.path.starts_with(path) && !heard.path.contains("watch="))
            .cloned()
            .collect()
    }
}

/// A key and a certificate for 127.0.0.1, whose authority is written to `folder`.
pub(super) fn certificate(folder: &Path) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

impl Script {
    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let path = request.uri().path_and_query().unwrap().to_string();
        let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
        lock(&self.heard).push(Heard { path: path.clone(), authorization });
        let (mut sender, body) = Channel::new(4);
        let mut response = Response::new(body);
        if path.contains("watch=") {
            lock(&self.watches).push(sender);
            return response;
        }
        let is_group = path == GROUP_PATH;
        let refusal = (!is_group).then(|| lock(&self.refusals).pop_front()).flatten();
        let refusal = refusal.map(|status| (status, String::new()));
        let scripted = || lock(&self.answers).get(request.uri().path()).cloned();
        let (status, text) = refusal.or_else(scripted).unwrap_or((403, String::new()));
        *response.status_mut() = status.try_into().unwrap();
        sender.try_send(Frame::data(text.into())).unwrap();
        response
    }
}

const GROUP_PATH: &str = "/apis/discovery.k8s.io";
const GROUP: &str = r#"{"kind":"APIGroup","name":"discovery.k8s.io","versions":[{"groupVersion":"discovery.k8s.io/v1","version":"v1"}]}"#;
const SERVICES: &str = r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[
    {"metadata":{"name":"web","namespace":"default","uid":"1","resourceVersion":"5"},
     "spec":{"clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9"],"ports":[{"port":80,"protocol":"TCP"}]}}]}"#;
const SLICES: &str = r#"{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"8"},"items":[
    {"metadata":{"name":"web-1","namespace":"default","uid":"2","resourceVersion":"6","labels":{"kubernetes.io/service-name":"web"}},
     "addressType":"IPv4","ports":[{"name":"","port":8080,"protocol":"TCP"}],"endpoints":[{"addresses":["10.0.0.1"]}]},
    {"metadata":{"name":"own-1","namespace":"default","uid":"3","resourceVersion":"7","labels":{"kubernetes.io/service-name":"own"}},
     "addressType":"IPv4","ports":[{"name":"","port":8080,"protocol":"TCP"}],
     "endpoints":[{"addresses":["10.0.0.2"],"nodeName":"n2","zone":"z2"},{"addresses":["127.0.0.1"],"nodeName":"n1","zone":"z1"}]}]}"#;
