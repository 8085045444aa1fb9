//! Log lines of the source.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use crate::endpoints::Here;

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The first connection, or one after a [`Report::Lost`], has had an answer.
    Reached,
    /// There is no connection, for this reason; each is told once until there is one again.
    Lost(String),
    /// The API server does not take our credentials (401); told once until it does.
    Unauthorized,
    /// The API server allows us this no more, or never did (403); told once until it does.
    Refused(Access),
    /// A refused access is allowed.
    Allowed(Access),
    /// It answers with this problem; told once until it works.
    Failing(Access, Problem),
    /// A failing access works.
    Works(Access),
    /// An address that no known Service has cannot be looked up, as this is not allowed or not possible.
    NoLookup(Access, Problem),
    /// Slices are only to be had in this version; `None`: not at all, and Endpoints are read.
    OldSlices(Option<&'static str>),
    /// The pod's node and zone, from the slices of its namespace.
    Here(Here),
}

/// An access, in the terms of a Role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    /// `get`, `list` or `watch`.
    pub verb: &'static str,
    /// With its API group, if it has one: `endpointslices.discovery.k8s.io`.
    pub resource: &'static str,
    /// `None`: in all of the cluster, or of no namespace.
    pub namespace: Option<Arc<str>>,
}

/// The problem with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its status, or that of an event in it.
    Status(u16),
    /// It was cut off.
    Cut,
    /// It did not come in time.
    Late,
    /// It exceeds the buffer.
    TooLong,
    /// It is not what was asked for.
    Malformed(String),
}

impl Report {
    /// Whether it is logged as a warning.
    pub fn is_warning(&self) -> bool {
        match self {
            Report::Lost(_) | Report::Unauthorized | Report::Refused(_) | Report::Failing(..) => true,
            Report::Reached
            | Report::Allowed(_)
            | Report::Works(_)
            | Report::NoLookup(..)
            | Report::OldSlices(_)
            | Report::Here(_) => false,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Reached => f.write_str("the API server answers"),
            Report::Lost(reason) => {
                write!(f, "no connection to the API server: {reason}; what is known stays in force")
            }
            Report::Unauthorized => f.write_str(
                "the API server does not take the token of the service account (401); what is known stays in force\n\
                 hint: is the service account still there, and its token mounted?",
            ),
            Report::Refused(access) => {
                write!(
                    f,
                    "the API server does not allow us to {access} (403); the environment and DNS are asked instead\n\
                     hint: kubectl apply -k deploy/rbac/namespaced"
                )?;
                access.namespace.iter().try_for_each(|namespace| write!(f, ", with `namespace: {namespace}`"))
            }
            Report::Allowed(access) => write!(f, "the API server allows us to {access}"),
            Report::Failing(access, problem) => write!(f, "cannot {access}: {problem}"),
            Report::Works(access) => write!(f, "can {access} again"),
            Report::NoLookup(access, problem) => {
                write!(f, "connections to addresses of no known Service pass through: cannot {access} by address: {problem}")?;
                if *problem == Problem::Status(403) {
                    f.write_str("\nhint: kubectl apply -k deploy/rbac/cluster-lookup")?;
                }
                Ok(())
            }
            Report::OldSlices(Some(version)) => {
                write!(f, "the API server has EndpointSlices of discovery.k8s.io/{version} only")
            }
            Report::OldSlices(None) => f.write_str("the API server has no EndpointSlices: reading Endpoints"),
            Report::Here(Here { node, zone }) => {
                f.write_str("slices of the namespace tell where this pod runs:")?;
                node.iter().try_for_each(|node| write!(f, " node {node:?}"))?;
                zone.iter().try_for_each(|zone| write!(f, " zone {zone:?}"))
            }
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace:?}"),
            None => f.write_str(" of the cluster"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Status(status) => write!(f, "status {status}"),
            Problem::Cut => f.write_str("the answer was cut off"),
            Problem::Late => f.write_str("no answer in time"),
            Problem::TooLong => f.write_str("the answer is too long"),
            Problem::Malformed(what) => write!(f, "not what was asked for: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn the_docs_show_what_is_told_of_a_missing_permission() {
        let access = Access { verb: "list", resource: "services", namespace: Some("shop".into()) };
        let document = include_str!("../../../../docs/kubernetes.md");
        let told = Report::Refused(access).to_string();
        assert!(document.contains(&told), "docs/kubernetes.md lacks: {told}");
        let access = Access { verb: "list", resource: "services", namespace: None };
        let told = Report::NoLookup(access, Problem::Status(403)).to_string();
        assert!(document.contains(&told), "docs/kubernetes.md lacks: {told}");
    }
}
