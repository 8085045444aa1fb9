//! Any configuration of the Wasm filter: it is read, or each of its mistakes is told on a line.

use svc_proto::plugin::{HandOff, Plugin, ServiceFrom};
use svc_proto::services::Service;

pub(crate) fn check(bytes: &[u8]) {
    match Plugin::parse(bytes) {
        Ok(plugin) => check_plugin(&plugin),
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty());
            let told = mistakes.to_string();
            assert_eq!(told.lines().count(), mistakes.0.len() + 2, "a head, the mistakes, a hint: {told}");
            assert!(!told.contains(|letter: char| letter.is_control() && letter != '\n'), "{told:?}");
        }
    }
}

fn check_plugin(plugin: &Plugin) {
    for service in &plugin.services {
        let read = serde_json::from_str(service).expect("it was found to be one");
        assert_eq!(Service::read(&read).1, []);
    }
    if let Some(header) = plugin.hand_off.header() {
        assert!(!header.is_empty() && header.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(header, header.to_ascii_lowercase());
    }
    if let HandOff::ClusterHeader { cluster, .. } = &plugin.hand_off {
        assert!(!cluster.of("shop", "web", 80).is_empty());
    }
    if let ServiceFrom::Fixed { namespace, name, port } = &plugin.service {
        assert!(!namespace.is_empty() && !name.is_empty() && *port != 0);
    }
    if let Some(update) = &plugin.update {
        assert!(!update.interval.is_zero() && !update.timeout.is_zero() && update.path.starts_with('/'));
    }
}
