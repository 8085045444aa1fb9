//! `Via` (RFC 9110 §7.6.3): which proxies a request has come through.

use svc_proto::names::PROXY_NAME;

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
