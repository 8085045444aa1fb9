//! The part of kubelet's own API that `kubectl logs` needs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::logs::{Logs, Options};
use super::{Error, Result};

type Body = BoxBody<Bytes, Infallible>;

/// Which pod a name stands for: its UID.
pub(crate) type FindPod = dyn Fn(&str, &str) -> Option<String> + Send + Sync;

/// Serves at `address` for ever, under a certificate of its own, as a kubelet does that was given none.
pub(crate) async fn serve(address: SocketAddr, logs: Arc<Logs>, find: Arc<FindPod>) -> Result<()> {
    let acceptor = acceptor(address)?;
    let listener =
        TcpListener::bind(address).await.map_err(|error| format!("cannot listen at {address}: {error}"))?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (acceptor, logs, find) = (acceptor.clone(), Arc::clone(&logs), Arc::clone(&find));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| {
                let (logs, find) = (Arc::clone(&logs), Arc::clone(&find));
                async move { Ok::<_, Infallible>(answer(&request, &logs, &*find)) }
            });
            let _ended = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn acceptor(address: SocketAddr) -> Result<TlsAcceptor> {
    let pair = rcgen::generate_simple_self_signed([address.ip().to_string()])?;
    let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).map_err(Error::from)?;
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// `GET /containerLogs/NAMESPACE/POD/CONTAINER`.
fn answer<B>(request: &Request<B>, logs: &Logs, find: &FindPod) -> Response<Body> {
    let parts: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
    let ["containerLogs", namespace, pod, container] = parts[..] else {
        return plain(StatusCode::NOT_FOUND, "this kubelet knows /containerLogs only\n".to_owned());
    };
    let options = Options::parse(request.uri().query().unwrap_or_default());
    let log = find(namespace, pod).and_then(|uid| logs.find(&uid, container, options.previous));
    let Some(log) = log else {
        return plain(StatusCode::BAD_REQUEST, format!("no log of container {container:?} in pod {pod:?}\n"));
    };
    let (sender, lines) = mpsc::channel(16);
    tokio::spawn(async move { log.send(options, sender).await });
    let lines =
        stream::unfold(lines, |mut lines| async move { lines.recv().await.map(|line| (line, lines)) });
    let frames = lines.map(|line| Ok::<_, Infallible>(Frame::data(Bytes::from(line))));
    Response::new(BodyExt::boxed(StreamBody::new(frames)))
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed());
    *response.status_mut() = status;
    response
}
