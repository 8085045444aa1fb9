//! What is changed of a request's headers, a call of the host each: to set them all anew takes as long as five such calls, and longer the more of
//! them stay as they are.

use std::borrow::Cow;

use svc_core::forwarding::{HeaderFields as _, Told};
use svc_proto::names::header;
use svc_proto::plugin::Plugin;

use crate::host::Http;

/// Changes of one head.
pub(super) struct Edits<'a> {
    fields: &'a [(&'a str, &'a [u8])],
    removed: Vec<&'a str>,
    set: Vec<(&'a str, Cow<'a, [u8]>)>,
}

impl<'a> Edits<'a> {
    /// The head without what hands a request over to an endpoint: whoever sent that, it was not this filter. All three headers that Envoy may
    /// have been told to obey go, and the one that it was told to.
    pub(super) fn without_hand_over(fields: &'a [(&'a str, &'a [u8])], plugin: &Plugin) -> Edits<'a> {
        let own = plugin.hand_off.header();
        let hands_over = |name: &str| HAND_OVERS.contains(&name) || own == Some(name);
        let names = fields.iter().map(|(name, _)| *name);
        Edits { fields, removed: names.filter(|name| hands_over(name)).collect(), set: Vec::new() }
    }

    /// What the endpoint is told of where the request came from. What the request says already, such as the `X-Forwarded-Proto` that Envoy has set
    /// itself, costs no call.
    pub(super) fn tell(&mut self, told: &'a Told<'a>) {
        let fields = self.fields;
        let names = fields.iter().map(|(name, _)| *name);
        self.removed.extend(names.filter(|name| told.ends(name)));
        for (name, value) in &told.set {
            if fields.only(name) != Some(value) {
                self.set(name, Cow::Borrowed(value));
            }
        }
    }

    /// One header, in the place of all of its name.
    pub(super) fn set(&mut self, name: &'a str, value: Cow<'a, [u8]>) {
        self.set.push((name, value));
    }

    /// Makes them.
    pub(super) fn make(self, host: &impl Http) {
        let is_set = |name: &str| self.set.iter().any(|(set, _)| *set == name);
        let removed = self.removed.iter().filter(|name| !is_set(name));
        removed.for_each(|name| host.set_request_header(name, None));
        self.set.iter().for_each(|(name, value)| host.set_request_header(name, Some(value)));
    }
}

/// By which Envoy is told of an endpoint or a cluster, unless it is told to look elsewhere.
const HAND_OVERS: [&str; 3] = [header::ORIGINAL_DST_HOST, header::OVERRIDE_HOST, header::CLUSTER];
