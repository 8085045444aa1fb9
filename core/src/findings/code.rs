//! The kinds of findings. A code is never used again for something else.

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Clients fail.
    Error,
    /// Clients may fail, or do not get what the object promises.
    Warning,
}

impl Severity {
    /// Its word in tables and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $code:literal $severity:ident $title:literal $why:literal $fix:literal)*) => {
        /// A kind of findings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All of them, by number.
            pub const ALL: &[Code] = &[$(Code::$variant),*];

            /// `SVC001`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code),* }
            }

            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity),* }
            }

            /// A line for an index.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title),* }
            }

            /// Why it hurts.
            pub fn why(self) -> &'static str {
                match self { $(Code::$variant => $why),* }
            }

            /// What to do.
            pub fn fix(self) -> &'static str {
                match self { $(Code::$variant => $fix),* }
            }
        }
    };
}

codes! {
    NoPod "SVC001" Error "The selector matches no pod."
        "The Service has no endpoints: connections are refused."
        "Correct the selector, or the labels of the pods; the finding names the nearest labels."
    PortMissing "SVC002" Error "A named target port is missing in pods."
        "Pods without a container port of that name get no connections through this port."
        "Name the container port in all pods, or give `targetPort` a number."
    NoneReady "SVC004" Error "No endpoint is ready."
        "Connections are refused."
        "Look at the pods: readiness probes, crashes, images that cannot be pulled."
    FewReady "SVC005" Warning "Fewer than half of the endpoints are ready."
        "The ready endpoints carry the whole load."
        "Look at the pods that are not ready."
    LooksLikeAddress "SVC010" Error "The external name looks like an IPv4 address."
        "DNS treats it as a name, and finds nothing."
        "Use a Service without selector and an EndpointSlice with the address."
    LeadsToLoopback "SVC012" Error "The external name leads to the client itself."
        "Each client connects to its own loopback address."
        "Name the host that provides the service."
    LoneAffinity "SVC014" Warning "Session affinity with one endpoint."
        "There is nothing to choose from: the affinity has no effect until there are more endpoints."
        "Remove `sessionAffinity`, or run more pods."
    HeadlessEmpty "SVC017" Error "A headless Service has no endpoints."
        "Its name does not resolve: clients see NXDOMAIN, not a refused connection."
        "Look at the selector and at the pods; `publishNotReadyAddresses` shows pods before they are ready."
    SharedAddress "SVC018" Error "Two pods are listed with one address."
        "One of them is out of date: connections may reach a pod of another application."
        "Delete the stale EndpointSlice; find out which controller wrote it."
    Ownerless "SVC019" Warning "An EndpointSlice belongs to no Service."
        "Nothing uses its endpoints."
        "Correct the label `kubernetes.io/service-name`, or delete the slice."
}
