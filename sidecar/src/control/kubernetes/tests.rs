//! The source, beside an API server that answers as a script says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use svc_core::address::ServiceName;
use svc_core::endpoints::Here;
use svc_core::inventory::Change;
use svc_core::outcome::Failure;
use svc_core::service::Rules;
use tokio_rustls::TlsAcceptor;

use super::KubernetesSource;
use crate::clock::timeout;
use crate::config::{self, ApiServer, Config, Surroundings};
use crate::control::source::Source as _;
use crate::net::TcpListener;
use crate::shared::interest::ApiInterest;
use crate::sync::lock;

const CLIENT: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

type Body = Channel<Bytes, Infallible>;

/// An API server with the Services of the namespace `default`.
struct ApiServerOfTest {
    folder: tempfile::TempDir,
    port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// Statuses for the next lists, before they are answered well.
    refusals: Arc<Mutex<VecDeque<u16>>>,
    /// Watches that are open.
    watches: Arc<Mutex<Vec<Sender<Bytes>>>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Heard {
    path: String,
    authorization: String,
}

impl ApiServerOfTest {
    async fn start() -> ApiServerOfTest {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "first\n").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = TlsAcceptor::from(certificate(folder.path()));
        let (heard, refusals, watches) = <(Arc<Mutex<Vec<_>>>, Arc<_>, Arc<_>)>::default();
        let server = ApiServerOfTest { folder, port, heard, refusals, watches };
        let (heard, refusals, watches) =
            (server.heard.clone(), server.refusals.clone(), server.watches.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(stream) = tls.accept(tcp).await else { continue };
                let (heard, refusals, watches) = (heard.clone(), refusals.clone(), watches.clone());
                let answer = service_fn(move |request: Request<Incoming>| {
                    let answer = answer(&request, &heard, &refusals, &watches);
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(
                    http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer),
                );
            }
        });
        server
    }

    fn source(&self, interest: &Arc<ApiInterest>) -> KubernetesSource {
        self.source_with(&["--zone", "told"], interest)
    }

    fn source_with(&self, flags: &[&str], interest: &Arc<ApiInterest>) -> KubernetesSource {
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

    fn heard(&self, path: &str) -> Vec<Heard> {
        let heard = lock(&self.heard);
        heard
            .iter()
            .filter(|heard| heard.path.starts_with(path) && !heard.path.contains("watch="))
            .cloned()
            .collect()
    }
}

/// A key and a certificate for 127.0.0.1, whose authority is written to `folder`.
fn certificate(folder: &Path) -> Arc<ServerConfig> {
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

fn answer(
    request: &Request<Incoming>,
    heard: &Mutex<Vec<Heard>>,
    refusals: &Mutex<VecDeque<u16>>,
    watches: &Mutex<Vec<Sender<Bytes>>>,
) -> Response<Body> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
    lock(heard).push(Heard { path: path.clone(), authorization });
    let (mut sender, body) = Channel::new(4);
    let mut response = Response::new(body);
    if path.contains("watch=") {
        lock(watches).push(sender);
        return response;
    }
    let is_group = path == "/apis/discovery.k8s.io";
    if let Some(status) = (!is_group).then(|| lock(refusals).pop_front()).flatten() {
        *response.status_mut() = status.try_into().unwrap();
        return response;
    }
    let text = match path.split('?').next().unwrap() {
        "/apis/discovery.k8s.io" => GROUP,
        "/api/v1/namespaces/default/services" => SERVICES,
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices" => SLICES,
        _ => {
            *response.status_mut() = hyper::StatusCode::FORBIDDEN;
            return response;
        }
    };
    sender.try_send(hyper::body::Frame::data(text.into())).unwrap();
    response
}

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

/// The changes up to one that `is` met, within the longest pause that core makes.
async fn until(source: &mut KubernetesSource, is: impl Fn(&Change) -> bool) -> Vec<Change> {
    let meet = async {
        let mut all = Vec::new();
        loop {
            all.extend(source.next().await);
            if all.iter().any(&is) {
                return all;
            }
        }
    };
    timeout(Duration::from_secs(60), meet).await.expect("it comes")
}

fn is_service(change: &Change) -> bool {
    matches!(change, Change::Service(_, Some(_)))
}

fn web() -> ServiceName {
    ServiceName::new("default", "web")
}

