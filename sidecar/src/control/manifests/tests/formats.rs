use proptest::prelude::*;

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

/// What is served beside `bad`, which is a document that cannot be, and where that is told.
#[track_caller]
fn check_beside(bad: &[u8], line: usize) {
    let (a, c) = (service("a", 1), service("c", 3));
    let file = [a.as_bytes(), b"---\n", bad, b"\n---\n", c.as_bytes()].concat();
    let folder = folder(&[("x.yaml", "")]);
    fs::write(folder.path().join("x.yaml"), file).unwrap();
    let mut manifests = open(folder.path());
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+a:1", "+c:3"], "{}", String::from_utf8_lossy(bad));
    let [reason] = &*reasons(&manifests) else { panic!("{:?}", reasons(&manifests)) };
    assert!(reason.starts_with(&format!("x.yaml:{line}: ")), "{reason}");
}

#[test]
fn one_bad_document_never_takes_the_file_away() {
    check_beside(b"kind: Service\nspec: [", 9);
    check_beside(b"kind: Service\n\tspec: {}", 8);
    check_beside(b"kind: {{ .Values.kind }}\nmetadata: {name: x", 8);
    check_beside("- ".repeat(5000).as_bytes(), 8);
    check_beside(["a: ", &"[".repeat(5000)].concat().as_bytes(), 8);
    check_beside(b"a: *nobody", 8);
    check_beside(b"a: \"\\q\"", 8);
    check_beside(b"a: \xff\xfe", 8);
    check_beside(b"a: 1\nb: caf\xe9", 9);
    check_beside(b"just words", 8);
    check_beside(b"- a\n- b", 8);
    check_beside(b"kind: Service", 8);
    check_beside(b"apiVersion: v1\nkind: List\nitems: 3", 8);
    let level = |n: usize| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", "));
    let laughs = format!("l0: &l0 [lol]\n{}", (1..10).map(level).collect::<String>());
    let folder = folder(&[("x.yaml", &format!("{laughs}---\n{}", service("a", 1)))]);
    let mut manifests = open(folder.path());
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+a:1"]);
    assert_eq!(manifests.rejections().len(), 1);
}

#[test]
fn one_bad_item_never_takes_its_list_away() {
    let item = |name: &str| {
        format!(
            "- apiVersion: v1\n  kind: Service\n  metadata: {{name: {name}}}\n  spec: {{ports: [{{port: 1}}]}}\n"
        )
    };
    let list = |bad: &str| format!("apiVersion: v1\nkind: List\nitems:\n{}{bad}\n{}", item("a"), item("b"));
    check("x.yaml", &list("- null"), &["+a:1", "+b:1"]);
    check("x.yaml", &list("-"), &["+a:1", "+b:1"]);
    for bad in
        ["- 3", "- [a]", "- {kind: Service}", "- {apiVersion: v1, kind: Service, metadata: {name: [x]}}"]
    {
        let folder = folder(&[("x.yaml", &list(bad))]);
        let mut manifests = open(folder.path());
        assert_eq!(shown(manifests.refresh(&Touched::All)), ["+a:1", "+b:1"], "{bad}");
        assert!(reasons(&manifests)[0].starts_with("x.yaml:8: "), "{:?}", reasons(&manifests));
    }
}

#[test]
fn values_of_json_fail_one_by_one_too() {
    let json = |name: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{name}"}},"spec":{{"ports":[{{"port":1}}]}}}}"#
        )
    };
    for broken in ["{\"kind\": \n", "{nobody", "{]}"] {
        for text in [
            format!("{}\n{broken}\n{}", json("a"), json("b")),
            format!("{broken}\n{}\n{}", json("a"), json("b")),
        ] {
            let folder = folder(&[("x.json", &text)]);
            let mut manifests = open(folder.path());
            assert_eq!(shown(manifests.refresh(&Touched::All)), ["+a:1", "+b:1"], "{text}");
            assert_eq!(manifests.rejections().len(), 1, "{text}");
        }
    }
}

#[test]
fn of_a_key_that_is_given_twice_the_last_value_counts() {
    check("x.yaml", &format!("{}  ports: [{{port: 2}}]\n", service("a", 1)), &["+a:2"]);
    check(
        "x.yaml",
        "apiVersion: v1\nkind: Pod\nkind: Service\nmetadata: {name: a, name: b}\nspec: {ports: [{port: 1, port: 2}]}",
        &["+b:2"],
    );
    let json = r#"{"apiVersion": "v1", "kind": "Pod", "kind": "Service", "metadata": {"name": "x", "name": "a"},
        "spec": {"ports": [{"port": 1}], "ports": [{"port": 2, "port": 3}]}}"#;
    check("x.json", json, &["+a:3"]);
    let labels = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "labels": {"a": "-", "a": "b"}}, "spec": {"ports": [{"port": 1}]}}"#;
    check("x.json", labels, &["+a:1"]);
}

