//! What an endpoint is told about where a request came from, and which way.

use std::net::IpAddr;

use hyper::Version;
use hyper::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use svc_core::forwarding::{
    forwarded_element, is_forwarding, is_look_alike, is_loop, is_said_host, is_said_port, is_well_formed,
    said_scheme,
};
use svc_core::outcome::Failure;
use svc_proto::names;

use super::resolve::Origin;

/// Whether what a request of `origin` says in a header about where it came from ends here.
pub(super) fn is_dropped(name: &str, origin: &Origin) -> bool {
    match origin.trusted {
        true => is_look_alike(name),
        false => is_forwarding(name),
    }
}

/// What endpoints are told about where a request came from, and which way.
pub(super) struct Provenance<'o> {
    origin: &'o Origin,
    /// The `Forwarded` element.
    element: HeaderValue,
}

impl<'o> Provenance<'o> {
    /// Learns where a request of `client` came from, and adds that to what a trusted proxy said of it. What any other said is gone already.
    ///
    /// # Errors
    /// [`Failure::BadRequest`] when its host is none.
    pub(super) fn of(
        headers: &mut HeaderMap,
        authority: &HeaderValue,
        client: IpAddr,
        origin: &'o Origin,
    ) -> Result<Provenance<'o>, Failure> {
        let element = forwarded(authority, origin)?;
        if origin.trusted {
            sift(headers);
            append(headers, X_FORWARDED_FOR, &origin.client_value);
            append(headers, header::FORWARDED, &element);
            headers.insert(X_REAL_IP, real_ip(client, origin));
        }
        Ok(Provenance { origin, element })
    }

    /// Tells an endpoint what nobody has said yet: nearly always all of it. The client asked for `authority` in that `version` of HTTP.
    pub(super) fn tell(&self, headers: &mut HeaderMap, authority: &HeaderValue, version: Version) {
        let client = &self.origin.client_value;
        headers.entry(X_FORWARDED_FOR).or_insert_with(|| client.clone());
        headers.entry(header::FORWARDED).or_insert_with(|| self.element.clone());
        headers.entry(X_REAL_IP).or_insert_with(|| client.clone());
        let scheme = self.origin.arrival.scheme.as_str();
        headers.entry(X_FORWARDED_PROTO).or_insert_with(|| HeaderValue::from_static(scheme));
        headers.entry(X_FORWARDED_HOST).or_insert_with(|| authority.clone());
        headers.entry(header::VIA).or_insert_with(|| via(version));
    }
}

/// How many headers that is: room for all at once.
pub(super) const ADDED: usize = 6;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static(names::header::X_FORWARDED_FOR);
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static(names::header::X_FORWARDED_PROTO);
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static(names::header::X_FORWARDED_HOST);
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static(names::header::X_FORWARDED_PORT);
const X_REAL_IP: HeaderName = HeaderName::from_static(names::header::X_REAL_IP);

/// Drops what even a trusted proxy is not believed: it may have passed on what somebody else made up.
fn sift(headers: &mut HeaderMap) {
    if let Some(said) = headers.get(X_FORWARDED_PROTO) {
        let scheme = only(headers, &X_FORWARDED_PROTO).and(said_scheme(said.as_bytes()));
        match scheme {
            Some(scheme) => drop(headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme))),
            None => drop(headers.remove(X_FORWARDED_PROTO)),
        }
    }
    for (name, is_said) in
        [(X_FORWARDED_HOST, is_said_host as fn(&[u8]) -> bool), (X_FORWARDED_PORT, is_said_port)]
    {
        if !only(headers, &name).is_some_and(|said| is_said(said.as_bytes())) {
            headers.remove(name);
        }
    }
    if !is_well_formed(headers.get_all(header::FORWARDED).iter().map(HeaderValue::as_bytes)) {
        headers.remove(header::FORWARDED);
    }
}

/// The value of a header that comes once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The client's address, which is the peer's most of the time.
fn real_ip(client: IpAddr, origin: &Origin) -> HeaderValue {
    match origin.trusted && client != origin.arrival.client.0.ip().to_canonical() {
        true => HeaderValue::from_str(&client.to_string()).expect("an address is a header value"),
        false => origin.client_value.clone(),
    }
}

/// The `Forwarded` element for this client and host, made once as long as the host stays the same: which is also when the host is
/// seen to be one.
fn forwarded(authority: &HeaderValue, origin: &Origin) -> Result<HeaderValue, Failure> {
    let mut cached = origin.forwarded.borrow_mut();
    if let Some((host, element)) = &*cached
        && host == authority
    {
        return Ok(element.clone());
    }
    let host = authority.to_str().map_err(|_| Failure::BadRequest)?;
    svc_core::authority::Authority::parse(host).map_err(|_| Failure::BadRequest)?;
    let element = forwarded_element(origin.arrival.client.0.ip(), Some(host), origin.arrival.scheme.as_str());
    let element = HeaderValue::from_str(&element).expect("made of header values");
    Ok(cached.insert((authority.clone(), element)).1.clone())
}

/// Adds this hop to the `Via` of a request that has come through others (RFC 9110 §7.6.3).
///
/// # Errors
/// [`Failure::TooManyPasses`] when it goes in a circle.
pub(super) fn pass(headers: &mut HeaderMap, version: Version) -> Result<(), Failure> {
    if is_loop(headers.get_all(header::VIA).iter().map(HeaderValue::as_bytes)) {
        return Err(Failure::TooManyPasses);
    }
    append(headers, header::VIA, &via(version));
    Ok(())
}

/// Says in `Via` that a response came through here.
pub(super) fn pass_back(headers: &mut HeaderMap, version: Version) {
    append(headers, header::VIA, &via(version));
}

/// A name that all of ours have: whose pod it is concerns nobody. HTTP/2 has no minor version, which counts as 0 (§2.5).
fn via(version: Version) -> HeaderValue {
    match version {
        Version::HTTP_2 => const { HeaderValue::from_static("2.0 svcmesh") },
        Version::HTTP_10 => const { HeaderValue::from_static("1.0 svcmesh") },
        _ => const { HeaderValue::from_static("1.1 svcmesh") },
    }
}

/// Adds an element to a list header, in one line: not every reader joins several (RFC 9110 §5.3).
fn append(headers: &mut HeaderMap, name: HeaderName, element: &HeaderValue) {
    match headers.entry(name) {
        Entry::Vacant(entry) => {
            entry.insert(element.clone());
        }
        Entry::Occupied(mut entry) => {
            let joined = joined(entry.iter(), element);
            entry.insert(joined);
        }
    }
}

fn joined<'a>(values: impl Iterator<Item = &'a HeaderValue>, last: &HeaderValue) -> HeaderValue {
    let mut joined = Vec::new();
    for value in values.filter(|value| !value.is_empty()) {
        joined.extend_from_slice(value.as_bytes());
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(last.as_bytes());
    HeaderValue::from_bytes(&joined).expect("header values joined by a comma are a header value")
}

#[cfg(test)]
mod tests {
    use svc_core::forwarding::PASSES_MAX;

    use super::*;

    #[test]
    fn a_request_has_passed_as_often_as_core_counts() {
        let mut headers = HeaderMap::new();
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2].iter().cycle().take(PASSES_MAX) {
            assert_eq!(pass(&mut headers, *version), Ok(()));
        }
        assert_eq!(headers[header::VIA].to_str().unwrap().matches(names::PROXY_NAME).count(), PASSES_MAX);
        assert_eq!(pass(&mut headers, Version::HTTP_11), Err(Failure::TooManyPasses));
    }
}
