//! Answers that name the endpoint as it knows itself, turned into the name that the client knows: what nginx does by
//! `proxy_redirect` and `proxy_cookie_domain`, and no more.

use alloc::format;
use alloc::string::String;

/// Where something is on the web: the origin of RFC 6454, and how a `Host` writes it.
#[derive(Clone, Copy, Debug)]
pub struct WebOrigin<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// A host, and a port where it is not the scheme's.
    pub authority: &'a str,
}

/// A `Location` of an endpoint that is at `far`, for a client to which that is at `near`; `None`: it stays as it is, for it leads elsewhere or
/// is relative.
pub fn location(value: &str, far: WebOrigin<'_>, near: WebOrigin<'_>) -> Option<String> {
    if near.authority.is_empty() {
        return None; // HTTP/1.0 need not name a host
    }
    let (scheme, rest) = match value.strip_prefix("//") {
        Some(rest) => (far.scheme, rest), // by the scheme that the endpoint was asked in (RFC 3986 §4.2)
        None => {
            let (scheme, rest) = value.split_once(':')?;
            (scheme, rest.strip_prefix("//")?)
        }
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let leads_there = scheme.eq_ignore_ascii_case(far.scheme) && is_same(authority, far);
    leads_there.then(|| format!("{}://{}{path}", near.scheme, near.authority))
}

/// The same of a `Refresh`: `5; url=https://api.example.com/`.
pub fn refresh(value: &str, far: WebOrigin<'_>, near: WebOrigin<'_>) -> Option<String> {
    let (delay, parameter) = value.split_once([';', ','])?;
    let (name, target) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("url") {
        return None;
    }
    let target = target.trim();
    let quoted = ['"', '\''].into_iter().find(|quote| target.starts_with(*quote) && target.ends_with(*quote));
    let inner = quoted.map_or(target, |quote| target.trim_matches(quote));
    let target = location(inner, far, near)?;
    Some(format!("{delay}; url={target}"))
}

/// A `Set-Cookie` without its `Domain`, where that is `far_host` or holds it: the cookie is then one of the host that the client asked (RFC 6265
/// §5.3), which that domain would make the client refuse. `None`: it stays as it is.
pub fn set_cookie(value: &str, far_host: &str) -> Option<String> {
    let is_far = |attribute: &str| {
        let (name, domain) = attribute.split_once('=').unwrap_or((attribute, ""));
        name.trim().eq_ignore_ascii_case("domain") && holds(domain.trim(), far_host)
    };
    let mut parts = value.split(';');
    let pair = parts.next()?; // name and value, whatever they are called
    if !parts.clone().any(is_far) {
        return None;
    }
    let mut kept = String::with_capacity(value.len());
    kept.push_str(pair);
    for attribute in parts.filter(|attribute| !is_far(attribute)) {
        kept.push(';');
        kept.push_str(attribute);
    }
    Some(kept)
}

/// Whether two authorities are one at the scheme of `place`: the port of the scheme may be left out.
fn is_same(authority: &str, place: WebOrigin<'_>) -> bool {
    let default = if place.scheme == "https" { "443" } else { "80" };
    let (host, port) = split_port(authority, default);
    let (own_host, own_port) = split_port(place.authority, default);
    host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(own_host) && port == own_port
}

fn split_port<'a>(authority: &'a str, default: &'a str) -> (&'a str, &'a str) {
    match authority.rsplit_once(':') {
        Some((host, "")) => (host, default),
        Some((host, port)) if !port.contains(']') => (host, port),
        Some(_) | None => (authority, default),
    }
}