#[test]
fn utf_16_and_byte_order_marks_are_read() {
    let text = format!("# größer\n{}---\n{}", service("a", 1), service("b", 2));
    let units = || std::iter::once(0xfeff).chain(text.encode_utf16());
    for bytes in [
        units().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        units().flat_map(u16::to_be_bytes).collect(),
        format!("\u{feff}{}\u{feff}---\n\u{feff}{}", service("a", 1), service("b", 2)).into_bytes(),
    ] {
        let folder = folder(&[("x.yaml", "")]);
        fs::write(folder.path().join("x.yaml"), bytes).unwrap();
        let mut manifests = open(folder.path());
        assert_eq!(shown(manifests.refresh(&Touched::All)), ["+a:1", "+b:2"]);
        assert_eq!(reasons(&manifests), Vec::<String>::new());
    }
}

#[test]
fn tabs_between_and_behind_values_separate_nothing_that_matters() {
    check(
        "x.yaml",
        "apiVersion:\tv1\nkind: Service\t# a comment\nmetadata: {name: a}\nspec:\n  ports:\t\n  - port:\t1\n",
        &["+a:1"],
    );
}

#[test]
fn directives_and_document_ends_are_no_objects() {
    check(
        "x.yaml",
        &format!("%YAML 1.2\n---\n{}...\n---\n{}...\n", service("a", 1), service("b", 2)),
        &["+a:1", "+b:2"],
    );
}

#[test]
fn long_texts_are_texts() {
    let long = "x".repeat(1 << 20);
    let other = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n  a: \"{long}\"\n  b: |\n    {long}\n"
    );
    check("x.yaml", &format!("{other}---\n{}", service("a", 1)), &["+a:1"]);
}

#[test]
fn an_object_whose_name_is_to_be_generated_serves_by_one() {
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\n\
                 metadata: {generateName: web-, labels: {kubernetes.io/service-name: web}}\n";
    let folder = folder(&[("x.yaml", &format!("{slice}---\n{slice}"))]);
    let mut manifests = open(folder.path());
    let first = shown(manifests.refresh(&Touched::All));
    assert_eq!(reasons(&manifests), Vec::<String>::new());
    let [one, other] = &*first else { panic!("{first:?}") };
    assert!(
        one != other
            && first
                .iter()
                .all(|name| name.starts_with("+web-") && name.len() == "+web-xxxxx/0 10.0.0.1".len())
    );
    assert_eq!(manifests.reload(), [], "the name stays");
}

/// What files are made of, so that random bytes often mean something.
fn scraps() -> impl Strategy<Value = Vec<u8>> {
    const SCRAPS: [&[u8]; 34] = [
        b"apiVersion: v1\n",
        b"kind: Service\n",
        b"metadata: {name: a}\n",
        b"metadata: {generateName: web-}\n",
        b"spec:\n  ports:\n  - port: 1\n",
        b"spec: {ports: [{port: 0}], prots: []}\n",
        b"kind: List\nitems:\n",
        b"- kind: Service\n  apiVersion: v1\n",
        b"---\n",
        b"...\n",
        b"---",
        b"%YAML 1.2\n",
        b"# x\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"{",
        b"}",
        b"\n{",
        b"[",
        b"]",
        b",",
        b"\"",
        b"\"kind\": \"Service\"",
        b"{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"b\"}, \"spec\": {\"ports\": [{\"port\": 1}]}}",
        b"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [null, 1, {\"kind\": \"Service\"}]}",
        b"&x ",
        b"*x",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\xc3",
        b"\0",
    ];
    prop::collection::vec(proptest::sample::select(&SCRAPS), 0..16).prop_map(|scraps| scraps.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_bytes_are_read_or_refused_at_a_line_that_they_have(bytes in scraps()) {
        let text = Text::decode(bytes);
        let lines = text.split(['\n', '\r']).count();
        let Contents { objects, unreadable, notes, .. } = read("x.yaml", &text, &Rules::default(), &mut Interner::default());
        let of_objects = objects.iter().flat_map(|object| object.mistakes.iter().chain(&object.warnings));
        let findings = of_objects.chain(unreadable.iter().flat_map(|unreadable| &unreadable.mistakes)).chain(&notes);
        for finding in findings {
            prop_assert!((1..=lines).contains(&finding.line), "{:?} of {} lines in {:?}", finding, lines, &*text);
            prop_assert!(!finding.message.is_empty() && !finding.expected.is_empty(), "{:?}", finding);
        }
        for object in objects {
            prop_assert_eq!(object.facts.is_err(), !object.mistakes.is_empty(), "{:?}", object);
        }
    }
}
