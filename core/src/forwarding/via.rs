//! `Via` (RFC 9110 §7.6.3): which proxies a request has come through.

use svc_proto::names::PROXY_NAME;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
    /// HTTP/3
    Http3,
}

impl HttpVersion {
    /// By its name in a request line, or in the word that proxies have for it: `HTTP/1.1`, `HTTP/2`. What has another name is HTTP/1.1.
    pub fn named(name: &str) -> HttpVersion {
        match name {
            "HTTP/1.0" => HttpVersion::Http10,
            "HTTP/2" | "HTTP/2.0" => HttpVersion::Http2,
            "HTTP/3" | "HTTP/3.0" => HttpVersion::Http3,
            _ => HttpVersion::Http11,
        }
    }
}

/// What `Via` says of a message that came through here in that version. The name is one that all of ours have: whose pod it is concerns
/// nobody. A version without a minor one counts as having 0 (§2.5).
pub const fn via(version: HttpVersion) -> &'static str {
    match version {
        HttpVersion::Http10 => "1.0 svcmesh",
        HttpVersion::Http11 => "1.1 svcmesh",
        HttpVersion::Http2 => "2.0 svcmesh",
        HttpVersion::Http3 => "3.0 svcmesh",
    }
}

/// How often one request may come through proxies of ours. Every pod of a chain that passes `Via` on adds two at most, its own and its
/// caller's: five such pods in a row are more than anybody has, and a circle ends after ten turns.
pub const PASSES_MAX: usize = 10;

/// Whether a request with these values of `Via` goes in a circle. All of our proxies have one name there: none tells which pod it
/// serves, and a circle of several is one too.
pub fn is_loop<'a>(via: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let entries = via.into_iter().flat_map(|line| line.split(|&byte| byte == b','));
    entries.filter(|entry| received_by(entry) == Some(PROXY_NAME.as_bytes())).count() >= PASSES_MAX
}

/// `1.1 svcmesh (comment)` → `svcmesh`
fn received_by(entry: &[u8]) -> Option<&[u8]> {
    let mut words = entry.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_says_its_own_and_is_counted_as_ours() {
        for (name, said) in [
            ("HTTP/1.0", "1.0 svcmesh"),
            ("HTTP/1.1", "1.1 svcmesh"),
            ("HTTP/2", "2.0 svcmesh"),
            ("HTTP/3", "3.0 svcmesh"),
            ("", "1.1 svcmesh"),
        ] {
            assert_eq!(via(HttpVersion::named(name)), said, "{name}");
            assert!(is_loop([said.as_bytes(); PASSES_MAX]), "{said}");
        }
    }

    #[test]
    fn the_eleventh_pass_is_one_too_many() {
        let nine = ["1.1 svcmesh"; PASSES_MAX - 1].join(", ");
        for (last, looped) in [
            ("", false),
            ("1.1 other", false),
            ("1.1 svcmesh2", false),
            ("svcmesh", false),
            ("1.1 other (1.1 svcmesh)", false),
            ("1.1 svcmesh", true),
            ("HTTP/2.0\tsvcmesh (x)", true),
        ] {
            assert_eq!(is_loop([nine.as_bytes(), last.as_bytes()]), looped, "{last}");
        }
        assert!(!is_loop([]));
    }
}
