//! The forms of a request's target (RFC 9112 §3.2).

/// The form of a target as an endpoint gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Path and query, or `*`.
    Origin,
    /// All of it: the endpoint is a proxy, which is asked for what is elsewhere.
    Absolute,
    /// The host and the port: the same for a tunnel.
    Authority,
}
