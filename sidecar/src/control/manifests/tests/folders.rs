use std::os::unix::fs::symlink;

use super::*;

#[test]
fn only_manifests_of_the_folder_itself_are_read() {
    let folder = folder(&[
        ("a.yaml", &service("a", 1)),
        ("b.yml", &service("b", 2)),
        (
            "c.json",
            r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}, "spec": {"ports": [{"port": 3}]}}"#,
        ),
        ("d.txt", "not read"),
        (".e.yaml", "[not read"),
        ("f.yaml~", "[not read"),
    ]);
    fs::create_dir(folder.path().join("g.yaml")).unwrap();
    let mut manifests = open(folder.path());
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+a:1", "+b:2", "+c:3"]);
    assert_eq!(reasons(&manifests), Vec::<String>::new());
}

#[test]
fn one_file_may_stand_for_a_folder() {
    let folder = folder(&[("web", &service("web", 80)), ("other.yaml", &service("other", 81))]);
    let mut manifests = open(&folder.path().join("web"));
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+web:80"]);
}

#[test]
fn a_path_that_leads_nowhere_is_told() {
    let error = Manifests::open(Path::new("/no/such"), Rules::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read manifests `/no/such`");
}

#[test]
fn what_is_written_again_without_a_difference_changes_nothing() {
    let folder = folder(&[("a.yaml", &service("a", 1))]);
    let mut manifests = open(folder.path());
    assert_eq!(manifests.refresh(&Touched::All).len(), 1);
    fs::write(folder.path().join("a.yaml"), format!("# again\n{}", service("a", 1))).unwrap();
    assert_eq!(manifests.refresh(&touched("a.yaml")), []);
    assert_eq!(manifests.reload(), []);
}

#[test]
fn a_deleted_file_takes_its_objects_along() {
    let folder = folder(&[("a.yaml", &service("a", 1)), ("b.yaml", &service("b", 1))]);
    let mut manifests = open(folder.path());
    manifests.refresh(&Touched::All);
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    assert_eq!(shown(manifests.refresh(&touched("a.yaml"))), ["-a"]);
    fs::remove_file(folder.path().join("b.yaml")).unwrap();
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["-b"]);
}

#[test]
fn a_document_that_is_no_yaml_keeps_the_objects_that_it_names_and_the_others_follow_their_own() {
    let three = format!("{}---\n{}---\n{}", service("a", 1), service("broken", 1), service("gone", 1));
    let folder = folder(&[("a.yaml", &three)]);
    let mut manifests = open(folder.path());
    manifests.refresh(&Touched::All);
    let broken = service("broken", 2).replace("spec:", "spec: [");
    fs::write(
        folder.path().join("a.yaml"),
        format!("{}---\n{broken}---\n{}", service("a", 2), service("new", 1)),
    )
    .unwrap();
    assert_eq!(shown(manifests.refresh(&touched("a.yaml"))), ["+a:2", "-gone", "+new:1"]);
    let [reason] = &*reasons(&manifests) else { panic!("{:?}", reasons(&manifests)) };
    assert!(reason.starts_with("a.yaml:1"), "{reason}");
    fs::write(folder.path().join("a.yaml"), service("broken", 3)).unwrap();
    assert_eq!(shown(manifests.refresh(&touched("a.yaml"))), ["-a", "+broken:3", "-new"]);
    assert_eq!(reasons(&manifests), Vec::<String>::new());
}

#[test]
fn a_file_that_cannot_be_read_keeps_all_it_had() {
    let folder = folder(&[("a.yaml", &service("a", 1))]);
    let mut manifests = open(folder.path());
    manifests.refresh(&Touched::All);
    let file = fs::OpenOptions::new().write(true).open(folder.path().join("a.yaml")).unwrap();
    file.set_len((64 << 20) + 1).unwrap(); // sparse
    assert_eq!(manifests.refresh(&touched("a.yaml")), []);
    assert_eq!(reasons(&manifests), ["a.yaml: cannot be read: larger than 64 MiB"]);
}

#[test]
fn an_object_that_becomes_invalid_keeps_what_it_was() {
    let folder = folder(&[("a.yaml", &format!("{}---\n{}", service("a", 1), service("b", 1)))]);
    let mut manifests = open(folder.path());
    manifests.refresh(&Touched::All);
    fs::write(folder.path().join("a.yaml"), format!("{}---\n{}", service("a", 0), service("b", 2))).unwrap();
    assert_eq!(shown(manifests.refresh(&touched("a.yaml"))), ["+b:2"]);
    let refusal = "Service \"a\" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive";
    assert_eq!(reasons(&manifests), [format!("a.yaml:6: {refusal}")]);
}

#[test]
fn the_first_file_by_name_wins_and_the_others_step_in() {
    let folder = folder(&[("b.yaml", &service("web", 2)), ("c.yaml", &service("web", 3))]);
    let mut manifests = open(folder.path());
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+web:2"]);
    let doubled = |file, owner| format!("{file}:1: already in {owner}:1, the first file by name wins");
    assert_eq!(reasons(&manifests), [doubled("c.yaml", "b.yaml")]);

    fs::write(folder.path().join("a.yaml"), service("web", 1)).unwrap();
    assert_eq!(shown(manifests.refresh(&touched("a.yaml"))), ["+web:1"]);
    assert_eq!(reasons(&manifests), [doubled("b.yaml", "a.yaml"), doubled("c.yaml", "a.yaml")]);

    fs::write(folder.path().join("b.yaml"), service("web", 7)).unwrap();
    assert_eq!(manifests.refresh(&touched("b.yaml")), [], "it does not serve");
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    assert_eq!(shown(manifests.refresh(&touched("a.yaml"))), ["+web:7"]);
}

