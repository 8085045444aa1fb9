//! JSON → a Service, with every mistake, where serde would tell of the first only. A field that is `null` is as good as absent.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::IpAddr;

use serde_json::Value;

use super::{Annotations, Endpoint, Hints, Ingress, Port, Service, SessionAffinity};
use crate::json::{self, Fields, Mistake, Place, UnknownFields, boolean, port, text};
use crate::values::Expected;

impl<'a> Service<'a> {
    /// What can be read of a Service, and what is wrong with the rest: nothing where that can serve. Fields that nobody knows are those of
    /// later versions.
    pub fn read(value: &'a Value) -> (Service<'a>, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let mut fields = Fields::of(value, (Place::ROOT, "Service"), UnknownFields::Ignored, &mut mistakes);
        let service = service(&mut fields);
        (service, mistakes)
    }

    /// Notes what is wrong with a Service that somebody has written: a field that nobody knows, too.
    pub(crate) fn check(value: &Value, place: Place<'_>, mistakes: &mut Vec<Mistake>) {
        let mut fields = Fields::of(value, (place, ""), UnknownFields::Refused, mistakes);
        service(&mut fields);
        fields.end();
    }
}

fn service<'v>(fields: &mut Fields<'v, '_>) -> Service<'v> {
    Service {
        namespace: fields.require("namespace", words).unwrap_or_default(),
        name: fields.require("name", words).unwrap_or_default(),
        kind: fields.read("type", words).unwrap_or_default(),
        source: fields.read("source", words).unwrap_or_default(),
        cluster_ips: fields.each("clusterIPs", address),
        external_ips: fields.each("externalIPs", address),
        ingress: fields.objects("ingress", ingress),
        loopback_vip: fields.read("loopbackVip", address),
        skipped_ports: fields.each("skippedPorts", number),
        external_name: fields.read("externalName", words),
        policy: fields.read("policy", words).unwrap_or_default(),
        session_affinity: fields.object("sessionAffinity").map(session_affinity).unwrap_or_default(),
        internal_traffic_policy: fields.read("internalTrafficPolicy", words).unwrap_or_default(),
        traffic_distribution: fields.read("trafficDistribution", words),
        annotations: Annotations(fields.members("annotations", words)),
        ports: fields.objects("ports", service_port),
        endpoints: fields.objects("endpoints", endpoint),
    }
}

fn ingress<'v>(fields: &mut Fields<'v, '_>) -> Ingress<'v> {
    Ingress {
        ip: fields.read("ip", address),
        hostname: fields.read("hostname", words),
        ip_mode: fields.read("ipMode", words).unwrap_or_default(),
    }
}

fn session_affinity<'v>(mut fields: Fields<'v, '_>) -> SessionAffinity<'v> {
    let read = SessionAffinity {
        kind: fields.read("type", words).unwrap_or_default(),
        timeout_seconds: fields.read("timeoutSeconds", number),
    };
    fields.end();
    read
}

fn service_port<'v>(fields: &mut Fields<'v, '_>) -> Port<'v> {
    Port {
        name: fields.read("name", words).unwrap_or_default(),
        port: fields.require("port", port).unwrap_or_default(),
        node_port: fields.read("nodePort", number),
        protocol: fields.read("protocol", words).unwrap_or_default(),
        app_protocol: fields.read("appProtocol", words),
    }
}

fn endpoint<'v>(fields: &mut Fields<'v, '_>) -> Endpoint<'v> {
    Endpoint {
        address: fields.require("address", address).unwrap_or(IpAddr::from([0; 4])),
        port: fields.require("port", number).unwrap_or_default(),
        port_name: fields.read("portName", words).unwrap_or_default(),
        ready: fields.read("ready", boolean).unwrap_or(true),
        serving: fields.read("serving", boolean).unwrap_or(true),
        terminating: fields.read("terminating", boolean).unwrap_or(false),
        ejected: fields.read("ejected", boolean).unwrap_or(false),
        weight: fields.read("weight", number).unwrap_or(1),
        node: fields.read("node", words),
        zone: fields.read("zone", words),
        hints: fields.object("hints").map(hints),
        hostname: fields.read("hostname", words),
    }
}

