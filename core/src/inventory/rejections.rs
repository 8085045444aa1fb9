//! What does not serve, and why.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use svc_proto::values::Quoted;

use crate::address::ServiceName;

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

/// Why Services, or parts of them, do not serve; each is looked at anew with every update.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// In the order of the Services, once settled.
    pub(super) found: Vec<(ServiceName, Rejection)>,
    /// How many hosts do not serve.
    hosts: usize,
}

impl Rejections {
    pub(super) fn add_service(&mut self, name: &ServiceName, reason: String) {
        if !name.namespace.is_empty() {
            return self.add(name, format!("Service \"{name}\""), reason);
        }
        // No object's: somebody asked for it, and DNS knows it.
        self.hosts += 1;
        if self.hosts <= HOSTS_TOLD_MAX {
            self.add(name, format!("host {}", Quoted(&name.name)), reason);
        }
    }

    pub(super) fn add(&mut self, service: &ServiceName, object: String, reason: String) {
        let rejection = Rejection { object, file: String::new(), reason };
        self.found.push((service.clone(), rejection));
    }

    pub(super) fn settle(&mut self) {
        self.found.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
}

/// Hosts of which it is told that they do not serve: clients choose them, and each is looked at anew with every update. Requests for the
/// others fail for the same reason, which their record tells.
const HOSTS_TOLD_MAX: usize = 64;