#[test]
fn an_object_that_moves_between_files_is_never_gone() {
    let folder = folder(&[("a.yaml", &service("web", 1)), ("b.yaml", "")]);
    let mut manifests = open(folder.path());
    manifests.refresh(&Touched::All);
    fs::write(folder.path().join("a.yaml"), "").unwrap();
    fs::write(folder.path().join("b.yaml"), service("web", 1)).unwrap();
    let both = Touched::Files(["a.yaml".to_owned(), "b.yaml".to_owned()].into());
    assert_eq!(manifests.refresh(&both), []);
}

#[test]
fn an_object_twice_in_a_file_is_the_first() {
    let folder = folder(&[("a.yaml", &format!("{}---\n{}", service("web", 1), service("web", 2)))]);
    let mut manifests = open(folder.path());
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+web:1"]);
    assert_eq!(reasons(&manifests), ["a.yaml:8: already in a.yaml:1, the first in a file wins"]);
}

#[test]
fn a_folder_that_goes_away_keeps_what_it_had() {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("manifests");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("a.yaml"), service("a", 1)).unwrap();
    let mut manifests = open(&inner);
    manifests.refresh(&Touched::All);
    fs::rename(&inner, outer.path().join("elsewhere")).unwrap();
    assert_eq!(manifests.refresh(&Touched::All), []);
    assert_eq!(manifests.rejections().len(), 1);
    fs::rename(outer.path().join("elsewhere"), &inner).unwrap();
    assert_eq!(manifests.refresh(&Touched::All), []);
    assert_eq!(manifests.rejections(), []);
}

#[test]
fn a_mounted_config_map_changes_in_one_step() {
    let mount = tempfile::tempdir().unwrap();
    let version = |name: &str, port| {
        fs::create_dir(mount.path().join(name)).unwrap();
        fs::write(mount.path().join(name).join("web.yaml"), service("web", port)).unwrap();
        symlink(name, mount.path().join("..data_tmp")).unwrap();
        fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data")).unwrap();
    };
    version("..2026_01", 1);
    symlink("..data/web.yaml", mount.path().join("web.yaml")).unwrap();
    let mut manifests = open(mount.path());
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+web:1"]);
    version("..2026_02", 2);
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+web:2"]);
}

#[test]
fn the_parts_of_endpoints_come_and_go_one_by_one() {
    let endpoints = |subsets: &str| {
        format!("apiVersion: v1\nkind: Endpoints\nmetadata: {{name: web}}\nsubsets: [{subsets}]\n")
    };
    let (first, second) = ("{addresses: [{ip: 10.0.0.1}]}", "{addresses: [{ip: 10.0.0.2}]}");
    let folder = folder(&[("a.yaml", &endpoints(&format!("{first}, {second}")))]);
    let mut manifests = open(folder.path());
    assert_eq!(shown(manifests.refresh(&Touched::All)), ["+web/0 10.0.0.1", "+web/1 10.0.0.2"]);
    fs::write(folder.path().join("a.yaml"), endpoints(first)).unwrap();
    assert_eq!(shown(manifests.refresh(&touched("a.yaml"))), ["-web/1"]);
}

#[test]
fn a_port_name_that_the_service_does_not_have_is_told_when_either_changes() {
    let named = |name: &str| service("web", 80).replace("port: 80", &format!("port: 80\n    name: {name}"));
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\n\
                 metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\nports: [{name: http, port: 80}]\n";
    let folder = folder(&[("slice.yaml", slice), ("web.yaml", &named("http"))]);
    let mut manifests = open(folder.path());
    manifests.refresh(&Touched::All);
    let key = |kind, name: &str| ObjectKey { kind, namespace: "default".into(), name: name.into() };
    let keys = [key(ObjectKind::Service, "web"), key(ObjectKind::EndpointSlice, "web-1")];
    let told = |manifests: &Manifests, key: &ObjectKey| -> Vec<String> {
        manifests
            .unknown_port_names([key].into_iter())
            .into_iter()
            .map(|(key, text)| format!("{key}: {text}"))
            .collect()
    };
    assert_eq!(keys.each_ref().map(|key| told(&manifests, key).len()), [0, 0]);
    fs::write(folder.path().join("web.yaml"), named("htp")).unwrap();
    manifests.refresh(&touched("web.yaml"));
    let text = "EndpointSlice \"default/web-1\": a port \"http\" is none of Service \"default/web\", which has \"htp\": it serves nobody";
    assert_eq!(keys.each_ref().map(|key| told(&manifests, key)), [[text], [text]]);
    fs::remove_file(folder.path().join("slice.yaml")).unwrap();
    manifests.refresh(&touched("slice.yaml"));
    assert_eq!(told(&manifests, &keys[0]), [""; 0]);
}
