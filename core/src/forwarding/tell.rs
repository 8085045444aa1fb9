//! What an endpoint is told about where a request came from, and which way.

use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::IpAddr;

use svc_proto::names::header;

use super::element::element;
use super::{
    HeaderFields, HttpVersion, is_forwarding, is_look_alike, is_loop, is_said_host, is_said_port,
    is_well_formed, said_scheme, via,
};
use crate::authority::is_host;
use crate::outcome::Failure;

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Provenance<'a> {
    /// Who sent it: the peer, or whom a trusted PROXY header tells of.
    pub peer: IpAddr,
    /// Whether what `peer` says of others behind it is believed.
    pub trusted: bool,
    /// Whom `peer` speaks for ([`client_behind`](super::client_behind)): where it is not trusted, itself.
    pub client: IpAddr,
    /// How it came: `http` or `https`.
    pub scheme: &'a str,
    /// In which version of HTTP.
    pub version: HttpVersion,
    /// Whom it asks for.
    pub authority: &'a str,
}

/// What endpoints are told of their requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Where they came from. Otherwise what is said of that stays as it is, whoever says it.
    pub provenance: bool,
    /// That they came through here, which ends those that go in a circle.
    pub via: bool,
}

/// What becomes of the forwarding headers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    ends: Ends,
    /// Names, in lower case, and values that they have from now on, alone: in the place of any that came.
    pub set: Vec<(&'static str, Cow<'a, [u8]>)>,
}

/// What ends here of what is said about where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Nothing,
    /// What no peer is believed; the port too, where it is none.
    LookAlikes {
        port: bool,
    },
    All,
}

/// Says where a request came from, after what a trusted peer says (what any other says ends here), and that it came through here.
/// Allocates nothing where nothing is to be told.
///
/// # Errors
/// [`Failure::BadRequest`] when its authority is none, [`Failure::TooManyPasses`] when it goes in a circle.
pub fn tell<'a>(
    fields: &'a (impl HeaderFields + ?Sized),
    from: &Provenance<'a>,
    telling: Telling,
) -> Result<Told<'a>, Failure> {
    let mut told = Told { ends: Ends::Nothing, set: Vec::new() };
    if telling.provenance {
        told.tell_provenance(fields, from)?;
    }
    if telling.via {
        told.pass(from.version, fields)?;
    }
    Ok(told)
}

impl<'a> Told<'a> {
    /// Whether what came under `name` (in lower case) ends here, and nothing comes in its place.
    pub fn ends(&self, name: &str) -> bool {
        let ends = match self.ends {
            Ends::Nothing => false,
            Ends::LookAlikes { port } => is_look_alike(name) || (port && name == header::X_FORWARDED_PORT),
            Ends::All => is_forwarding(name),
        };
        ends && !self.set.iter().any(|(set, _)| *set == name)
    }

    fn tell_provenance(
        &mut self,
        fields: &'a (impl HeaderFields + ?Sized),
        from: &Provenance<'a>,
    ) -> Result<(), Failure> {
        if !is_host(from.authority) {
            return Err(Failure::BadRequest);
        }
        self.set.reserve_exact(SET_MAX);
        let said = |name| if from.trusted { fields.only(name) } else { None };
        self.ends = match from.trusted {
            true => Ends::LookAlikes { port: !said(header::X_FORWARDED_PORT).is_some_and(is_said_port) },
            false => Ends::All,
        };
        self.list(fields, from);
        let scheme = said(header::X_FORWARDED_PROTO);
        let told = scheme.and_then(said_scheme).unwrap_or(from.scheme);
        if scheme != Some(told.as_bytes()) {
            self.set(header::X_FORWARDED_PROTO, told.as_bytes());
        }
        if !said(header::X_FORWARDED_HOST).is_some_and(is_said_host) {
            self.set(header::X_FORWARDED_HOST, from.authority.as_bytes());
        }
        Ok(())
    }

    /// Whom it came from, behind those whom a trusted peer lists.
    fn list(&mut self, fields: &'a (impl HeaderFields + ?Sized), from: &Provenance<'_>) {
        let peer = from.peer.to_canonical();
        let listed = peer.to_string();
        let element = element(&listed, peer.is_ipv6(), Some(from.authority), from.scheme);
        let real = if from.client == peer { listed.clone() } else { from.client.to_string() };
        self.set(header::X_REAL_IP, real.into_bytes());
        let values = |name| from.trusted.then(|| fields.values(name));
        self.append(header::X_FORWARDED_FOR, values(header::X_FORWARDED_FOR), listed);
        // What cannot be read to its end would change what we add.
        let elements = values(header::FORWARDED).filter(|_| is_well_formed(fields.values(header::FORWARDED)));
        self.append(header::FORWARDED, elements, element);
    }