/// RFC 6265 §5.1.3; a dot before the domain says nothing (§5.2.3).
fn holds(domain: &str, host: &str) -> bool {
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    let before = host.len().checked_sub(domain.len()).filter(|_| !domain.is_empty());
    before.is_some_and(|before| {
        let ends = host.get(before..).is_some_and(|end| end.eq_ignore_ascii_case(domain));
        ends && (before == 0 || host.as_bytes()[before - 1] == b'.')
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAR: WebOrigin<'_> = WebOrigin { scheme: "https", authority: "api.example.com" };
    const NEAR: WebOrigin<'_> = WebOrigin { scheme: "http", authority: "api.shop:443" };

    #[test]
    fn a_location_at_the_endpoint_is_told_by_the_clients_name_for_it() {
        for (said, told) in [
            ("https://api.example.com/login?next=/#top", "http://api.shop:443/login?next=/#top"),
            ("https://api.example.com", "http://api.shop:443"),
            ("https://api.example.com?a", "http://api.shop:443?a"),
            ("HTTPS://API.Example.COM./a", "http://api.shop:443/a"),
            ("https://api.example.com:443/a", "http://api.shop:443/a"),
            ("https://api.example.com:/a", "http://api.shop:443/a"),
            ("//api.example.com/a", "http://api.shop:443/a"),
            (
                "https://api.example.com/to?url=https://api.example.com/",
                "http://api.shop:443/to?url=https://api.example.com/",
            ),
        ] {
            assert_eq!(location(said, FAR, NEAR).as_deref(), Some(told), "{said}");
        }
    }

    #[test]
    fn what_is_relative_or_leads_elsewhere_stays() {
        for said in [
            "",
            "/login",
            "login",
            "?a=//api.example.com",
            "/a//api.example.com/b",
            "http://api.example.com/", // another port, and perhaps another server: nginx leaves it too
            "https://api.example.com:8443/",
            "https://example.com/",
            "https://www.api.example.com/",
            "https://api.example.com.evil.test/",
            "https://evil.test/https://api.example.com/",
            "https://user@api.example.com/",
            "https://api.example.com@evil.test/",
            "ftp://api.example.com/",
            "urn:x",
        ] {
            assert_eq!(location(said, FAR, NEAR), None, "{said}");
        }
        let nowhere = WebOrigin { authority: "", ..NEAR };
        assert_eq!(location("https://api.example.com/", FAR, nowhere), None);
    }

    #[test]
    fn ports_that_are_not_the_schemes_are_part_of_the_place() {
        let far = WebOrigin { scheme: "http", authority: "api.example.com:8080" };
        let near = WebOrigin { scheme: "https", authority: "[fd00::1]" };
        assert_eq!(
            location("http://api.example.com:8080/a", far, near).as_deref(),
            Some("https://[fd00::1]/a")
        );
        assert_eq!(location("http://api.example.com/a", far, near), None);
        let literal = WebOrigin { scheme: "http", authority: "[fd00::1]" };
        assert_eq!(
            location("http://[fd00::1]:80/a", literal, NEAR).as_deref(),
            Some("http://api.shop:443/a")
        );
    }

    #[test]
    fn a_refresh_is_turned_as_a_location_is() {
        for (said, told) in [
            ("5; url=https://api.example.com/a", Some("5; url=http://api.shop:443/a")),
            ("0;URL='https://api.example.com/a'", Some("0; url=http://api.shop:443/a")),
            ("0, url=\"https://api.example.com/\"", Some("0; url=http://api.shop:443/")),
            ("5", None),
            ("5; url=/a", None),
            ("5; at=https://api.example.com/a", None),
            ("5; url=https://other.example.com/a", None),
        ] {
            assert_eq!(refresh(said, FAR, NEAR).as_deref(), told, "{said}");
        }
    }

    #[test]
    fn a_cookie_of_the_endpoints_domain_becomes_one_of_the_host_that_was_asked() {
        for (said, told) in [
            ("a=b; Domain=api.example.com; Path=/; Secure", Some("a=b; Path=/; Secure")),
            ("a=b;domain=.Example.COM", Some("a=b")),
            ("a=b; Path=/; DOMAIN = example.com ;HttpOnly", Some("a=b; Path=/;HttpOnly")),
            ("a=b; Domain=other.example.com", None),
            ("a=b; Domain=ple.com", None),
            ("a=b; Domain=", None),
            ("a=b; Domain", None),
            ("a=b; Path=/", None),
            ("Domain=example.com", None),
            ("a=\"x;Domain=example.com;y\"", Some("a=\"x;y\"")), // a cookie has no quoting (RFC 6265 §5.2)
            ("", None),
        ] {
            assert_eq!(set_cookie(said, "api.example.com").as_deref(), told, "{said}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_that_leads_elsewhere_is_led_here(value in "(https?:)?(//)?[a-z.:@/?\\[\\]é]{0,12}(api\\.example\\.com)?[a-z:/@é;=]{0,12}") {
            if let Some(told) = location(&value, FAR, NEAR) {
                prop_assert!(told.starts_with("http://api.shop:443"), "{}", told);
                prop_assert!(value.contains("//api.example.com"), "{}", value);
            }
            let _ = (refresh(&value, FAR, NEAR), set_cookie(&value, "api.example.com"));
        }
    }
}
