//! Which source decides about a Service.

use alloc::sync::Arc;

use super::facts::SourceFacts;
use crate::address::ServiceName;
use crate::service::Service;
use crate::table::Source;

/// Who decides about a Service, and what it says.
pub(super) struct Decision<'a> {
    pub(super) source: Source,
    pub(super) service: &'a Arc<Service>,
    pub(super) facts: &'a SourceFacts,
}

pub(super) fn decide<'a>(sources: &'a [(Source, SourceFacts)], name: &ServiceName) -> Option<Decision<'a>> {
    let known = |(source, facts): &'a (Source, SourceFacts)| {
        facts.service(name).map(|service| Decision { source: *source, service, facts })
    };
    sources.iter().find_map(known)
}
