//! Selectors and the pods that they match.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::code::Code;
use super::pod::Pod;
use super::subject::{Findings, Subject};
use crate::service::TargetPort;

/// Checks the selector of a Service against the pods of its namespace.
pub(super) fn check(subject: &Subject<'_>, pods: &[&Pod], found: &mut Findings) {
    let Some(selector) = subject.selector() else { return };
    let selected: Vec<&Pod> =
        pods.iter().copied().filter(|pod| matching(selector, pod) == selector.len()).collect();
    if selected.is_empty() {
        let nearest =
            nearest(selector, pods).map(|nearest| format!("; nearest: {nearest}")).unwrap_or_default();
        found.add(Code::NoPod, subject.name, format!("selector {} matches no pod{nearest}", shown(selector)));
        return;
    }
    for port in &subject.entry.service.ports {
        let TargetPort::Name(name) = &port.target else { continue };
        let without = |pod: &&&Pod| !pod.has_port(name, port.transport.as_str());
        let missing: Vec<&str> =
            selected.iter().filter(without).filter_map(|pod| pod.metadata.name.as_deref()).collect();
        if !missing.is_empty() {
            let (count, of) = (missing.len(), selected.len());
            let message = format!("targetPort {name} is missing in {count} of {of} pods: {}", some(&missing));
            found.add(Code::PortMissing, subject.name, message);
        }
    }
}

/// How many of the selector's labels the pod has.
fn matching(selector: &BTreeMap<String, String>, pod: &Pod) -> usize {
    let labels = pod.metadata.labels.as_ref();
    let has = |(key, value): &(&String, &String)| labels.and_then(|labels| labels.get(*key)) == Some(*value);
    selector.iter().filter(has).count()
}

/// The labels of the pods that match best, where one label differs: `app=reports (2 pods)`.
fn nearest(selector: &BTreeMap<String, String>, pods: &[&Pod]) -> Option<String> {
    let mut candidates: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| matching(selector, pod) + 1 == selector.len()) {
        for (key, value) in selector {
            let own = pod.metadata.labels.as_ref().and_then(|labels| labels.get(key));
            if let Some(own) =
                own.filter(|own| *own != value && (selector.len() > 1 || is_similar(own, value)))
            {
                *candidates.entry((key, own)).or_default() += 1;
            }
        }
    }
    let ((key, value), count) = candidates.into_iter().max_by_key(|(_, count)| *count)?;
    Some(format!("{key}={value} ({count} {})", if count == 1 { "pod" } else { "pods" }))
}

/// Whether one text begins or ends with the other, or they differ by one character.
fn is_similar(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let differing = one.chars().zip(other.chars()).filter(|(one, other)| one != other).count();
    !short.is_empty() && (long.starts_with(short) || long.ends_with(short))
        || one.chars().count() == other.chars().count() && differing == 1
}

fn shown(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The first names of a list that may be long.
pub(super) fn some(names: &[&str]) -> String {
    let mut shown: Vec<String> = names.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    if names.len() > SHOWN_MAX {
        shown.push(format!("{} more", names.len() - SHOWN_MAX));
    }
    shown.join(", ")
}

/// A finding is one line.
const SHOWN_MAX: usize = 3;
