//! Changes, as the API server tells of them.

use super::*;

#[test]
fn endpoints_are_followed_as_the_api_server_tells_of_them() {
    isolated(|| {
        let objects = [SERVICE, &slice_of(&["10.1.1.1"])];
        let world = World::start(Setup { objects: &objects, ..Setup::default() });
        world.goes_to(&["one"]);
        world.plane.apply(&slice_of(&["10.1.1.2", "10.1.1.3"]));
        world.goes_to(&["two", "three"]);
        world.plane.apply(&slice_of(&[]));
        until("nobody is left", || ask_where(WEB).contains("reset").then_some(()));
        world.plane.apply(&slice_of(&["10.1.1.1"]));
        world.goes_to(&["one"]);
        insta::assert_snapshot!(world.told());
    });
}

#[test]
fn while_the_api_server_is_gone_what_is_known_serves_and_then_changes_are_in_use() {
    isolated(|| {
        let objects = [SERVICE, &slice_of(&["10.1.1.1"])];
        let mut world = World::start(Setup { objects: &objects, ..Setup::default() });
        world.goes_to(&["one"]);
        world.lose_api_server();
        for _ in 0..20 {
            assert_eq!(ask_where(WEB), "one");
        }
        assert_eq!(world.sidecar.admin("/readyz").trim(), "ok");
        world.plane.start_api_server();
        world.plane.apply(&slice_of(&["10.1.1.2"]));
        world.goes_within(RECONNECTED, &["two"]);
        insta::assert_snapshot!(world.told());
    });
}
