//! Tokens and authorities that are replaced.

use super::*;

#[test]
fn with_a_token_that_is_no_longer_taken_what_is_known_serves_until_there_is_another() {
    isolated(|| {
        let objects = [SERVICE, &slice_of(&["10.1.1.1"])];
        let mut world = World::start(Setup { objects: &objects, ..Setup::default() });
        world.goes_to(&["one"]);
        world.plane.replace_service_account();
        world.lose_api_server(); // it does not end a watch whose token has expired
        world.plane.start_api_server();
        world.says(RECONNECTED, "does not take the token");
        world.plane.apply(&slice_of(&["10.1.1.2"]));
        assert_eq!(ask_where(WEB), "one");
        assert_eq!(world.sidecar.admin("/readyz").trim(), "ok");
        world.plane.service_account();
        world.goes_within(RECONNECTED, &["two"]);
        insta::assert_snapshot!(world.told());
    });
}

#[test]
fn with_an_authority_that_is_not_known_what_is_known_serves_until_it_is() {
    isolated(|| {
        let objects = [SERVICE, &slice_of(&["10.1.1.1"])];
        let mut world = World::start(Setup { objects: &objects, ..Setup::default() });
        world.goes_to(&["one"]);
        world.lose_api_server();
        world.plane.replace_authority();
        world.plane.start_api_server();
        world.says(RECONNECTED, "certificate");
        world.plane.apply(&slice_of(&["10.1.1.2"]));
        assert_eq!(ask_where(WEB), "one");
        assert_eq!(world.sidecar.admin("/readyz").trim(), "ok");
        world.plane.service_account();
        world.goes_within(RECONNECTED, &["two"]);
        insta::assert_snapshot!(world.told());
    });
}
