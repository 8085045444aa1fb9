//! Who may see what not everybody may.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;

use hyper::HeaderMap;
use svc_proto::names::header;

/// Whether the peer is in the pod, or shows the token that the file holds.
pub(super) fn is_trusted(peer: IpAddr, headers: &HeaderMap, token_file: Option<&Path>) -> bool {
    if peer.to_canonical().is_loopback() {
        return true;
    }
    let (Some(shown), Some(path)) = (headers.get(header::TOKEN), token_file) else { return false };
    match read(path) {
        Ok(token) => !token.trim_ascii().is_empty() && is_same(shown.as_bytes(), token.trim_ascii()),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read the admin token");
            false
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut token = Vec::new();
    File::open(path)?.take(TOKEN_BYTES_MAX).read_to_end(&mut token)?;
    Ok(token)
}

/// Takes the same time wherever two tokens of one length differ.
fn is_same(shown: &[u8], token: &[u8]) -> bool {
    let difference = |sum: u8, (a, b): (&u8, &u8)| std::hint::black_box(sum | (a ^ b));
    shown.len() == token.len() && shown.iter().zip(token).fold(0, difference) == 0
}

/// No token is a tenth of that, and the path may name anything.
const TOKEN_BYTES_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn check(peer: IpAddr, shown: Option<&str>, content: &str) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let headers = shown.map(|shown| (header::TOKEN.parse().unwrap(), shown.parse().unwrap()));
        is_trusted(peer, &headers.into_iter().collect(), Some(file.path()))
    }

    #[test]
    fn the_pod_itself_is_trusted_by_either_family() {
        for local in ["127.0.0.1", "127.66.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(check(local.parse().unwrap(), None, "secret"), "{local}");
        }
    }

    #[test]
    fn a_stranger_shows_the_whole_token() {
        assert!(check(STRANGER, Some("secret"), "secret\n"));
        for shown in [None, Some(""), Some("secre"), Some("secret2"), Some("Secret")] {
            assert!(!check(STRANGER, shown, "secret\n"), "{shown:?}");
        }
    }

    #[test]
    fn an_empty_or_missing_file_opens_nothing() {
        assert!(!check(STRANGER, Some(""), "\n"));
        let headers = [(header::TOKEN.parse().unwrap(), "x".parse().unwrap())].into_iter().collect();
        assert!(!is_trusted(STRANGER, &headers, Some(Path::new("/nonexistent"))));
        assert!(!is_trusted(STRANGER, &headers, None));
    }
}
