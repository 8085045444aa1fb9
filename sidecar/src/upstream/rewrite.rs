//! Requests for endpoints that go by another name than clients use, and their answers: what [`svc_core::rewrite`] decides, done to heads.

use std::cell::Cell;
use std::sync::Arc;

use hyper::header::{Entry, HeaderMap, HeaderName, HeaderValue, LOCATION, REFRESH, SET_COOKIE};
use hyper::http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use hyper::{Uri, Version};
use svc_core::outcome::Failure;
use svc_core::rewrite::{RewriteRules, WebOrigin, location, refresh, set_cookie};

use crate::client::facts::Scheme;

/// How one endpoint is spoken to, where that is not how its clients speak.
pub(crate) struct UpstreamProtocol {
    pub(crate) rewrite: Arc<RewriteRules>,
    authority: Option<HeaderValue>,
    /// The version that the endpoint has chosen in its last handshake.
    pub(crate) agreed: Cell<Option<Version>>,
    /// Why there was no session when that was told last.
    pub(crate) proxy_header: Cell<Option<Failure>>,
}

/// What a client asked for, in its own words.
#[derive(Clone, Copy)]
pub(crate) struct ClientAuthority<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) authority: &'a HeaderValue,
}

impl UpstreamProtocol {
    pub(crate) fn new(rewrite: &Arc<RewriteRules>) -> UpstreamProtocol {
        let authority = rewrite.authority.as_deref();
        let authority = authority.map(|name| HeaderValue::from_str(name).expect("a name is plain text"));
        UpstreamProtocol {
            rewrite: rewrite.clone(),
            authority,
            agreed: Cell::new(None),
            proxy_header: Cell::new(None),
        }
    }

    /// The name that the endpoint knows itself by, where that is not the client's.
    pub(crate) fn host(&self) -> Option<&HeaderValue> {
        self.authority.as_ref()
    }

    /// Puts the target of a request over HTTP/2 into the words that the endpoint knows.
    pub(crate) fn put(&self, uri: &mut Uri) -> Result<(), Failure> {
        let mut parts = std::mem::take(uri).into_parts();
        if let Some(authority) = &self.authority {
            let authority = Authority::from_maybe_shared(authority.clone());
            parts.authority = Some(authority.map_err(|_| Failure::BadRequest)?);
        }
        parts.scheme = Some(if self.rewrite.tls.is_some() { UriScheme::HTTPS } else { UriScheme::HTTP });
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        *uri = Uri::from_parts(parts).map_err(|_| Failure::BadRequest)?;
        Ok(())
    }

    /// Turns what an answer says of where the endpoint is back into the client's words, if its Service wants that.
    pub(crate) fn turn_back(&self, headers: &mut HeaderMap, asked: ClientAuthority<'_>) {
        if !self.rewrite.rewrites_answers {
            return;
        }
        let (Some(far), Ok(near)) = (self.far(asked), asked.authority.to_str()) else { return };
        let near = WebOrigin { scheme: asked.scheme.as_str(), authority: near };
        turn(headers, &LOCATION, |value| location(value, far, near));
        turn(headers, &REFRESH, |value| refresh(value, far, near));
        turn(headers, &SET_COOKIE, |value| set_cookie(value, host(far.authority)));
    }

    /// Where the endpoint thinks that it is.
    fn far<'a>(&'a self, asked: ClientAuthority<'a>) -> Option<WebOrigin<'a>> {
        let authority = self.authority.as_ref().unwrap_or(asked.authority).to_str().ok()?;
        Some(WebOrigin { scheme: self.rewrite.scheme(), authority })
    }
}

/// The name in an authority; of an address in brackets there are no cookies' domains.
fn host(authority: &str) -> &str {
    authority.split(':').next().unwrap_or_default()
}

/// Turns every value of one header; what is no text stays.
fn turn(headers: &mut HeaderMap, name: &HeaderName, turned: impl Fn(&str) -> Option<String>) {
    let Entry::Occupied(mut values) = headers.entry(name) else { return };
    for value in values.iter_mut() {
        let text = std::str::from_utf8(value.as_bytes()).ok();
        let new = text.and_then(&turned).and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok());
        if let Some(new) = new {
            *value = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(authority: Option<&str>) -> UpstreamProtocol {
        let authority = authority.map(Arc::from);
        UpstreamProtocol::new(&Arc::new(RewriteRules { authority, rewrites_answers: true, tls: None }))
    }

    #[test]
    fn both_versions_name_the_endpoint_as_it_knows_itself() {
        let speech = speech(Some("api.example.com"));
        assert_eq!(speech.host().unwrap(), "api.example.com");
        let mut uri = Uri::from_static("http://api.shop:8080/a?b");
        speech.put(&mut uri).unwrap();
        assert_eq!(uri, "http://api.example.com/a?b");
    }

    #[test]
    fn every_value_of_an_answer_is_turned_back_and_what_is_no_text_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static("http://api.example.com/next"));
        headers.append(SET_COOKIE, HeaderValue::from_static("a=1; Domain=example.com"));
        headers.append(SET_COOKIE, HeaderValue::from_bytes(b"b=\xff; Domain=example.com").unwrap());
        headers.append(SET_COOKIE, HeaderValue::from_static("c=1; Domain=elsewhere.test"));
        let asked = HeaderValue::from_static("api.shop:8080");
        let asked = ClientAuthority { scheme: Scheme::Http, authority: &asked };
        speech(Some("api.example.com")).turn_back(&mut headers, asked);
        assert_eq!(headers[LOCATION], "http://api.shop:8080/next");
        let cookies: Vec<&[u8]> = headers.get_all(SET_COOKIE).iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(cookies, [&b"a=1"[..], b"b=\xff; Domain=example.com", b"c=1; Domain=elsewhere.test"]);
    }
}
