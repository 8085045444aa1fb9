//! What fuzz targets drive of the parts that nobody else reaches from outside.

/// Reads any bytes as an endpoint's answer over HTTP/1.1.
///
/// # Panics
/// The pieces that they come in change what they say, or hyper's client reads them otherwise.
pub fn answer(bytes: &[u8]) {
    crate::upstream::check_answer(bytes);
}
