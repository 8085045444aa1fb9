//! What of a request matters to the framing of its answer.

/// What a request is for, as far as it says where the answer's head ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// A head alone: the answer has no body, whatever it says (RFC 9110 §9.3.2).
    Head,
    /// A tunnel, which follows the head where that says 200 (§9.3.6).
    Tunnel,
    Content,
}
