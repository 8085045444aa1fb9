//! Which source decides about a Service.

use alloc::sync::Arc;

use super::facts::Facts;
use crate::address::ServiceName;
use crate::service::Service;
use crate::table::Source;

/// Who decides about a Service, and what it says.
pub(super) struct Decision<'a> {
    pub(super) source: Source,
    pub(super) service: &'a Arc<Service>,
    pub(super) facts: &'a Facts,
}

pub(super) fn decide<'a>(sources: &'a [(Source, Facts)], name: &ServiceName) -> Option<Decision<'a>> {
    let known = |(source, facts): &'a (Source, Facts)| {
        facts.service(name).map(|service| Decision { source: *source, service, facts })
    };
    sources.iter().find_map(known)
}
