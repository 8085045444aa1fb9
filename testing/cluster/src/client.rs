//! A client of the API server for kube's types, over rustls with the cluster's own authority.

use std::path::Path;
use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::rt::TokioExecutor;
use kube::Client;
use kube::client::Body;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tower::ServiceBuilder;

use crate::Result;

/// The address of an API server, and the credentials of a client.
#[derive(Clone, Debug)]
pub struct Access {
    /// `https://HOST:PORT`.
    pub server: String,
    /// The certificate of its authority, in PEM.
    pub authority: std::path::PathBuf,
    /// The bearer token.
    pub token: String,
}

impl Access {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// The authority cannot be read, or the server's address is none.
    pub fn client(&self) -> Result<Client> {
        let tls =
            rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots(&self.authority)?)
                .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .enable_http2()
            .build();
        let client =
            hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(connector);
        let server: Uri = self.server.parse()?;
        let mut token = HeaderValue::try_from(format!("Bearer {}", self.token))?;
        token.set_sensitive(true);
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<Body>| {
                request.headers_mut().insert(AUTHORIZATION, token.clone());
                *request.uri_mut() = at(&server, request.uri().path_and_query());
                request
            })
            .service(client);
        Ok(Client::new(service, "default"))
    }
}

fn at(server: &Uri, path: Option<&PathAndQuery>) -> Uri {
    let mut parts = server.clone().into_parts();
    parts.path_and_query = Some(path.cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).unwrap_or_else(|_| server.clone())
}

fn roots(file: &Path) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file)
        .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
    for certificate in certificates {
        roots.add(certificate?)?;
    }
    Ok(Arc::new(roots))
}
