//! Whether the way to endpoints is encrypted.

/// What a Service says of encrypting the way to its endpoints (S-19, S-26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It is left as it comes.
    Off,
    /// What does not come in TLS goes on in TLS.
    Originate,
}
