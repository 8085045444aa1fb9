//! What is refused, and why.

use std::fmt;

use svc_core::outcome::Failure;

/// A rule that a request breaks. `Display` says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Method,
    Target,
    Version,
    FieldName,
    FieldValue,
    LineEnd,
    TooManyFields,
    HeadTooLarge,
    TargetTooLong,
    CutShort,
    Length,
    Lengths,
    Coding,
    CodingOfHttp10,
    ContentOfConnect,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    TrailerLine,
}

impl Rule {
    /// What the client is told.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Rule::TooManyFields | Rule::HeadTooLarge => Failure::HeadTooLarge,
            Rule::TargetTooLong => Failure::TargetTooLong,
            Rule::Method
            | Rule::Target
            | Rule::Version
            | Rule::FieldName
            | Rule::FieldValue
            | Rule::LineEnd
            | Rule::CutShort
            | Rule::Length
            | Rule::Lengths
            | Rule::Coding
            | Rule::CodingOfHttp10
            | Rule::ContentOfConnect
            | Rule::ChunkSize
            | Rule::ChunkExtension
            | Rule::ChunkEnd
            | Rule::TrailerLine => Failure::BadRequest,
        }
    }

    /// Tells who looks for it.
    pub(super) fn tell(self, what: &str) {
        tracing::debug!(rule = %self, "refused {what}");
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Method => "the method is a token, and one space follows it (RFC 9112 §3)",
            Rule::Target => "the target is a URI without spaces, and one space follows it (RFC 9112 §3.2)",
            Rule::Version => "the version is HTTP/1.0 or HTTP/1.1 (RFC 9112 §2.3)",
            Rule::FieldName => "a field name is a token, and its colon follows at once (RFC 9112 §5.1)",
            Rule::FieldValue => "a field value is one line without control characters (RFC 9110 §5.5)",
            Rule::LineEnd => "a line ends with CRLF (RFC 9112 §2.2)",
            Rule::TooManyFields => "a head has at most 256 fields",
            Rule::HeadTooLarge => "a head has at most 64 KiB",
            Rule::TargetTooLong => "a request line has at most 64 KiB",
            Rule::CutShort => "a head ends before its connection does",
            Rule::Length => "a length is digits of a number of 64 bits (RFC 9110 §8.6)",
            Rule::Lengths => "there is one length (RFC 9112 §6.3)",
            Rule::Coding => "a body comes in chunks and in no other coding (RFC 9112 §6.1)",
            Rule::CodingOfHttp10 => "HTTP/1.0 has no transfer codings (RFC 9112 §6.1)",
            Rule::ContentOfConnect => "CONNECT has no content (RFC 9110 §9.3.6)",
            Rule::ChunkSize => {
                "the size of a chunk is hexadecimal digits of a number of 64 bits (RFC 9112 §7.1)"
            }
            Rule::ChunkExtension => "a chunk's extensions have no control characters (RFC 9112 §7.1.1)",
            Rule::ChunkEnd => "CRLF follows the data of a chunk (RFC 9112 §7.1)",
            Rule::TrailerLine => "a trailer is a line without control characters (RFC 9112 §7.1.2)",
        })
    }
}

impl std::error::Error for Rule {}

/// The failure of a request that is read in two ways, and a word to who looks for it.
pub(crate) fn refused(rule: &str) -> Failure {
    tracing::debug!(rule, "refused a request");
    Failure::BadRequest
}
