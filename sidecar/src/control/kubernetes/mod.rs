//! The source `kubernetes`: one HTTP/2 connection to the API server, on which what core decides is asked
//! ([`svc_core::discovery::kubernetes`]).

mod connection;
mod credentials;
mod source;

#[cfg(test)]
mod tests;

pub(crate) use source::KubernetesSource;
