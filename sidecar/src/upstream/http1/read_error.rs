//! Why an answer could not be heard.

/// Why an answer does not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// It is not HTTP/1, or could be read in two ways.
    Malformed,
    /// Its connection ended first.
    CutShort,
}
