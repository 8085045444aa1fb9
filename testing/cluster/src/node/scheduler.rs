//! The scheduler: a pod goes to the node with the fewest pods among those that its selector, its required affinity and its spread allow.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Pod, TopologySpreadConstraint};

/// A node, and how many pods it runs.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) pods: usize,
}

/// Whether the pod waits for a scheduler, and for this one.
pub(crate) fn is_waiting(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    spec.node_name.as_deref().unwrap_or_default().is_empty()
        && spec.scheduler_name.as_deref().is_none_or(|name| name == "default-scheduler")
        && pod.metadata.deletion_timestamp.is_none()
}

/// The node for `pod`; `placed` are the pods that have one.
pub(crate) fn pick<'a>(pod: &Pod, candidates: &'a [Candidate], placed: &[&Pod]) -> Option<&'a str> {
    let fitting: Vec<&Candidate> = candidates.iter().filter(|node| fits(pod, node)).collect();
    let spread = pod.spec.iter().flat_map(|spec| spec.topology_spread_constraints.iter().flatten());
    let spread: Vec<&TopologySpreadConstraint> = spread.collect();
    let crowd = |node: &Candidate| -> usize {
        let same = |constraint: &&TopologySpreadConstraint| {
            let value = node.labels.get(&constraint.topology_key);
            let there = |other: &&&Pod| {
                let at = other.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
                let at = candidates.iter().find(|node| Some(node.name.as_str()) == at);
                at.and_then(|node| node.labels.get(&constraint.topology_key)) == value
                    && selects(constraint, other)
                    && other.metadata.namespace == pod.metadata.namespace
            };
            placed.iter().filter(there).count()
        };
        spread.iter().map(same).sum()
    };
    fitting.into_iter().min_by_key(|node| (crowd(node), node.pods, &node.name)).map(|node| node.name.as_str())
}

fn selects(constraint: &TopologySpreadConstraint, pod: &Pod) -> bool {
    let wanted = constraint.label_selector.as_ref().and_then(|selector| selector.match_labels.as_ref());
    let labels = pod.metadata.labels.as_ref();
    wanted.into_iter().flatten().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

fn fits(pod: &Pod, node: &Candidate) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let mut selector = spec.node_selector.iter().flatten();
    if !selector.all(|(key, value)| node.labels.get(key) == Some(value)) {
        return false;
    }
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|required| required.node_selector_terms.iter().any(|term| meets_all(term, node)))
}

fn meets_all(term: &NodeSelectorTerm, node: &Candidate) -> bool {
    term.match_expressions.iter().flatten().all(|requirement| meets(requirement, node))
}

fn meets(requirement: &NodeSelectorRequirement, node: &Candidate) -> bool {
    let value = node.labels.get(&requirement.key);
    let listed =
        || value.is_some_and(|value| requirement.values.iter().flatten().any(|listed| listed == value));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(spec: Value) -> Pod {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let metadata = json!({ "namespace": "shop", "labels": { "app": "web" } });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
    }

    fn candidates() -> Vec<Candidate> {
        [("node-1", "a", 3), ("node-2", "b", 1)]
            .map(|(name, zone, pods)| Candidate {
                name: name.to_owned(),
                labels: [(ZONE.to_owned(), zone.to_owned())].into(),
                pods,
            })
            .to_vec()
    }

    const ZONE: &str = "topology.kubernetes.io/zone";

    #[test]
    fn a_pod_goes_where_the_fewest_are() {
        assert_eq!(pick(&pod(json!({})), &candidates(), &[]), Some("node-2"));
    }

    #[test]
    fn a_pod_goes_only_where_it_may() {
        let selected = pod(json!({ "nodeSelector": { ZONE: "a" } }));
        assert_eq!(pick(&selected, &candidates(), &[]), Some("node-1"));
        let terms = json!([{ "matchExpressions": [{ "key": ZONE, "operator": "NotIn", "values": ["b"] }] }]);
        let affinity = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } } });
        assert_eq!(pick(&pod(json!({ "affinity": affinity })), &candidates(), &[]), Some("node-1"));
        assert_eq!(pick(&pod(json!({ "nodeSelector": { "disk": "ssd" } })), &candidates(), &[]), None);
    }

    #[test]
    fn pods_are_spread_over_zones() {
        let constraint = json!([{ "maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": { "matchLabels": { "app": "web" } } }]);
        let other = pod(json!({ "nodeName": "node-2" }));
        let new = pod(json!({ "topologySpreadConstraints": constraint }));
        assert_eq!(pick(&new, &candidates(), &[&other]), Some("node-1"));
    }

    #[test]
    fn a_pod_of_another_scheduler_is_left_to_it() {
        assert!(is_waiting(&pod(json!({}))));
        assert!(!is_waiting(&pod(json!({ "schedulerName": "mine" }))));
        assert!(!is_waiting(&pod(json!({ "nodeName": "node-1" }))));
    }
}