fn hints<'v>(mut fields: Fields<'v, '_>) -> Hints<'v> {
    let read = Hints { zones: fields.each("zones", words), nodes: fields.each("nodes", words) };
    fields.end();
    read
}

fn words<'v>(value: &'v Value) -> Result<Cow<'v, str>, Expected> {
    text(value, |text| Ok(Cow::Borrowed(text)))
}

fn address(value: &Value) -> Result<IpAddr, Expected> {
    text(value, |text| text.parse().map_err(|_| "an IP address".into()))
}

fn number<T: TryFrom<u64>>(value: &Value) -> Result<T, Expected> {
    json::number(value).ok_or("a whole number, not too large".into())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    /// serde reads the same language.
    #[track_caller]
    fn check(json: &str) {
        let value = serde_json::from_str(json).unwrap();
        let mut mistakes = Vec::new();
        Service::check(&value, Place::ROOT, &mut mistakes);
        assert_eq!(mistakes, [], "{json}");
        assert_eq!(Service::read(&value), (serde_json::from_str(json).unwrap(), Vec::new()), "{json}");
    }

    #[test]
    fn what_serde_reads_is_read_the_same() {
        check(r#"{"namespace": "shop", "name": "web"}"#);
        check(
            r#"{
            "namespace": "shop", "name": "w\u0065b", "type": "LoadBalancer", "source": "env", "clusterIPs": ["10.96.0.7", "fd00::7"],
            "externalIPs": ["203.0.113.1"], "ingress": [{"ip": "203.0.113.2", "ipMode": "Proxy"}, {"hostname": "lb.example.com"}],
            "loopbackVip": "127.66.0.1", "skippedPorts": [80, 8080], "externalName": "db.example.com", "policy": "maglev",
            "sessionAffinity": {"type": "ClientIP", "timeoutSeconds": 10800}, "internalTrafficPolicy": "Local",
            "trafficDistribution": "PreferClose", "annotations": {"a": "2", "b": "1"},
            "ports": [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP", "appProtocol": "http"}, {"port": 81}],
            "endpoints": [
                {"address": "10.0.0.1", "port": 8080, "portName": "http", "ready": false, "serving": false, "terminating": true, "ejected": true,
                 "weight": 65535, "node": "node-a", "zone": "a", "hints": {"zones": ["a"], "nodes": ["b", "c"]}, "hostname": "pod-0"},
                {"address": "fd00::1", "port": 0, "hints": {}, "node": null}
            ]
        }"#,
        );
    }

    #[test]
    fn what_serde_refuses_is_refused_where_it_stands() {
        for (json, field) in [
            ("7", "Service"),
            (r#"{"name": "web"}"#, "namespace"),
            (r#"{"namespace": "shop", "name": 7}"#, "name"),
            (r#"{"namespace": "shop", "name": "web", "clusterIPs": ["10.96.0.7", "None"]}"#, "clusterIPs[1]"),
            (r#"{"namespace": "shop", "name": "web", "ports": [{"port": 65536}]}"#, "ports[0].port"),
            (r#"{"namespace": "shop", "name": "web", "ports": [{"port": 80.0}]}"#, "ports[0].port"),
            (r#"{"namespace": "shop", "name": "web", "ports": [80]}"#, "ports[0]"),
            (r#"{"namespace": "shop", "name": "web", "endpoints": {}}"#, "endpoints"),
            (
                r#"{"namespace": "shop", "name": "web", "endpoints": [{"address": "10.0.0.1", "port": -1}]}"#,
                "endpoints[0].port",
            ),
            (
                r#"{"namespace": "shop", "name": "web", "endpoints": [{"address": "a", "port": 1}]}"#,
                "endpoints[0].address",
            ),
            (r#"{"namespace": "shop", "name": "web", "annotations": {"a": 1}}"#, "annotations.a"),
        ] {
            assert!(serde_json::from_str::<Service<'_>>(json).is_err(), "{json}");
            let value = serde_json::from_str(json).unwrap();
            let (_, mistakes) = Service::read(&value);
            let fields: Vec<_> = mistakes.iter().map(|mistake| mistake.field.to_string()).collect();
            assert_eq!(fields, [field], "{json}");
        }
    }
}
