//! The sources of Services.

/// Where a Service came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Files.
    Manifests,
    /// The API server, which is watched: the endpoints of a Service once somebody uses it.
    Kubernetes,
    /// The variables that the kubelet injects.
    Environment,
    /// The cluster's name server, which is asked for what somebody wants: it cannot list Services.
    Dns,
    /// A sidecar's document about its Services ([`svc_proto::services`]). A sidecar reads none: it is where they come from.
    Services,
}

impl Source {
    /// All of them, for lists and tables.
    pub const ALL: [Source; 5] =
        [Source::Manifests, Source::Kubernetes, Source::Environment, Source::Dns, Source::Services];

    /// The name that flags, metrics and documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Manifests => "manifests",
            Source::Kubernetes => "kubernetes",
            Source::Environment => "env",
            Source::Dns => "dns",
            Source::Services => "services",
        }
    }
}
