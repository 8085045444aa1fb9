//! Who may see what not everybody may.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;

use hyper::{HeaderMap, Request};
use svc_proto::names::header;

use super::host;

/// Whether the request comes from the pod, and was meant for it; or shows the token that the file holds, which no web page can.
pub(super) fn is_trusted<B>(peer: IpAddr, request: &Request<B>, token_file: Option<&Path>) -> bool {
    let is_of_pod = peer.to_canonical().is_loopback() && host::is_own(request);
    is_of_pod || shows_token(request.headers(), token_file)
}

fn shows_token(headers: &HeaderMap, token_file: Option<&Path>) -> bool {
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

    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn check(peer: IpAddr, shown: Option<&str>, content: &str) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let mut request = Request::builder().header("host", "localhost:15020");
        if let Some(shown) = shown {
            request = request.header(header::TOKEN, shown);
        }
        is_trusted(peer, &request.body(()).unwrap(), Some(file.path()))
    }

    #[test]
    fn who_comes_from_the_pod_by_a_foreign_name_needs_the_token() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret").unwrap();
        let local = "127.0.0.1".parse().unwrap();
        let rebound = || Request::builder().header("host", "evil.example:15020");
        assert!(!is_trusted(local, &rebound().body(()).unwrap(), Some(file.path())));
        let with_token = rebound().header(header::TOKEN, "secret").body(()).unwrap();
        assert!(is_trusted(local, &with_token, Some(file.path())));
    }

    #[test]
    fn the_pod_itself_is_trusted_by_either_family() {
        for local in ["127.0.0.1", "127.66.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(check(local.parse().unwrap(), None, "secret"), "{local}");
        }
    }

    #[test]
    fn who_asks_from_elsewhere_shows_the_whole_token() {
        assert!(check(ELSEWHERE, Some("secret"), "secret\n"));
        for shown in [None, Some(""), Some("secre"), Some("secret2"), Some("Secret")] {
            assert!(!check(ELSEWHERE, shown, "secret\n"), "{shown:?}");
        }
    }

    #[test]
    fn an_empty_or_missing_file_opens_nothing() {
        assert!(!check(ELSEWHERE, Some(""), "\n"));
        let headers = [(header::TOKEN.parse().unwrap(), "x".parse().unwrap())].into_iter().collect();
        assert!(!shows_token(&headers, Some(Path::new("/nonexistent"))));
        assert!(!shows_token(&headers, None));
    }
}
