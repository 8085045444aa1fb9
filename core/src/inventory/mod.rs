//! What all sources say, best first, and the [`Table`](crate::table::Table) that follows from it.

use alloc::string::String;
use alloc::sync::Arc;

use crate::address::ServiceName;
use crate::service::{Service, Slice};

mod settings;

pub use settings::{LoopbackVips, Settings};

/// One thing a source has learned. `None`: the object is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A Service.
    Service(ServiceName, Option<Arc<Service>>),
    /// A part of its endpoints.
    Slice(SliceKey, Option<Arc<Slice>>),
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

/// An object, or a part of one, that does not serve, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rejection {
    /// The object as messages of the API name it: `Service "shop/web"`.
    pub object: String,
    /// Where it was read; empty when that is not known.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}
