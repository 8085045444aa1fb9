//! A Service that is checked, and the findings that are collected.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::code::Code;
use crate::address::ServiceName;
use crate::overview::Overview;
use crate::service::object::{Metadata, Service, ServiceSpec};
use crate::table::{Entry, Table};

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Its kind, with severity and remedy.
    pub code: Code,
    /// The Service.
    pub service: ServiceName,
    /// A description, on one line.
    pub message: String,
}

/// Findings as they are collected.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, code: Code, service: &ServiceName, message: String) {
        self.0.push(Finding { code, service: service.clone(), message });
    }

    pub(super) fn has(&self, code: Code, service: &ServiceName) -> bool {
        self.0.iter().any(|finding| finding.code == code && finding.service == *service)
    }
}

/// A Service that is checked.
pub(super) struct Subject<'a> {
    pub(super) name: &'a ServiceName,
    pub(super) spec: &'a ServiceSpec,
    pub(super) entry: &'a Entry,
    pub(super) overview: Overview,
}

impl<'a> Subject<'a> {
    /// `None`: the object is invalid, and its reader has told so.
    pub(super) fn of(service: &'a Service, table: &'a Table) -> Option<Subject<'a>> {
        let name = name_of(service.metadata.as_ref()?)?;
        let entry = table.by_name(&name)?;
        Some(Subject {
            name: &entry.service.name,
            spec: service.spec.as_ref()?,
            entry,
            overview: Overview::of(entry),
        })
    }

    /// Its selector, where it has one that counts.
    pub(super) fn selector(&self) -> Option<&'a BTreeMap<String, String>> {
        let selector = self.spec.selector.as_ref().filter(|selector| !selector.is_empty());
        selector.filter(|_| self.entry.service.external_name.is_none())
    }
}

pub(super) fn name_of(metadata: &Metadata) -> Option<ServiceName> {
    Some(ServiceName::new(namespace_of(metadata), metadata.name.as_deref()?))
}

pub(super) fn namespace_of(metadata: &Metadata) -> &str {
    metadata.namespace.as_deref().unwrap_or("default")
}
