//! One check of one endpoint.

use std::net::SocketAddr;
use std::{fmt, io};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use svc_core::capture::Privileges;
use svc_core::proxy_protocol::header;
use svc_core::service::HealthProbe;
use svc_proto::names::PROXY_NAME;
use svc_proto::proxy_header::{Origin, Tlvs, Version};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::net::tls_client::{HandshakeError, Payload, TlsHandshake};
use crate::net::transparent;

/// Why an endpoint does not pass.
#[derive(Debug)]
pub(super) enum CheckError {
    Connect(io::Error),
    /// It does not prove who it is, or does not speak TLS.
    Tls(HandshakeError),
    /// What it says is not HTTP, or it says nothing.
    Http(hyper::Error),
    /// There is no such path.
    Path(hyper::http::Error),
    Status(StatusCode),
    /// It had not answered when the time for it was over.
    Late,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckError::Connect(error) => write!(f, "cannot connect: {error}"),
            CheckError::Tls(broken) => write!(f, "{}: {}", broken.failure, broken.reason),
            CheckError::Http(error) => write!(f, "no answer: {error}"),
            CheckError::Path(error) => write!(f, "cannot ask: {error}"),
            CheckError::Status(status) => write!(f, "answered {}", status.as_u16()),
            CheckError::Late => f.write_str("no answer in time"),
        }
    }
}

/// Asks once. A connection that is closed again at once is what TCP checks are; a GET passes with 200 to 399.
/// Where pods want a PROXY header, it says that nobody is behind this connection: without one they would log an error.
/// It is spoken to as by requests: by the name that it knows, and in TLS where they go in TLS.
pub(super) async fn ask(question: &CheckRequest<'_>) -> Result<(), CheckError> {
    let CheckRequest { addr, version, probe, privileges, speech } = question;
    let mut stream = transparent::connect(*addr, *privileges).await.map_err(CheckError::Connect)?;
    if let Some(version) = *version {
        let header = header(version, Origin::Local, Tlvs::NONE);
        stream.write_all(&header).await.map_err(CheckError::Connect)?;
    }
    match probe {
        HealthProbe::Tcp => Ok(()),
        HealthProbe::Http { path } => {
            let request = request(speech.authority.unwrap_or(&addr.to_string()), path)?;
            let answer = match &speech.handshake {
                None => get(stream, request).await,
                Some(handshake) => {
                    let session = handshake.begin(stream, Payload::Http1).await.map_err(CheckError::Tls)?;
                    get(session, request).await
                }
            };
            match answer.map_err(CheckError::Http)?.status() {
                status if (200..400).contains(&status.as_u16()) => Ok(()),
                status => Err(CheckError::Status(status)),
            }
        }
    }
}

/// One endpoint, and how it is asked.
pub(super) struct CheckRequest<'a> {
    pub(super) addr: SocketAddr,
    pub(super) version: Option<Version>,
    pub(super) probe: &'a HealthProbe,
    pub(super) privileges: Privileges,
    pub(super) speech: CheckProtocol<'a>,
}

/// How it is spoken to.
pub(super) struct CheckProtocol<'a> {
    /// What it is called; `None`: its address.
    pub(super) authority: Option<&'a str>,
    pub(super) handshake: Option<TlsHandshake<'a>>,
}

fn request(authority: &str, path: &str) -> Result<Request<Empty<Bytes>>, CheckError> {
    let request =
        Request::get(path).header(HOST, authority).header(USER_AGENT, PROXY_NAME).header(CONNECTION, "close");
    request.body(Empty::new()).map_err(CheckError::Path)
}

/// Gets the head of an answer. Its body is not read: the connection ends here.
async fn get<S>(stream: S, request: Request<Empty<Bytes>>) -> hyper::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await?;
    let response = sender.send_request(request);
    tokio::pin!(response);
    tokio::select! {
        biased;
        response = &mut response => response,
        // The answer may have come with the end.
        ended = connection => match ended {
            Ok(()) => response.await,
            Err(error) => Err(error),
        },
    }
}

/// No answer to a check is a tenth of that.
const HEAD_BYTES_MAX: usize = 16 * 1024;