#[tokio::test]
async fn services_are_listed_at_once_and_endpoints_once_somebody_waits_for_them() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::default();
    let mut source = server.source(&interest);
    until(&mut source, is_service).await;
    assert_eq!(server.heard("/apis/discovery.k8s.io/v1"), []);

    let told = interest.ask(web(), CLIENT).expect("the source answers");
    let changes = until(&mut source, |change| *change == Change::Endpoints(web(), true)).await;
    assert!(changes.iter().any(|change| matches!(change, Change::Slice(_, Some(_)))));
    assert_eq!(server.heard("/apis/discovery.k8s.io/v1").len(), 1);
    tokio::select! {
        told = told.wait() => assert_eq!(told, Ok(())),
        _ = source.next() => panic!("nothing else has changed"),
    }
}

#[tokio::test]
async fn without_a_zone_the_pod_is_looked_for_once_in_the_slices_of_its_namespace() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::default();
    let mut source = server.source_with(&[], &interest);
    let changes = until(&mut source, |change| matches!(change, Change::Here(_))).await;
    let here = Here { node: Some("n1".into()), zone: Some("z1".into()) };
    assert!(changes.contains(&Change::Here(here)), "{changes:?}");
    assert_eq!(changes.iter().filter(|change| matches!(change, Change::Slice(..))).count(), 0);
    assert_eq!(server.heard("/apis/discovery.k8s.io/v1").len(), 1);
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_with_the_next_request() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::<ApiInterest>::default();
    let mut source = server.source(&interest);
    until(&mut source, is_service).await;
    fs::write(server.folder.path().join("token"), "second").unwrap();
    let _told = interest.ask(web(), CLIENT);
    until(&mut source, |change| *change == Change::Endpoints(web(), true)).await;
    assert_eq!(server.heard("/api/v1/namespaces/default/services")[0].authorization, "Bearer first");
    assert_eq!(server.heard("/apis/discovery.k8s.io/v1")[0].authorization, "Bearer second");
}

#[tokio::test]
async fn after_a_401_another_connection_is_opened_and_the_token_is_read_anew() {
    let server = ApiServerOfTest::start().await;
    lock(&server.refusals).push_back(401);
    fs::write(server.folder.path().join("token"), "expired").unwrap();
    let interest = Arc::default();
    let mut source = server.source(&interest);
    assert_eq!(source.next().await, [], "it has answered, and nothing is known");
    fs::write(server.folder.path().join("token"), "renewed").unwrap();
    until(&mut source, is_service).await;
    let heard = server.heard("/api/v1/namespaces/default/services");
    let tokens: Vec<&str> = heard.iter().map(|heard| heard.authorization.as_str()).collect();
    assert_eq!(tokens, ["Bearer expired", "Bearer renewed"]);
}

#[tokio::test]
async fn a_watch_that_tells_of_a_change_changes_the_service() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::default();
    let mut source = server.source(&interest);
    until(&mut source, is_service).await;
    let event = concat!(
        r#"{"type":"DELETED","object":{"metadata":{"name":"web","namespace":"default","uid":"1","resourceVersion":"9"},"#,
        r#""spec":{"clusterIP":"10.96.0.9","ports":[{"port":80}]}}}"#,
        "\n"
    );
    let told = async {
        loop {
            if let Some(watch) = lock(&server.watches).first_mut() {
                watch.try_send(hyper::body::Frame::data(event.into())).unwrap();
                break;
            }
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = told => {}
        changes = until(&mut source, |change| matches!(change, Change::Service(_, None))) => {
            assert!(changes.contains(&Change::Service(web(), None)));
        }
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_of_somebody_else_is_told_nothing() {
    let server = ApiServerOfTest::start().await;
    certificate(server.folder.path()); // another authority
    let interest = Arc::default();
    let mut source = server.source(&interest);
    assert_eq!(source.next().await, [], "it has failed once: the pod may start");
    assert_eq!(*lock(&server.heard), []);
}

#[tokio::test]
async fn a_service_that_the_api_server_does_not_tell_of_is_left_to_other_sources_for_a_while() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::<ApiInterest>::default();
    let mut source = server.source(&interest);
    let foreign = || ServiceName::new("other", "web");
    let told = interest.ask(foreign(), CLIENT).expect("the source answers");
    tokio::select! {
        told = told.wait() => assert_eq!(told, Ok(())),
        () = drive(&mut source) => {}
    }
    assert_eq!(interest.ask(foreign(), CLIENT).err(), Some(Failure::UnknownDestination));

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    let asked_again = async {
        while interest.ask(foreign(), CLIENT).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = asked_again => {}
        () = drive(&mut source) => {}
    }
}

/// Runs the source, whatever it tells, for ever.
async fn drive(source: &mut KubernetesSource) {
    loop {
        source.next().await;
    }
}
