//! What a source tells of its objects.

use alloc::sync::Arc;

use crate::address::ServiceName;
use crate::dns::answer::Record;
use crate::endpoints::Here;
use crate::service::{Service, Slice};

/// One thing a source has learned. `None`: the object is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A Service.
    Service(ServiceName, Option<Arc<Service>>),
    /// A part of its endpoints.
    Slice(SliceKey, Option<Arc<Slice>>),
    /// Whether the slices of this Service are known to its source: where not, whoever asks for it waits. Only [`Source::Kubernetes`] tells.
    ///
    /// [`Source::Kubernetes`]: crate::table::Source::Kubernetes
    Endpoints(ServiceName, bool),
    /// What DNS says of a name (lower case, without a dot at the end), for every Service that is reached by it. `None`: nothing, or
    /// that there is none.
    Name(Arc<str>, Option<Arc<[Record]>>),
    /// The pod's node and zone, for what [`Settings::here`](super::Settings::here) leaves open.
    Here(Here),
}

/// Names a [`Slice`] within its source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceKey {
    /// The namespace of the object.
    pub namespace: Arc<str>,
    /// The name of the object.
    pub name: Arc<str>,
    /// Tells the slices of one object apart: an Endpoints object yields one for each subset and address family, an
    /// EndpointSlice only part 0.
    pub part: u32,
    /// Whether the object is an Endpoints, whose names live beside those of EndpointSlices.
    pub from_endpoints: bool,
}
