//! Any file of manifests: it is read or refused, at a line that it has; and both readers of YAML see the same in it.

use serde_json::Value;
use sidecar::control::manifests::{read_text, yaml};
use svc_core::inventory::Change;
use svc_core::service::Rules;

pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(json) = yaml::plain(&text) {
        let general = yaml::general(&text).expect("what the plain reader takes is YAML");
        assert_eq!(value(&json), value(&general));
    }
    let (changes, rejections) = read_text("x.yaml", &text, &Rules::default());
    assert!(changes.iter().all(serves));
    let lines = text.split(['\n', '\r']).count();
    for rejection in rejections {
        let line: usize =
            rejection.file.strip_prefix("x.yaml:").and_then(|line| line.parse().ok()).expect("a line");
        assert!((1..=lines).contains(&line), "line {line} of {lines}: {}", rejection.reason);
        assert!(!rejection.reason.is_empty());
    }
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).expect("both readers write JSON")
}

/// Whether it says what data planes rely on.
fn serves(change: &Change) -> bool {
    match change {
        Change::Service(name, Some(service)) => {
            *name == service.name && service.ports.iter().all(|port| port.port != 0)
        }
        Change::Endpoints(..) | Change::Name(..) | Change::Here(_) => {
            panic!("files know no DNS, and all their endpoints")
        }
        Change::Slice(_, Some(slice)) => {
            let families = slice.endpoints.iter().map(|endpoint| endpoint.address.is_ipv4());
            slice.ports.iter().all(|port| port.port != 0)
                && families.clone().all(|family| families.clone().next() == Some(family))
        }
        Change::Service(_, None) | Change::Slice(_, None) => false,
    }
}
