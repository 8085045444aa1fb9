//! Requests → answers.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use super::document::{ServicesQuery, ServicesView, Streamed, Tag};
use super::{Admin, token};
use crate::metrics::format::Format;

/// What an answer consists of.
pub(super) type Body = Either<Full<Bytes>, Streamed>;

/// The answer to one request.
pub(super) async fn answer(admin: &Admin, peer: IpAddr, request: &Request<Incoming>) -> Response<Body> {
    let Some(page) = Page::at(request.uri().path()) else {
        return text(
            StatusCode::NOT_FOUND,
            "not found: there are /livez /readyz /metrics /services /config\n",
        );
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match page {
        Page::Live => text(StatusCode::OK, "ok\n"),
        Page::Ready => ready(admin),
        Page::Metrics => metrics(admin, request.headers()),
        Page::Services => services(admin, request).await,
        Page::Config => config(admin, peer, request),
    }
}

enum Page {
    Live,
    Ready,
    Metrics,
    Services,
    Config,
}

impl Page {
    fn at(path: &str) -> Option<Page> {
        match path {
            "/livez" => Some(Page::Live),
            "/readyz" => Some(Page::Ready),
            "/metrics" => Some(Page::Metrics),
            "/services" => Some(Page::Services),
            "/config" => Some(Page::Config),
            _ => None,
        }
    }
}

fn metrics(admin: &Admin, headers: &HeaderMap) -> Response<Body> {
    let format = Format::accepted(headers);
    let mut response = full(StatusCode::OK, format.content_type(), (admin.metrics)(format));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

fn ready(admin: &Admin) -> Response<Body> {
    let (missing, notes) = (admin.ready.missing(), admin.ready.notes());
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verdict = if missing.is_empty() { vec!["ok".to_owned()] } else { missing };
    text(status, [verdict, notes].concat().join("\n") + "\n")
}

async fn services(admin: &Admin, request: &Request<Incoming>) -> Response<Body> {
    let query = match ServicesQuery::parse(request.uri().query().unwrap_or_default()) {
        Ok(query) => query,
        Err(parameter) => {
            let message = format!("unknown parameter `{parameter}`: there are `namespace` and `name`\n");
            return text(StatusCode::BAD_REQUEST, message);
        }
    };
    let document = ServicesView {
        table: admin.table.load_full(),
        rejections: admin.rejections.load_full(),
        ejected: Arc::new((admin.ejected)()),
        query,
    };
    let Tag { etag, length } = admin.tags.of(&document).await;
    let mut response = match knows(request.headers(), &etag) {
        true => {
            let mut unchanged = Response::new(Either::Left(Full::default()));
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            unchanged
        }
        // hyper sends no body to HEAD; this one is better not even begun.
        false if *request.method() == Method::HEAD => {
            let mut head = full(StatusCode::OK, JSON, "");
            head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            head
        }
        false => {
            let mut whole = Response::new(Either::Right(document.stream(length)));
            whole.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            whole
        }
    };
    let etag = HeaderValue::try_from(etag).expect("a tag is ASCII");
    response.headers_mut().insert(ETAG, etag);
    response
}

/// RFC 9110 §13.1.2: compares weakly, so a `W/` that a cache added does not matter.
fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn config(admin: &Admin, peer: IpAddr, request: &Request<Incoming>) -> Response<Body> {
    if !token::is_trusted(peer, request, admin.token_file.as_deref()) {
        return text(
            StatusCode::FORBIDDEN,
            "forbidden: only from this pod, by an address, localhost or the pod's name, or with the header svcmesh-token\n",
        );
    }
    let config = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "settings": admin.settings.to_json(),
        "bound": &**admin.bound.load(),
    });
    full(StatusCode::OK, JSON, config.to_string())
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    full(status, "text/plain; charset=utf-8", text)
}

fn full(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

const JSON: &str = "application/json";
