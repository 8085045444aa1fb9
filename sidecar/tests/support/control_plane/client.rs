//! A client of the API server: the administrator, on a connection of HTTP/1.1.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use super::programs::ADMIN_TOKEN;

/// One connection, which is used when the caller waits for an answer.
pub(crate) struct ApiClient {
    runtime: Runtime,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl ApiClient {
    /// Connects to the API server, whose authority this is, as PEM.
    pub(super) fn connect(authority: &str) -> ApiClient {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let config = config(authority);
        let sender = runtime.block_on(async {
            let tcp = TcpStream::connect("127.0.0.1:6443").await.expect("the API server listens");
            tcp.set_nodelay(true).expect("an option of TCP");
            let name = ServerName::try_from("127.0.0.1").expect("an address");
            let tls = Box::pin(TlsConnector::from(config).connect(name, tcp)).await;
            let io = TokioIo::new(tls.expect("the certificate is of its authority"));
            let (sender, connection) = http1::handshake(io).await.expect("it needs nothing");
            tokio::spawn(connection);
            sender
        });
        ApiClient { runtime, sender }
    }

    /// Changes an object by a merge patch (RFC 7396).
    pub(crate) fn patch(&mut self, path: &str, patch: String) {
        let request = request(Method::PATCH, path).header("content-type", "application/merge-patch+json");
        let request = request.body(Full::from(patch)).expect("a request");
        let response = self.runtime.block_on(async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            response.into_body().collect().await.map(|_| status)
        });
        assert_eq!(response.expect("the API server answers"), 200, "PATCH {path}");
    }

    /// Watches, and hands on every event until `each` has had enough, or the server ends it.
    pub(crate) fn watch(mut self, path: &str, mut each: impl FnMut(&str) -> bool) {
        let request = request(Method::GET, path).body(Full::default()).expect("a request");
        self.runtime.block_on(async {
            let response = self.sender.send_request(request).await.expect("the API server answers");
            assert_eq!(response.status(), 200, "GET {path}");
            read_lines(response, &mut each).await;
        });
    }
}

async fn read_lines(response: Response<Incoming>, each: &mut impl FnMut(&str) -> bool) {
    let (mut body, mut held) = (response.into_body(), Vec::new());
    while let Some(Ok(frame)) = body.frame().await {
        held.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = held.drain(..=end).collect();
            if !each(&String::from_utf8_lossy(&line)) {
                return;
            }
        }
    }
}

fn request(method: Method, path: &str) -> hyper::http::request::Builder {
    let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
    request.header("authorization", format!("Bearer {ADMIN_TOKEN}"))
}

fn config(authority: &str) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM of ours");
    store.add(authority).expect("a certificate of ours");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has them");
    Arc::new(builder.with_root_certificates(store).with_no_client_auth())
}
