//! The Services of the demo, as anybody would write them for a cluster, and the endpoints that its controllers would add.

use std::net::Ipv4Addr;

use super::ports::DemoPorts;

/// Where the pods listen, each at an address of its own, as pods do.
pub(super) const POD_A: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
pub(super) const POD_B: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 12);
pub(super) const POD_C: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 13);
pub(super) const GREETER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 14);

/// Every file, by its name.
pub(super) fn manifests(ports: &DemoPorts) -> [(&'static str, String); 5] {
    [
        ("shop.yaml", shop(ports)),
        ("orders.yaml", orders(ports)),
        ("search.yaml", search(ports)),
        ("search-2.yaml", slice("search-2", &[POD_C], ports)),
        ("greeter.yaml", greeter(ports)),
    ]
}

fn shop(ports: &DemoPorts) -> String {
    let DemoPorts { http, admin, pod_http, pod_admin, .. } = ports;
    format!(
        "\
# Two ports, each with its name. `admin` leads to the port that the pods call so. In turns, so that you can count.
apiVersion: v1
kind: Service
metadata:
  name: shop
  annotations:
    svcmesh.dev/load-balancer: rr
spec:
  selector:
    app: shop
  ports:
  - name: http
    port: {http}
    targetPort: {pod_http}
  - name: admin
    port: {admin}
    targetPort: admin
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: shop-1
  labels:
    kubernetes.io/service-name: shop
addressType: IPv4
ports:
- name: http
  port: {pod_http}
- name: admin
  port: {pod_admin}
endpoints:
- addresses: [{POD_A}]
- addresses: [{POD_B}]
- addresses: [{POD_C}]
"
    )
}

fn orders(ports: &DemoPorts) -> String {
    let DemoPorts { http, pod_http, .. } = ports;
    format!(
        "\
# No selector: somebody wrote the endpoints by hand, as for a database outside of the cluster.
apiVersion: v1
kind: Service
metadata:
  name: orders
spec:
  ports:
  - port: {http}
    targetPort: {pod_http}
    appProtocol: http
---
apiVersion: v1
kind: Endpoints
metadata:
  name: orders
subsets:
- addresses:
  - ip: {POD_A}
  - ip: {POD_B}
  ports:
  - port: {pod_http}
"
    )
}

fn search(ports: &DemoPorts) -> String {
    let DemoPorts { http, pod_http, .. } = ports;
    format!(
        "\
# Its endpoints are in two slices: one here, one in search-2.yaml.
apiVersion: v1
kind: Service
metadata:
  name: search
  annotations:
    svcmesh.dev/load-balancer: rr
spec:
  selector:
    app: search
  ports:
  - name: http
    port: {http}
    targetPort: {pod_http}
---
{}",
        slice("search-1", &[POD_A, POD_B], ports)
    )
}

/// A slice of the Service `search`.
fn slice(name: &str, pods: &[Ipv4Addr], ports: &DemoPorts) -> String {
    let endpoint = |pod| format!("- addresses: [{pod}]\n  conditions:\n    ready: true\n");
    let endpoints: String = pods.iter().map(endpoint).collect();
    format!(
        "\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}
  labels:
    kubernetes.io/service-name: search
addressType: IPv4
ports:
- name: http
  port: {}
endpoints:
{endpoints}",
        ports.pod_http
    )
}

fn greeter(ports: &DemoPorts) -> String {
    let DemoPorts { lines, pod_lines, .. } = ports;
    format!(
        "\
# Not HTTP: the server speaks first.
apiVersion: v1
kind: Service
metadata:
  name: greeter
spec:
  ports:
  - port: {lines}
    targetPort: {pod_lines}
    appProtocol: tcp
---
apiVersion: v1
kind: Endpoints
metadata:
  name: greeter
subsets:
- addresses:
  - ip: {GREETER}
  ports:
  - port: {pod_lines}
"
    )
}
