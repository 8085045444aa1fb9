use super::*;

#[track_caller]
fn check(name: &str, text: &str, expected: &[&str]) {
    let folder = folder(&[(name, text)]);
    let mut manifests = open(folder.path());
    assert_eq!(shown(manifests.refresh(&Touched::All)), expected);
    assert_eq!(reasons(&manifests), Vec::<String>::new());
}

#[test]
fn a_file_has_as_many_documents_as_it_likes() {
    let text =
        format!("# header\n---\n{}--- # and\n\n{}---\n# nothing\n---\n", service("a", 1), service("b", 2));
    check("x.yaml", &text, &["+a:1", "+b:2"]);
}

#[test]
fn json_values_may_follow_each_other() {
    let json = |name: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{name}"}},"spec":{{"ports":[{{"port":1}}]}}}}"#
        )
    };
    check("x.json", &format!("{}{}\n{}", json("a"), json("b"), json("c")), &["+a:1", "+b:1", "+c:1"]);
    check("x.yaml", &format!("---\n{}\n---\n{}", json("a"), service("b", 1)), &["+a:1", "+b:1"]);
}

#[test]
fn a_list_as_kubectl_prints_it_is_read() {
    let text = r#"
apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"v1","kind":"Service","metadata":{"name":"web"}}
    creationTimestamp: "2026-11-23T01:02:03Z"
    name: web
    namespace: shop
    resourceVersion: "4711"
  spec:
    clusterIP: 10.96.0.7
    clusterIPs:
    - 10.96.0.7
    ports:
    - port: 80
      protocol: TCP
      targetPort: 8080
    sessionAffinity: None
    type: ClusterIP
  status:
    loadBalancer: {}
- addressType: IPv4
  apiVersion: discovery.k8s.io/v1
  endpoints:
  - addresses:
    - 10.1.0.1
    conditions:
      ready: true
  kind: EndpointSlice
  metadata:
    labels:
      kubernetes.io/service-name: web
    name: web-abcde
    namespace: shop
  ports:
  - name: ""
    port: 8080
    protocol: TCP
- apiVersion: v1
  kind: ConfigMap
  metadata:
    name: other
kind: List
metadata:
  resourceVersion: ""
"#;
    check("x.yaml", text, &["+web:80", "+web-abcde/0 10.1.0.1"]);
}

#[test]
fn items_of_a_typed_list_need_not_say_what_they_are() {
    let json = r#"{"apiVersion":"v1","kind":"ServiceList","items":[{"metadata":{"name":"a"},"spec":{"ports":[{"port":1}]}}]}"#;
    check("x.json", json, &["+a:1"]);
    check("y.json", r#"{"apiVersion":"v1","kind":"ServiceList","items":null}"#, &[]);
}

#[test]
fn kinds_that_mean_nothing_here_are_passed_over() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nspec: {ports: no, type: [1]}\n---\n\
                apiVersion: serving.knative.dev/v1\nkind: Service\nspec: {template: {}}\n---\n\
                apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 3}\n";
    check("x.yaml", text, &[]);
}

#[test]
fn endpoint_slices_of_v1beta1_are_read() {
    let text = "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\naddressType: IPv6\n\
                metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n\
                endpoints:\n- addresses: [\"fd00::1\"]\n  topology: {topology.kubernetes.io/zone: a}\n";
    check("x.yaml", text, &["+web-1/0 fd00::1"]);
}

#[test]
fn anchors_and_merges_are_followed() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - &p {name: a, port: 1}\n  - {<<: *p, name: b, port: 2}\n";
    check("x.yaml", text, &["+web:1,2"]);
}
