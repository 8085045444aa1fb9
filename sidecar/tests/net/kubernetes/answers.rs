//! Answers that are none: 410 and 429.

use super::*;

#[test]
fn a_version_that_etcd_has_forgotten_is_answered_by_a_new_list() {
    isolated(|| {
        let options = ["--watch-cache=false", "--etcd-compaction-interval=0"];
        let objects = [SERVICE, &named_slice("web-1", &["10.1.1.1"]), &named_slice("web-2", &["10.1.1.2"])];
        let mut world = World::start(Setup { options: &options, objects: &objects, ..Setup::default() });
        world.goes_to(&["one", "two"]);
        world.lose_api_server();
        let outage = world.plane.refuse_connections();
        world.plane.start_api_server();
        world.plane.kubectl(&["delete", "endpointslice", "web-2"]);
        world.plane.apply(&named_slice("web-1", &["10.1.1.3"]));
        world.plane.compact();
        world.goes_to(&["one", "two"]);
        drop(outage);
        world.goes_within(RECONNECTED, &["three"]);
        let log = world.plane.api_server_log();
        assert!(log.contains("required revision has been compacted"), "{log}");
        insta::assert_snapshot!(world.told());
    });
}

#[test]
fn an_api_server_that_has_too_much_to_do_is_asked_again() {
    isolated(|| {
        let options = ["--max-requests-inflight=1", "--enable-priority-and-fairness=false"];
        let objects = [SERVICE, &slice_of(&["10.1.1.1"]), OTHER, &named_slice("other-1", &["10.1.1.2"])];
        let world = World::start(Setup { options: &options, objects: &objects, ..Setup::default() });
        world.goes_to(&["one"]);
        let held = world.plane.hold_a_request();
        assert!(ask_where("127.66.0.2:8080").contains("reset"));
        world.says(Duration::from_secs(10), "429");
        world.goes_to(&["one"]);
        drop(held);
        within(Duration::from_secs(10), "the other Service is used", || {
            (ask_where("127.66.0.2:8080") == "two").then_some(())
        });
        insta::assert_snapshot!(world.told());
    });
}

const OTHER: &str = "
apiVersion: v1
kind: Service
metadata: { name: other }
spec: { ports: [{ port: 8080, appProtocol: tcp }] }
";
