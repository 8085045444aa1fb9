//! In-cluster configuration: the address of the API server, its authority, and the pod's token.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use hyper::header::HeaderValue;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::config::ApiServer;

/// In-cluster configuration: its files are read where they are needed, for tokens and authorities are rotated.
#[derive(Clone, Debug)]
pub(super) struct Credentials(ApiServer);

impl Credentials {
    pub(super) fn new(server: ApiServer) -> Credentials {
        Credentials(server)
    }

    /// The API server as it is named in requests: an address of IPv6 in brackets.
    pub(super) fn authority(&self) -> String {
        let ApiServer { host, port, .. } = &self.0;
        match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }
    }

    /// Its address.
    ///
    /// # Errors
    /// It goes by a name that has none.
    pub(super) async fn address(&self) -> io::Result<SocketAddr> {
        let ApiServer { host, port, .. } = &self.0;
        if let Ok(ip) = host.parse() {
            return Ok(SocketAddr::new(ip, *port));
        }
        let (host, port) = (host.clone(), *port);
        let found = tokio::task::spawn_blocking(move || (&*host, port).to_socket_addrs()).await;
        let mut found = found.map_err(io::Error::other)??;
        found.next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Whom its certificate must be for.
    ///
    /// # Errors
    /// It goes by a name that is none.
    pub(super) fn server_name(&self) -> io::Result<ServerName<'static>> {
        ServerName::try_from(self.0.host.to_string()).map_err(io::Error::other)
    }

    /// The header that says who we are. The kubelet replaces the token before it expires.
    ///
    /// # Errors
    /// There is no token, or it is no header value.
    pub(super) fn authorization(&self) -> io::Result<HeaderValue> {
        let token = std::fs::read_to_string(self.0.account.join("token"))?;
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(io::Error::other)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// TLS towards the API server, whose certificate must come from the cluster's authority.
    ///
    /// # Errors
    /// There is no authority, or it cannot be read.
    pub(super) fn tls(&self) -> io::Result<Arc<ClientConfig>> {
        let pem = std::fs::read(self.0.account.join("ca.crt"))?;
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            store.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        if store.is_empty() {
            return Err(io::Error::other("no certificate in ca.crt"));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let mut config = builder.with_root_certificates(store).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()]; // RFC 9113 §3.2
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str) -> Credentials {
        Credentials(ApiServer { host: host.into(), port: 443, account: "/nowhere".into() })
    }

    #[tokio::test]
    async fn an_api_server_may_go_by_an_address_or_by_a_name() {
        for (host, authority, address) in [
            ("10.96.0.1", "10.96.0.1:443", "10.96.0.1:443"),
            ("fd00::1", "[fd00::1]:443", "[fd00::1]:443"),
            ("localhost", "localhost:443", "127.0.0.1:443"),
        ] {
            let server = server(host);
            assert_eq!(server.authority(), authority);
            let found = server.address().await.unwrap();
            assert!(found.ip().is_loopback() || found == address.parse().unwrap(), "{found}");
            assert!(server.server_name().is_ok());
        }
    }

    #[test]
    fn without_a_token_or_an_authority_nothing_is_asked() {
        assert!(server("10.96.0.1").authorization().is_err());
        assert!(server("10.96.0.1").tls().is_err());
    }
}
