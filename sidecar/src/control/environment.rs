//! The environment as a source: the variables that kubelet sets for each Service (S-12).

use std::future::pending;
use std::sync::Arc;

use svc_core::discovery::env;
use svc_core::inventory::Change;
use svc_core::table;

use super::source::{NextChanges, Source};
use crate::config;

/// The environment of this process, which cannot change.
pub(super) struct Environment {
    namespace: Arc<str>,
}

impl Environment {
    /// Without a namespace of their own, Services are in `namespace`.
    pub(super) fn new(namespace: &Arc<str>) -> Environment {
        Environment { namespace: namespace.clone() }
    }
}

impl Source for Environment {
    fn kind(&self) -> table::Source {
        table::Source::Environment
    }

    fn list(&mut self) -> Option<Vec<Change>> {
        let variables: Vec<_> = config::environment().collect();
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let discovered = env::parse(variables, &self.namespace);
        for warning in &discovered.warnings {
            tracing::warn!(%warning, "environment variable ignored");
        }
        Some(discovered.into_changes())
    }

    fn next(&mut self) -> NextChanges<'_> {
        Box::pin(pending())
    }
}
