//! The files of `deploy/envoy`, as they are.

use serde_json::{Value, json};

use super::backend::Backend;
use super::balance::tally;
use super::bootstrap::{Bootstrap, document};
use super::envoy::Envoy;
use super::services::web;

#[test]
fn envoy_takes_every_bootstrap_as_it_is_written() {
    for file in ["bootstrap.yaml", "override-host.yaml", "cluster-header.yaml", "tcp.yaml"] {
        let (status, log) = Envoy::validate(&Bootstrap::as_written(file));
        assert!(status.success(), "{file}: {status}\n{log}");
    }
}

#[test]
fn what_istio_would_make_of_its_files_works() {
    let bootstrap = in_istio(Bootstrap::as_written("bootstrap.yaml"));
    let (status, log) = Envoy::validate(&bootstrap);
    assert!(status.success(), "{status}\n{log}");

    let backends = Backend::three();
    let plugin = json!({"services": [web(&backends)], "update": null, "allowLoopbackEndpoints": true});
    let envoy = Envoy::start(&in_istio(Bootstrap::read("bootstrap.yaml")).plugin(plugin));
    let answers = tally(&mut envoy.client(), "web", 30);
    assert_eq!(answers, [("pod-a".into(), 10), ("pod-b".into(), 10), ("pod-c".into(), 10)].into());
}

/// `bootstrap`, whose own cluster of endpoints and settings are taken away, with what the two files for Istio put in their place.
fn in_istio(bootstrap: Bootstrap) -> Bootstrap {
    let plugin = document("wasmplugin.yaml")["spec"].take();
    assert_eq!(plugin["failStrategy"], "FAIL_RELOAD");
    let bootstrap = bootstrap.edit(|all| {
        let clusters = all["static_resources"]["clusters"].as_array_mut().expect("a list");
        clusters.retain(|cluster| cluster["name"] != "endpoints");
        let manager = manager(all).as_object_mut().expect("fields");
        assert!(
            manager.remove("use_remote_address").is_some() && manager.remove("skip_xff_append").is_some()
        );
        for patch in document("envoyfilter.yaml")["spec"]["configPatches"].as_array_mut().expect("a list") {
            apply(patch, all);
        }
    });
    bootstrap.set_plugin_text(plugin["pluginConfig"].to_string())
}

/// What Istio does with one of `configPatches`.
fn apply(patch: &mut Value, all: &mut Value) {
    let value = patch["patch"]["value"].take();
    let operation = patch["patch"]["operation"].as_str().expect("every patch has one");
    match (patch["applyTo"].as_str().expect("every patch has one"), operation) {
        ("CLUSTER", "ADD") => all["static_resources"]["clusters"].as_array_mut().expect("a list").push(value),
        ("HTTP_ROUTE", "MERGE") => {
            merge(&mut manager(all)["route_config"]["virtual_hosts"][0]["routes"][0], value);
        }
        ("NETWORK_FILTER", "MERGE") => merge(network_filter(all), value),
        other => panic!("this test does not know how Istio applies {other:?}"),
    }
}

/// Fields of objects one by one, everything else as a whole.
fn merge(old: &mut Value, new: Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in new {
                merge(old.entry(name).or_insert(Value::Null), value);
            }
        }
        (old, new) => *old = new,
    }
}

fn manager(all: &mut Value) -> &mut Value {
    &mut network_filter(all)["typed_config"]
}

fn network_filter(all: &mut Value) -> &mut Value {
    &mut all["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
}