    /// In one line: not every reader joins several (RFC 9110 §5.3).
    fn append<'f>(
        &mut self,
        name: &'static str,
        before: Option<impl Iterator<Item = &'f [u8]>>,
        element: String,
    ) {
        let value = match before {
            Some(before) => joined(before, element.as_bytes()),
            None => element.into_bytes(),
        };
        self.set(name, value);
    }

    fn set(&mut self, name: &'static str, value: impl Into<Cow<'a, [u8]>>) {
        self.set.push((name, value.into()));
    }

    /// Says in `Via` that a request came through here, after all that it came through before, whoever says so (RFC 9110 §7.6.3).
    fn pass(
        &mut self,
        version: HttpVersion,
        fields: &'a (impl HeaderFields + ?Sized),
    ) -> Result<(), Failure> {
        let own = via(version).as_bytes();
        if fields.values(VIA).next().is_none() {
            self.set(VIA, own);
            return Ok(());
        }
        if is_loop(fields.values(VIA)) {
            return Err(Failure::TooManyPasses);
        }
        self.set(VIA, joined(fields.values(VIA), own));
        Ok(())
    }
}

fn joined<'a>(values: impl Iterator<Item = &'a [u8]>, last: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(last.len());
    for value in values.filter(|value| !value.is_empty()) {
        joined.extend_from_slice(value);
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(last);
    joined
}

const VIA: &str = "via";

