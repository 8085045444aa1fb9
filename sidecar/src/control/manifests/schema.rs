//! Every field that the API has in the kinds that are read here (Kubernetes 1.33), whether anything is made of it or not: what is none of
//! these is misspelt, or stands in the wrong place.

use super::head::ObjectKind;

/// What may stand in a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Schema {
    /// A scalar, or what is not looked into.
    Leaf,
    /// A map whose keys are anybody's.
    Map,
    List(&'static Schema),
    Object(&'static [(&'static str, Schema)]),
}

use Schema::{Leaf, List, Map, Object};

impl Schema {
    pub(super) fn of(kind: ObjectKind) -> Schema {
        match kind {
            ObjectKind::Service => Object(SERVICE),
            ObjectKind::Endpoints => Object(ENDPOINTS),
            ObjectKind::EndpointSlice => Object(SLICE),
            ObjectKind::Secret => Object(SECRET),
        }
    }

    /// Where a field of this name is, in the order of the API: `spec.ports[].port`.
    pub(super) fn find(self, name: &str) -> Option<String> {
        match self {
            Leaf | Map => None,
            List(items) => items.find(name).map(|path| format!("[].{path}")),
            Object(fields) => {
                let own = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
                own.map(|(field, _)| (*field).to_owned()).or_else(|| {
                    fields.iter().find_map(|(field, inner)| {
                        let path = inner.find(name)?;
                        let dot = if path.starts_with('[') { "" } else { "." };
                        Some(format!("{field}{dot}{path}"))
                    })
                })
            }
        }
    }
}

const SERVICE: &[(&str, Schema)] = &[
    ("apiVersion", Leaf),
    ("kind", Leaf),
    ("metadata", METADATA),
    (
        "spec",
        Object(&[
            (
                "ports",
                List(&Object(&[
                    ("name", Leaf),
                    ("protocol", Leaf),
                    ("appProtocol", Leaf),
                    ("port", Leaf),
                    ("targetPort", Leaf),
                    ("nodePort", Leaf),
                ])),
            ),
            ("selector", Map),
            ("clusterIP", Leaf),
            ("clusterIPs", Leaf),
            ("type", Leaf),
            ("externalIPs", Leaf),
            ("sessionAffinity", Leaf),
            ("loadBalancerIP", Leaf),
            ("loadBalancerSourceRanges", Leaf),
            ("externalName", Leaf),
            ("externalTrafficPolicy", Leaf),
            ("healthCheckNodePort", Leaf),
            ("publishNotReadyAddresses", Leaf),
            ("sessionAffinityConfig", Object(&[("clientIP", Object(&[("timeoutSeconds", Leaf)]))])),
            ("ipFamilies", Leaf),
            ("ipFamilyPolicy", Leaf),
            ("allocateLoadBalancerNodePorts", Leaf),
            ("loadBalancerClass", Leaf),
            ("internalTrafficPolicy", Leaf),
            ("trafficDistribution", Leaf),
        ]),
    ),
    (
        "status",
        Object(&[
            (
                "loadBalancer",
                Object(&[(
                    "ingress",
                    List(&Object(&[
                        ("ip", Leaf),
                        ("hostname", Leaf),
                        ("ipMode", Leaf),
                        ("ports", List(&Object(&[("port", Leaf), ("protocol", Leaf), ("error", Leaf)]))),
                    ])),
                )]),
            ),
            ("conditions", Leaf),
        ]),
    ),
];

const ENDPOINTS: &[(&str, Schema)] = &[
    ("apiVersion", Leaf),
    ("kind", Leaf),
    ("metadata", METADATA),
    (
        "subsets",
        List(&Object(&[
            ("addresses", List(&Object(SUBSET_ADDRESS))),
            ("notReadyAddresses", List(&Object(SUBSET_ADDRESS))),
            ("ports", List(&Object(ENDPOINT_PORT))),
        ])),
    ),
];

const SUBSET_ADDRESS: &[(&str, Schema)] =
    &[("ip", Leaf), ("hostname", Leaf), ("nodeName", Leaf), ("targetRef", Object(REFERENCE))];

const SLICE: &[(&str, Schema)] = &[
    ("apiVersion", Leaf),
    ("kind", Leaf),
    ("metadata", METADATA),
    ("addressType", Leaf),
    (
        "endpoints",
        List(&Object(&[
            ("addresses", Leaf),
            ("conditions", Object(&[("ready", Leaf), ("serving", Leaf), ("terminating", Leaf)])),
            ("hostname", Leaf),
            ("targetRef", Object(REFERENCE)),
            ("deprecatedTopology", Map),
            ("topology", Map), // of v1beta1
            ("nodeName", Leaf),
            ("zone", Leaf),
            (
                "hints",
                Object(&[
                    ("forZones", List(&Object(&[("name", Leaf)]))),
                    ("forNodes", List(&Object(&[("name", Leaf)]))),
                ]),
            ),
        ])),
    ),
    ("ports", List(&Object(ENDPOINT_PORT))),
];

const ENDPOINT_PORT: &[(&str, Schema)] =
    &[("name", Leaf), ("protocol", Leaf), ("port", Leaf), ("appProtocol", Leaf)];

const SECRET: &[(&str, Schema)] = &[
    ("apiVersion", Leaf),
    ("kind", Leaf),
    ("metadata", METADATA),
    ("type", Leaf),
    ("data", Map),
    ("stringData", Map),
    ("immutable", Leaf),
];

const METADATA: Schema = Object(&[
    ("name", Leaf),
    ("generateName", Leaf),
    ("namespace", Leaf),
    ("labels", Map),
    ("annotations", Map),
    ("selfLink", Leaf),
    ("uid", Leaf),
    ("resourceVersion", Leaf),
    ("generation", Leaf),
    ("creationTimestamp", Leaf),
    ("deletionTimestamp", Leaf),
    ("deletionGracePeriodSeconds", Leaf),
    (
        "ownerReferences",
        List(&Object(&[
            ("apiVersion", Leaf),
            ("kind", Leaf),
            ("name", Leaf),
            ("uid", Leaf),
            ("controller", Leaf),
            ("blockOwnerDeletion", Leaf),
        ])),
    ),
    ("finalizers", Leaf),
    ("managedFields", Leaf),
]);

const REFERENCE: &[(&str, Schema)] = &[
    ("kind", Leaf),
    ("namespace", Leaf),
    ("name", Leaf),
    ("uid", Leaf),
    ("apiVersion", Leaf),
    ("resourceVersion", Leaf),
    ("fieldPath", Leaf),
];
