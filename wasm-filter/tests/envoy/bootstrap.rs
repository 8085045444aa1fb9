//! The files of `deploy/envoy`, changed only where a machine that runs tests differs from a pod.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::built;

/// A configuration of Envoy.
#[derive(Clone)]
pub(crate) struct Bootstrap(Value);

impl Bootstrap {
    /// `bootstrap.yaml` with these Services, see [`Bootstrap::read`].
    pub(crate) fn of(services: &[Value]) -> Bootstrap {
        Bootstrap::read("bootstrap.yaml").plugin(json!({ "services": services }))
    }

    /// The file of that name: with ports that the kernel chooses, and the filter where it was built. The filter asks nobody for
    /// Services and admits endpoints on this machine.
    pub(crate) fn read(file: &str) -> Bootstrap {
        Bootstrap::as_written(file)
            .with_free_ports()
            .plugin(json!({"allowLoopbackEndpoints": true, "update": null}))
    }

    /// The same with nothing changed but where the filter is.
    pub(crate) fn as_written(file: &str) -> Bootstrap {
        Bootstrap(document(file)).with_filter(&built::filter())
    }

    /// The filter of another build.
    pub(crate) fn with_filter(mut self, path: &str) -> Bootstrap {
        *field(vm(&mut self.0), &["code", "local", "filename"]) = path.into();
        self
    }

    /// Puts these fields into the filter's configuration; one that is `null` counts as absent.
    pub(crate) fn plugin(mut self, fields: Value) -> Bootstrap {
        let mut plugin: Value = serde_json::from_str(&self.plugin_text()).expect("the files hold JSON");
        for (name, value) in fields.as_object().expect("fields of an object") {
            plugin[name] = value.clone();
        }
        self.set_plugin_text(plugin.to_string())
    }

    /// Makes `text` the filter's whole configuration.
    pub(crate) fn set_plugin_text(mut self, text: String) -> Bootstrap {
        *field(wasm(&mut self.0), &["configuration", "value"]) = text.into();
        self
    }

    /// Sets a variable of the filter's environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Bootstrap {
        vm(&mut self.0)["environment_variables"]["key_values"][name] = value.into();
        self
    }

    /// Makes `addresses` all that the cluster `name` has.
    pub(crate) fn cluster(mut self, name: &str, addresses: &[SocketAddr]) -> Bootstrap {
        let endpoint = |address: &SocketAddr| {
            let address = json!({"address": address.ip().to_string(), "port_value": address.port()});
            json!({"endpoint": {"address": {"socket_address": address}}})
        };
        let endpoints: Vec<Value> = addresses.iter().map(endpoint).collect();
        let clusters = self.0["static_resources"]["clusters"].as_array_mut().expect("a list");
        let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == name);
        let cluster = cluster.unwrap_or_else(|| panic!("no cluster {name}"));
        cluster["type"] = "STATIC".into();
        cluster["load_assignment"]["endpoints"] = json!([{ "lb_endpoints": endpoints }]);
        self
    }

    /// Has `change` make of it whatever it likes.
    pub(crate) fn edit(mut self, change: impl FnOnce(&mut Value)) -> Bootstrap {
        change(&mut self.0);
        self
    }

    /// Writes it for Envoy, which reads JSON as well.
    pub(crate) fn write(&self, path: &Path) {
        fs::write(path, self.0.to_string()).expect("the folder is ours");
    }

    fn plugin_text(&mut self) -> String {
        field(wasm(&mut self.0), &["configuration", "value"]).as_str().expect("a text").to_owned()
    }

    fn with_free_ports(mut self) -> Bootstrap {
        *field(&mut self.0, &["admin", "address", "socket_address", "port_value"]) = 0.into();
        for listener in self.0["static_resources"]["listeners"].as_array_mut().expect("a list") {
            let address = field(listener, &["address", "socket_address"]);
            *address = json!({"address": "127.0.0.1", "port_value": 0});
        }
        self
    }
}

/// A YAML file of `deploy/envoy`.
pub(crate) fn document(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/envoy").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What stands at `path`, which must be there.
fn field<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(value, |value, name| {
        value.get_mut(name).unwrap_or_else(|| panic!("no {name} on the way to {path:?}"))
    })
}

/// The `vm_config` of the only filter of ours.
fn vm(bootstrap: &mut Value) -> &mut Value {
    field(wasm(bootstrap), &["vm_config"])
}

/// The `config` of the only filter of ours, wherever it stands.
fn wasm(value: &mut Value) -> &mut Value {
    find(value).expect("the files have a filter")
}

fn find(value: &mut Value) -> Option<&mut Value> {
    if value.get("vm_config").is_some() {
        return Some(value);
    }
    match value {
        Value::Object(fields) => fields.values_mut().find_map(find),
        Value::Array(items) => items.iter_mut().find_map(find),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
