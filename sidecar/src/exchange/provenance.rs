//! What an endpoint is told about where a request came from, and which way.

use std::net::IpAddr;

use hyper::Version;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use svc_core::authority::is_host;
use svc_core::forwarding::{
    self, HeaderFields, HttpVersion, Telling, forwarded_element, is_forwarding, is_look_alike, tell,
};
use svc_core::outcome::Failure;
use svc_proto::names;

use crate::http::guard::refused;
use crate::routing::resolve::ClientOrigin;

/// Whether what a request of `origin` says in a header about where it came from ends here.
pub(super) fn is_dropped(name: &str, origin: &ClientOrigin) -> bool {
    match origin.trusted {
        true => is_look_alike(name),
        false => is_forwarding(name),
    }
}

/// What endpoints are told about where a request came from, and which way.
pub(super) struct ForwardingHeaders<'o> {
    origin: &'o ClientOrigin,
    version: Version,
    /// The `Forwarded` element.
    element: HeaderValue,
}

impl<'o> ForwardingHeaders<'o> {
    /// Learns where a request came from that asks for `authority` in that `version` of HTTP.
    ///
    /// # Errors
    /// [`Failure::BadRequest`] when its host is none.
    pub(super) fn of(
        version: Version,
        authority: &HeaderValue,
        origin: &'o ClientOrigin,
    ) -> Result<ForwardingHeaders<'o>, Failure> {
        Ok(ForwardingHeaders { origin, version, element: forwarded(authority, origin)? })
    }

    /// Continues in `headers` what others have told: trusted proxies where it came from, for `client`, and anybody which way. Few requests
    /// have such headers.
    ///
    /// # Errors
    /// [`Failure::TooManyPasses`] when it goes in a circle.
    pub(super) fn continue_in(
        &self,
        headers: &mut HeaderMap,
        authority: &HeaderValue,
        client: IpAddr,
    ) -> Result<(), Failure> {
        let said = HeaderView(headers);
        let from = forwarding::Provenance {
            peer: self.origin.arrival.client.0.ip(),
            trusted: self.origin.trusted,
            client,
            scheme: self.origin.arrival.scheme.as_str(),
            version: http_version(self.version),
            authority: authority.to_str().map_err(|_| Failure::BadRequest)?,
        };
        let told = tell(&said, &from, Telling { provenance: true, via: true })?;
        let set = told.set.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value).expect("made of header values");
            (HeaderName::from_static(name), value)
        });
        let ends = headers.keys().filter(|name| told.ends(name.as_str()));
        let (set, ends): (Vec<_>, Vec<_>) = (set.collect(), ends.cloned().collect());
        ends.into_iter().for_each(|name| drop(headers.remove(name)));
        set.into_iter().for_each(|(name, value)| drop(headers.insert(name, value)));
        Ok(())
    }

    /// Tells an endpoint what nobody has `said` yet: nearly always all of it.
    pub(super) fn tell(
        &self,
        said: &HeaderMap,
        authority: &HeaderValue,
        mut put: impl FnMut(HeaderName, HeaderValue),
    ) {
        let client = &self.origin.client_value;
        let scheme = self.origin.arrival.scheme.as_str();
        let ours: [(HeaderName, HeaderValue); ADDED] = [
            (X_FORWARDED_FOR, client.clone()),
            (header::FORWARDED, self.element.clone()),
            (X_REAL_IP, client.clone()),
            (X_FORWARDED_PROTO, HeaderValue::from_static(scheme)),
            (X_FORWARDED_HOST, authority.clone()),
            (header::VIA, via(self.version)),
        ];
        ours.into_iter()
            .filter(|(name, _)| !said.contains_key(name))
            .for_each(|(name, value)| put(name, value));
    }
}

/// How many headers that is: room for all at once.
pub(super) const ADDED: usize = 6;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static(names::header::X_FORWARDED_FOR);
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static(names::header::X_FORWARDED_PROTO);
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static(names::header::X_FORWARDED_HOST);
const X_REAL_IP: HeaderName = HeaderName::from_static(names::header::X_REAL_IP);

/// What core reads headers by.
struct HeaderView<'a>(&'a HeaderMap);

impl HeaderFields for HeaderView<'_> {
    fn values<'f>(&'f self, name: &'f str) -> impl DoubleEndedIterator<Item = &'f [u8]> {
        self.0.get_all(name).into_iter().map(HeaderValue::as_bytes)
    }
}

/// The `Forwarded` element for this client and host, made once as long as the host stays the same: which is also when the host is
/// seen to be one.
fn forwarded(authority: &HeaderValue, origin: &ClientOrigin) -> Result<HeaderValue, Failure> {
    let mut cached = origin.forwarded.borrow_mut();
    if let Some((host, element)) = &*cached
        && host == authority
    {
        return Ok(element.clone());
    }
    let host = authority.to_str().map_err(|_| Failure::BadRequest)?;
    if !is_host(host) {
        return Err(refused(
            "a host is a registered name or an address, with at most one port (RFC 3986 §3.2.2)",
        ));
    }
    let element = forwarded_element(origin.arrival.client.0.ip(), Some(host), origin.arrival.scheme.as_str());
    let element = HeaderValue::from_str(&element).expect("made of header values");
    Ok(cached.insert((authority.clone(), element)).1.clone())
}

/// Says in `Via` that a response came through here, in one line: not every reader joins several (RFC 9110 §5.3).
pub(super) fn pass_back(headers: &mut HeaderMap, version: Version) {
    let before = headers.get_all(header::VIA).iter().filter(|value| !value.is_empty());
    let own = via(version);
    let lines: Vec<&[u8]> = before.chain([&own]).map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&lines.join(&b", "[..]));
    headers.insert(header::VIA, joined.expect("header values joined by a comma are a header value"));
}

fn via(version: Version) -> HeaderValue {
    match http_version(version) {
        HttpVersion::Http10 => const { HeaderValue::from_static(forwarding::via(HttpVersion::Http10)) },
        HttpVersion::Http11 => const { HeaderValue::from_static(forwarding::via(HttpVersion::Http11)) },
        HttpVersion::Http2 => const { HeaderValue::from_static(forwarding::via(HttpVersion::Http2)) },
        HttpVersion::Http3 => const { HeaderValue::from_static(forwarding::via(HttpVersion::Http3)) },
    }
}

fn http_version(version: Version) -> HttpVersion {
    match version {
        Version::HTTP_10 => HttpVersion::Http10,
        Version::HTTP_2 => HttpVersion::Http2,
        _ => HttpVersion::Http11,
    }
}
