//! Permissions that are missing (403), and that come and go.

use super::*;

/// A cluster whose API server tells of `one`, and the environment of `three`.
fn setup(permit: fn(&ControlPlane)) -> Setup<'static> {
    Setup {
        permit,
        variables: &[("WEB_SERVICE_HOST", "10.1.1.3"), ("WEB_SERVICE_PORT", "8080")],
        ..Setup::default()
    }
}

#[test]
fn without_any_permission_the_environment_decides_until_there_is_one() {
    isolated(|| {
        let objects = [SERVICE, &slice_of(&["10.1.1.1"])];
        let world = World::start(Setup { objects: &objects, ..setup(permit_nothing) });
        world.goes_to(&["three"]);
        world.plane.kubectl(&["apply", "-k", RBAC]);
        world.goes_within(TRIED_AGAIN, &["one"]);
        insta::assert_snapshot!(world.told());
    });
}

#[test]
fn without_slices_the_environment_decides_until_they_are_allowed() {
    isolated(|| {
        let objects = [SERVICE, &slice_of(&["10.1.1.1"])];
        let permit = |plane: &ControlPlane| {
            permit_all(plane);
            forbid(plane, "endpointslices");
        };
        let world = World::start(Setup { objects: &objects, ..setup(permit) });
        world.goes_to(&["three"]);
        world.plane.kubectl(&["apply", "-k", RBAC]);
        world.goes_within(TRIED_AGAIN, &["one"]);
        insta::assert_snapshot!(world.told());
    });
}

#[test]
fn services_that_are_allowed_no_more_serve_on_for_half_a_minute_and_then_the_environment_decides() {
    isolated(|| {
        let objects = [SERVICE, &slice_of(&["10.1.1.1"])];
        let mut world = World::start(Setup { objects: &objects, ..setup(permit_all) });
        world.goes_to(&["one"]);
        forbid(&world.plane, "services");
        world.lose_api_server(); // it does not end a watch whose permission is gone
        world.plane.start_api_server();
        world.says(TRIED_AGAIN, "does not allow us");
        world.goes_to(&["three"]);
        insta::assert_snapshot!(world.told());
    });
}

/// Takes the permission for a resource from sidecars.
fn forbid(plane: &ControlPlane, resource: &str) {
    let role =
        |rules: &str| plane.kubectl(&["patch", "role", "svcmesh-discovery", "--type=json", "--patch", rules]);
    let index = RULES.iter().position(|rule| *rule == resource).expect("one of the Role");
    role(&format!(
        r#"[{{"op":"test","path":"/rules/{index}/resources/0","value":"{resource}"}},{{"op":"remove","path":"/rules/{index}"}}]"#
    ));
    until("the API server has taken note", || (!plane.allows_sidecars_to_list(resource)).then_some(()));
}

/// The resources of the rules of the Role in `deploy/rbac/namespaced`.
const RULES: [&str; 3] = ["services", "endpointslices", "endpoints"];

/// A refused request is sent again after 30 s to 60 s.
const TRIED_AGAIN: Duration = Duration::from_secs(75);
