//! One Envoy for all stories: each has a listener, a plugin and two clusters of its own.

use std::iter;

use serde_json::{Value, json};
use testing::parity::{Case, filter};

use super::super::bootstrap::Bootstrap;
use super::scene::Scene;

/// `deploy/envoy/override-host.yaml`, where an endpoint that the cluster does not know is left to its fallback: so requests come to the
/// endpoint that a scene plays, and tell it of the one that was chosen.
pub(super) fn of(cases: &[Case], scenes: &[Scene]) -> Bootstrap {
    let stories: Vec<Value> = iter::zip(cases, scenes)
        .enumerate()
        .map(|(number, (case, scene))| story(number, case, scene))
        .collect();
    let all = |of: &str| -> Value { stories.iter().flat_map(|story| list(story, of)).cloned().collect() };
    Bootstrap::read(FILE).edit(|envoy| {
        envoy["static_resources"] = json!({ "listeners": all("listeners"), "clusters": all("clusters") });
    })
}

/// What the listener of a story is called.
pub(super) fn listener(number: usize) -> String {
    format!("story-{number}")
}

/// The `static_resources` of a story.
fn story(number: usize, case: &Case, scene: &Scene) -> Value {
    let mut resources = Value::Null;
    let mut plugin = filter::configuration(case, &format!("sidecar-{number}"));
    plugin["allowLoopbackEndpoints"] = Value::Null;
    let bootstrap = Bootstrap::read(FILE).plugin(plugin);
    let bootstrap = bootstrap.cluster("sidecar", &[scene.sidecar()]).cluster("web", &[scene.endpoint()]);
    let _moved = bootstrap.edit(|envoy| {
        let [listener_of_all] = items(envoy, "listeners") else { panic!("{FILE} has one listener") };
        listener_of_all["name"] = listener(number).into();
        let manager = &mut listener_of_all["filter_chains"][0]["filters"][0]["typed_config"];
        manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] =
            format!("web-{number}").into();
        manager["http_protocol_options"] = json!({ "accept_http_10": true });
        for cluster in items(envoy, "clusters") {
            let name = format!("{}-{number}", cluster["name"].as_str().expect("clusters have names"));
            cluster["load_assignment"]["cluster_name"] = name.as_str().into();
            cluster["name"] = name.into();
        }
        resources = envoy["static_resources"].take();
    });
    resources
}

fn list<'a>(resources: &'a Value, of: &str) -> &'a [Value] {
    resources[of].as_array().expect("a list")
}

fn items<'a>(envoy: &'a mut Value, of: &str) -> &'a mut [Value] {
    envoy["static_resources"][of].as_array_mut().expect("a list")
}

const FILE: &str = "override-host.yaml";
