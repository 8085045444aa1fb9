//! PROXY headers: whatever is read is written and read as the same, and no beginning of it is read as something else.

use svc_proto::proxy_header::{HEADER_BYTES_MAX, Origin, Step, Version, decode, encode_v1, encode_v2};

pub(crate) fn check(bytes: &[u8]) {
    let Ok(Step::Done { value, used }) = decode(bytes) else { return };
    for end in 0..used {
        match decode(&bytes[..end]) {
            Ok(Step::More { need }) => assert!(need > 0 && end + need <= used, "{end} {need}"),
            other => panic!("{end} bytes: {other:?}"),
        }
    }
    match (value.version, value.origin) {
        (Version::V1, Origin::Client(addresses)) => {
            let line = encode_v1(Some((addresses.source, addresses.destination)));
            let Ok(Step::Done { value: again, .. }) = decode(line.as_bytes()) else { panic!("{line}") };
            assert_eq!(again.origin, value.origin);
        }
        (Version::V1, _) => assert_eq!(value.origin, Origin::Unknown),
        (Version::V2, _) if used + CHECKSUM_BYTES > HEADER_BYTES_MAX => {}
        (Version::V2, origin) => {
            let written = encode_v2(origin, value.tlvs.iter(), true).expect("it fits with a checksum");
            assert!(matches!(decode(&written), Ok(Step::Done { value, .. }) if value.origin == origin));
        }
    }
}

const CHECKSUM_BYTES: usize = 7;
