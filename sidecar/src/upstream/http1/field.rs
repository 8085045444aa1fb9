//! Header fields as httparse has them, as hyper has them.

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};

use super::read_error::ReadError::{self, Malformed};

/// A header, whose value is a part of `bytes`.
pub(super) fn header(
    bytes: &Bytes,
    field: &httparse::Header<'_>,
) -> Result<(HeaderName, HeaderValue), ReadError> {
    let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed)?;
    let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).map_err(|_| Malformed)?;
    Ok((name, value))
}