/// One of each.
const SET_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::forwarding::PASSES_MAX;
    use crate::samples::ip;

    const UNTRUSTED: Provenance<'static> = Provenance {
        peer: IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 9)),
        trusted: false,
        client: IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 9)),
        scheme: "http",
        version: HttpVersion::Http11,
        authority: "web",
    };

    const PROXY: Provenance<'static> = Provenance { trusted: true, ..UNTRUSTED };

    type List<'a> = &'a [(&'a str, &'a str)];

    /// What the endpoint gets of these fields, a name and its values a line.
    fn told(fields: List<'_>, from: &Provenance<'_>) -> Result<Vec<String>, Failure> {
        let told = tell(fields, from, Telling { provenance: true, via: true })?;
        let is_set = |name: &str| told.set.iter().any(|(set, _)| *set == name);
        let stays = fields.iter().filter(|(name, _)| !told.ends(name) && !is_set(name));
        let stays = stays.map(|(name, value)| alloc::format!("{name}: {value}"));
        let set = told.set.iter();
        let set = set.map(|(name, value)| alloc::format!("{name}: {}", String::from_utf8_lossy(value)));
        let mut lines: Vec<String> = stays.chain(set).collect();
        lines.sort();
        Ok(lines)
    }

    #[track_caller]
    fn check(fields: List<'_>, from: &Provenance<'_>, expected: &[&str]) {
        assert_eq!(told(fields, from).expect("it is a request"), expected, "{fields:?}");
    }

    const PLAIN: [&str; 6] = [
        "forwarded: for=10.0.0.9;host=web;proto=http",
        "via: 1.1 svcmesh",
        "x-forwarded-for: 10.0.0.9",
        "x-forwarded-host: web",
        "x-forwarded-proto: http",
        "x-real-ip: 10.0.0.9",
    ];

    #[test]
    fn nothing_that_an_untrusted_peer_says_is_told() {
        for said in [
            &[][..],
            &[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2"), ("x-real-ip", "192.0.2.1")],
            &[("forwarded", "for=192.0.2.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "evil")],
            &[("x-forwarded-port", "443"), ("x-forwarded-user", "root"), ("x_forwarded_for", "192.0.2.1")],
        ] {
            check(said, &UNTRUSTED, &PLAIN);
        }
    }

    #[test]
    fn what_a_trusted_peer_says_is_continued() {
        let client = Provenance { client: ip("192.0.2.1"), ..PROXY };
        check(
            &[
                ("x-forwarded-for", "192.0.2.1"),
                ("x-forwarded-for", ""),
                ("x-forwarded-for", "10.0.0.3"),
                ("forwarded", "for=192.0.2.1"),
                ("x-forwarded-proto", "WSS"),
                ("x-forwarded-host", "shop.example"),
                ("x-forwarded-port", "443"),
                ("x-forwarded-prefix", "/shop"),
                ("via", "1.0 edge"),
                ("x_forwarded_for", "192.0.2.7"),
                ("accept", "*/*"),
            ],
            &client,
            &[
                "accept: */*",
                "forwarded: for=192.0.2.1, for=10.0.0.9;host=web;proto=http",
                "via: 1.0 edge, 1.1 svcmesh",
                "x-forwarded-for: 192.0.2.1, 10.0.0.3, 10.0.0.9",
                "x-forwarded-host: shop.example",
                "x-forwarded-port: 443",
                "x-forwarded-prefix: /shop",
                "x-forwarded-proto: https",
                "x-real-ip: 192.0.2.1",
            ],
        );
    }

    #[test]
    fn what_cannot_be_believed_of_anybody_is_not_continued() {
        check(
            &[
                ("forwarded", "for=\"192.0.2.1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "a, b"),
                ("x-forwarded-port", "0x50"),
            ],
            &PROXY,
            &PLAIN,
        );
    }

    #[test]
    fn ipv6_and_versions_are_written_as_their_grammar_wants() {
        let from = Provenance {
            peer: ip("2001:db8::1"),
            client: ip("2001:db8::1"),
            scheme: "https",
            version: HttpVersion::Http2,
            authority: "[fd00::1]:8080",
            ..UNTRUSTED
        };
        check(
            &[("via", "2.0 a"), ("via", ""), ("via", "1.1 b (c)")],
            &from,
            &[
                "forwarded: for=\"[2001:db8::1]\";host=\"[fd00::1]:8080\";proto=https",
                "via: 2.0 a, 1.1 b (c), 2.0 svcmesh",
                "x-forwarded-for: 2001:db8::1",
                "x-forwarded-host: [fd00::1]:8080",
                "x-forwarded-proto: https",
                "x-real-ip: 2001:db8::1",
            ],
        );
        let mapped = Provenance { peer: ip("::ffff:10.0.0.9"), ..UNTRUSTED };
        check(&[], &mapped, &PLAIN);
    }

    #[test]
    fn circles_end_and_so_do_hosts_that_are_none() {
        let mut passes = Vec::new();
        for _ in 0..PASSES_MAX {
            let fields = passes.as_slice();
            let via = told(fields, &UNTRUSTED).unwrap().into_iter().find(|line| line.starts_with("via"));
            assert_eq!(via.map(|line| line.matches("svcmesh").count()), Some(passes.len() + 1));
            passes.push(("via", "1.1 svcmesh"));
        }
        assert_eq!(told(&passes, &UNTRUSTED), Err(Failure::TooManyPasses));
        for authority in ["", "a b", "user@web", "web:0"] {
            assert_eq!(told(&[], &Provenance { authority, ..PROXY }), Err(Failure::BadRequest));
        }
    }

    #[test]
    fn who_is_to_tell_nothing_leaves_what_came_as_it_is() {
        let fields: List<'_> = &[("x-forwarded-for", "192.0.2.1"), ("x_real_ip", "1"), ("via", "1.1 a")];
        let nothing = Telling { provenance: false, via: false };
        for telling in [nothing, Telling { via: true, ..nothing }] {
            let told = tell(fields, &Provenance { authority: "no host", ..UNTRUSTED }, telling).unwrap();
            assert!(!fields.iter().any(|(name, _)| told.ends(name)));
            let via: &[u8] = b"1.1 a, 1.1 svcmesh";
            assert_eq!(told.set, Vec::from_iter(telling.via.then_some(("via", via.into()))));
        }
        let told = tell(fields, &UNTRUSTED, Telling { provenance: true, via: false }).unwrap();
        assert!(told.ends("x_real_ip") && !told.ends("via") && told.set.len() == 5);
    }

    proptest! {
        #[test]
        fn whatever_an_untrusted_peer_sends_under_a_forwarding_name_is_not_seen(
            name in "x[-_]forwarded[-_][a-z]{1,6}|x[-_]real[-_]ip|forwarded", value in "[ -~]{0,20}",
        ) {
            prop_assert_eq!(told(&[(&name, &value)], &UNTRUSTED), told(&[], &UNTRUSTED));
        }
    }
}
