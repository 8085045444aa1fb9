//! Every message a broken manifest gets, beside what earns it.

use std::fmt::Write;

use super::*;

/// Reads `documents` one by one; the table shows each, and what is said of it.
fn table(documents: &[&str]) -> String {
    let mut table = String::new();
    for document in documents {
        let folder = folder(&[("shop.yaml", document)]);
        let rules = Rules { service_cidrs: vec!["10.96.0.0/12".parse().unwrap()], ..Rules::default() };
        let mut manifests = Manifests::open(folder.path(), rules).unwrap();
        assert_eq!(shown(manifests.refresh(&Touched::All)), Vec::<String>::new(), "{document}");
        writeln!(table, "{}", document.trim_end()).unwrap();
        for reason in reasons(&manifests) {
            writeln!(table, "    ⇒ {reason}").unwrap();
        }
        table.push('\n');
    }
    table
}

/// Snapshots without the expression, which would repeat every document.
fn check(name: &str, table: &str) {
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, table) });
}

fn services(specs: &[&str]) -> String {
    let document =
        |spec: &&str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n{spec}\n");
    let documents: Vec<String> = specs.iter().map(document).collect();
    table(&documents.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Services that have nothing but annotations to be wrong.
fn annotations(services: &[&str]) -> String {
    let document = |annotations: &&str| {
        let annotations: String = annotations.lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n{annotations}spec: {{ports: [{{port: 80}}]}}\n"
        )
    };
    let documents: Vec<String> = services.iter().map(document).collect();
    table(&documents.iter().map(String::as_str).collect::<Vec<_>>())
}

fn slices(bodies: &[&str]) -> String {
    let metadata = "metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}";
    let document =
        |body: &&str| format!("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n{metadata}\n{body}\n");
    let documents: Vec<String> = bodies.iter().map(document).collect();
    table(&documents.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn documents_that_are_no_objects() {
    check(
        "documents_that_are_no_objects",
        &table(&[
            "kind: Service\nmetadata: {name: web}\n  spec: {}",
            "kind: Service\nspec: [80",
            "kind: Service\nkind: Service",
            "spec:\n\tports: []",
            "a: *nowhere",
            "just a text",
            "metadata: {name: web}",
            "kind: Service\nmetadata: {name: web}",
            "apiVersion: v1\nkind: List\nitems: web",
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - name: http\n    port: http",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n    svcmesh.dev/timeout: 10",
            "{\"apiVersion\": \"v1\", \"kind\": \"Service\",\n\"metadata\": {\"name\": \"web\"},\n\"spec\": {\"ports\": {}}}",
        ]),
    );
}

#[test]
fn names() {
    check(
        "names",
        &table(&[
            "apiVersion: v1\nkind: Service\nmetadata: {}\nspec: {ports: [{port: 80}]}",
            "apiVersion: v1\nkind: Service\nmetadata: {name: my_web}\nspec: {ports: [{port: 80}]}",
            "apiVersion: v1\nkind: Service\nmetadata: {name: web.shop}\nspec: {ports: [{port: 80}]}",
            "apiVersion: v1\nkind: Service\nmetadata: {name: web-0123456789-0123456789-0123456789-0123456789-0123456789-01234}\nspec: {ports: [{port: 80}]}",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: Shop\nspec: {ports: [{port: 80}]}",
            "apiVersion: v1\nkind: Endpoints\nmetadata: {name: web_}\nsubsets: []",
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: -web}\naddressType: IPv4",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n    svcmesh.dev/load-balancer: fastest\n    svcmesh.dev/weights: 10.0.0.1=3,web-2=many\nspec: {ports: [{port: 80}]}",
        ]),
    );
}

#[test]
fn ports_of_services() {
    check(
        "ports_of_services",
        &services(&[
            "  type: ClusterIP",
            "  ports:\n  - name: http\n    port: 80\n  - port: 81",
            "  ports:\n  - {name: http, port: 80}\n  - {name: http, port: 81}",
            "  ports:\n  - {name: a, port: 80}\n  - {name: b, port: 80}",
            "  ports:\n  - name: 123_abc\n    port: 80",
            "  ports:\n  - name: http",
            "  ports:\n  - port: 65536\n    targetPort: -1",
            "  ports:\n  - port: 80\n    protocol: tcp",
            "  ports:\n  - port: 80\n    targetPort: '8080'",
            "  ports:\n  - port: 80\n    targetPort: a-name--of-17-letters",
            "  ports:\n  - port: 80\n    appProtocol: kubernetes.io/",
            "  ports:\n  - port: 80\n    nodePort: 30080",
            "  type: NodePort\n  ports:\n  - port: 80\n    nodePort: 80",
            "  type: NodePort\n  ports:\n  - {name: a, port: 80, nodePort: 30080}\n  - {name: b, port: 81, nodePort: 30080}",
        ]),
    );
}

#[test]
fn addresses_of_services() {
    check(
        "addresses_of_services",
        &services(&[
            "  clusterIP: 10.0.0.1\n  ports: [{port: 80}]",
            "  clusterIP: fd00::1\n  ports: [{port: 80}]",
            "  clusterIPs: [10.96.0.1]\n  ports: [{port: 80}]",
            "  clusterIP: 10.96.0.1\n  clusterIPs: [10.96.0.2]\n  ports: [{port: 80}]",
            "  clusterIP: 10.96.0.1\n  clusterIPs: [10.96.0.1, 10.96.0.2]\n  ports: [{port: 80}]",
            "  clusterIP: 10.96.0.1\n  ipFamilies: [IPv6]\n  ports: [{port: 80}]",
            "  clusterIP: 10.96.0.1\n  ipFamilies: [v4, IPv4, IPv4]\n  ports: [{port: 80}]",
            "  clusterIP: None\n  clusterIPs: [None, 10.96.0.1]\n  ports: [{port: 80}]",
            "  type: NodePort\n  clusterIP: None\n  ports: [{port: 80}]",
            "  externalIPs:\n  - 127.0.0.1\n  - 169.254.0.1\n  - 224.0.0.1\n  - 0.0.0.0\n  - localhost\n  ports: [{port: 80}]",
        ]),
    );
}

#[test]
fn the_rest_of_services() {
    check(
        "the_rest_of_services",
        &services(&[
            "  type: Headless\n  ports: [{port: 80}]",
            "  type: ExternalName",
            "  type: ExternalName\n  externalName: under_score.example.com",
            "  type: ExternalName\n  externalName: db.example.com\n  clusterIP: 10.96.0.1",
            "  sessionAffinity: Cookie\n  ports: [{port: 80}]",
            "  sessionAffinity: ClientIP\n  sessionAffinityConfig:\n    clientIP:\n      timeoutSeconds: 86401\n  ports: [{port: 80}]",
            "  internalTrafficPolicy: Node\n  ports: [{port: 80}]",
            "  trafficDistribution: PreferFar\n  ports: [{port: 80}]",
            "  type: NodePort\n  ports:\n  - port: 0\n    nodePort: 1\n  - name: b\n    port: 81\n    protocol: ICMP",
        ]),
    );
}

#[test]
fn annotations_of_services() {
    const AWS: &str = "service.beta.kubernetes.io/aws-load-balancer";
    check(
        "annotations_of_services",
        &annotations(&[
            "svcmesh.dev/timeout: \"10\"\nsvcmesh.dev/try-timeout: never\nsvcmesh.dev/idle-timeout: \"\"\nsvcmesh.dev/slow-start: 1000h",
            "svcmesh.dev/retry: connect|always,attempts=0\nsvcmesh.dev/max-connections: \"0\"",
            "svcmesh.dev/retry: connect,reset",
            "svcmesh.dev/eject: consecutive=0,base=1,forever",
            "svcmesh.dev/eject: base=2s,max=1s,max=1s",
            "svcmesh.dev/health-check: udp,interval=1ms,timeout=2m,healthy=1,unhealthy=11,port=1",
            "svcmesh.dev/health-check: http:live,interval=5s,timeout=5s",
            &format!("{AWS}-connection-draining-enabled: \"yes\"\n{AWS}-connection-draining-timeout: 5m"),
            &format!("{AWS}-connection-idle-timeout: \"4001\""),
            &format!(
                "{AWS}-healthcheck-healthy-threshold: \"1\"\n{AWS}-healthcheck-unhealthy-threshold: \"11\""
            ),
            &format!("{AWS}-healthcheck-interval: \"10\"\n{AWS}-healthcheck-timeout: \"10\""),
            &format!(
                "{AWS}-healthcheck-protocol: udp\n{AWS}-healthcheck-port: http\n{AWS}-healthcheck-path: live"
            ),
        ]),
    );
}

#[test]
fn endpoint_slices() {
    let crowd = format!("addressType: IPv4\nendpoints: [{}]", vec!["{}"; 1001].join(", "));
    let shown = slices(&[&crowd]).replace(&vec!["{}"; 1001].join(", "), "{} × 1001");
    check(
        "endpoint_slices",
        &(shown
            + &slices(&[
                "endpoints: []",
                "addressType: IPv5",
                "addressType: IPv4\nendpoints:\n- addresses: [10.0.0.1]\n- addresses: []",
                "addressType: IPv4\nendpoints:\n- addresses:\n  - fd00::1\n  - 10.0.0\n  - 127.0.0.1\n  - 169.254.7.7\n  - 224.0.0.7",
                "addressType: IPv6\nendpoints:\n- addresses: [10.0.0.1]\n- addresses: [\"::1\"]\n- addresses: [\"fe80::7\"]",
                "addressType: FQDN\nendpoints:\n- addresses: [db_1.example.com]",
                "addressType: IPv4\nendpoints:\n- addresses: [10.0.0.1]\n  hostname: web.1\n  nodeName: Node 1",
                "addressType: IPv4\nendpoints:\n- addresses: [10.0.0.1]\n  hints:\n    forZones:\n    - name: a\n    - name: a\n    - name: b/c",
                "addressType: IPv4\nendpoints:\n- addresses: [10.0.0.1]\n  hints:\n    forZones: [{}, {}, {}, {}, {}, {}, {}, {}, {}]",
                "addressType: IPv4\nports:\n- {name: http, port: 80}\n- {name: http, port: 81}\n- {name: Admin, port: 82, protocol: X}\n- {name: a, port: 70000}",
            ])
            + &table(&[
                "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: web-1\naddressType: IPv4",
            ])),
    );
}

#[test]
fn endpoints() {
    let document = |subsets: &str| {
        format!("apiVersion: v1\nkind: Endpoints\nmetadata: {{name: web}}\nsubsets:\n{subsets}\n")
    };
    let documents = [
        "- ports: [{port: 80}]",
        "- addresses:\n  - ip: 127.0.0.1\n  - ip: ::1\n  - ip: web\n  - hostname: x",
        "- addresses: [{ip: 10.0.0.1}]\n  ports:\n  - port: 80\n  - {name: b, port: 0}",
        "- notReadyAddresses:\n  - ip: 10.0.0.1\n    hostname: A\n    nodeName: B",
    ]
    .map(document);
    check("endpoints", &table(&documents.each_ref().map(String::as_str)));
}

#[test]
fn loopback_endpoints_serve_where_the_operator_says_so() {
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nendpoints: [{addresses: [127.0.0.1]}]\n\
                 metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n";
    let folder = folder(&[("a.yaml", slice)]);
    let rules = Rules { allow_loopback_endpoints: true, ..Rules::default() };
    let mut manifests = Manifests::open(folder.path(), rules).unwrap();
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+web-1/0 127.0.0.1"]);
}
