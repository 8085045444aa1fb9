//! Discovery by a real API server (S-01 to S-06). `cargo xtask test cluster` runs these.

use crate::support::*;

/// Three endpoints that tell their names, and a Service without selector in front of them.
struct World {
    plane: ControlPlane,
    sidecar: Sidecar,
    _endpoints: [Told; 3],
    _pod: Pod,
}

impl World {
    fn start(options: &[&str], objects: &[&str]) -> World {
        World::of(options, objects, |plane| drop(plane.kubectl(&["apply", "-k", RBAC])))
    }

    /// Where the sidecar may read nothing.
    fn start_forbidden(options: &[&str], objects: &[&str]) -> World {
        World::of(options, objects, |_| {})
    }

    fn of(options: &[&str], objects: &[&str], permit: impl FnOnce(&ControlPlane)) -> World {
        let pod = Pod::here();
        let plane = ControlPlane::start(options);
        permit(&plane);
        objects.iter().for_each(|object| plane.apply(object));
        let account = plane.service_account();
        let account = account.to_str().expect("our own name");
        let arguments = [
            "--discovery",
            "kubernetes",
            "--service-account",
            account,
            "--loopback-vips",
            "web.default=127.66.0.1",
        ];
        let endpoints = [("10.1.1.1:8080", "one"), ("10.1.1.2:8080", "two"), ("10.1.1.3:8080", "three")];
        let endpoints = pod.node.enter(|| endpoints.map(|(address, name)| Told::at(address, name)));
        let manifests = Manifests::of(&[]);
        let sidecar = Sidecar::start_in_pod(&ControlPlane::VARIABLES, manifests, &arguments);
        World { plane, sidecar, _endpoints: endpoints, _pod: pod }
    }

    /// Waits until connections go to these, and to no others.
    fn goes_to(&self, expected: &[&str]) {
        until(&format!("connections go to {expected:?}"), || {
            let mut told: Vec<String> = (0..expected.len().max(1) * 2).map(|_| ask_where(WEB)).collect();
            told.sort_unstable();
            told.dedup();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            (told == expected).then_some(())
        });
    }
}

const WEB: &str = "127.66.0.1:80";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: { name: web, annotations: { svcmesh.dev/load-balancer: rr } }
spec: { ports: [{ port: 80, targetPort: 8080, appProtocol: tcp }] }
";

/// What sidecars of a namespace are granted.
const RBAC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rbac/namespaced");

fn slice_of(version: &str, addresses: &[&str]) -> String {
    let endpoints: Vec<String> = addresses
        .iter()
        .map(|address| format!("{{ addresses: [{address:?}], conditions: {{ ready: true }} }}"))
        .collect();
    format!(
        "apiVersion: discovery.k8s.io/{version}\nkind: EndpointSlice\n\
         metadata: {{ name: web-1, labels: {{ kubernetes.io/service-name: web }} }}\n\
         addressType: IPv4\nports: [{{ name: '', port: 8080, protocol: TCP }}]\nendpoints: [{}]\n",
        endpoints.join(", ")
    )
}

#[test]
fn endpoints_are_followed_as_the_api_server_tells_of_them() {
    isolated(|| {
        let world = World::start(&[], &[SERVICE, &slice_of("v1", &["10.1.1.1"])]);
        world.goes_to(&["one"]);
        world.plane.apply(&slice_of("v1", &["10.1.1.2", "10.1.1.3"]));
        world.goes_to(&["two", "three"]);
        world.plane.apply(&slice_of("v1", &[]));
        until("nobody is left", || ask_where(WEB).contains("reset").then_some(()));
        world.plane.apply(&slice_of("v1", &["10.1.1.1"]));
        world.goes_to(&["one"]);
    });
}

#[test]
fn while_the_api_server_is_gone_what_is_known_serves_and_then_changes_are_in_use() {
    isolated(|| {
        let mut world = World::start(&[], &[SERVICE, &slice_of("v1", &["10.1.1.1"])]);
        world.goes_to(&["one"]);
        world.plane.kill_api_server();
        until("the loss is told", || {
            world.sidecar.log().contains("no connection to the API server").then_some(())
        });
        for _ in 0..20 {
            assert_eq!(ask_where(WEB), "one");
        }
        assert_eq!(world.sidecar.admin("/readyz").trim(), "ok");
        world.plane.start_api_server();
        world.plane.apply(&slice_of("v1", &["10.1.1.2"]));
        within(std::time::Duration::from_secs(15), "the change is in use", || {
            (ask_where(WEB) == "two").then_some(())
        });
    });
}

#[test]
fn an_api_server_with_slices_of_v1beta1_only_will_do() {
    isolated(|| {
        let options = ["--runtime-config=discovery.k8s.io/v1=false"];
        let world = World::start(&options, &[SERVICE, &slice_of("v1beta1", &["10.1.1.1", "10.1.1.3"])]);
        world.goes_to(&["one", "three"]);
    });
}

#[test]
fn without_permission_the_log_names_verb_resource_and_namespace() {
    isolated(|| {
        let world = World::start_forbidden(&[], &[SERVICE]);
        let told = "does not allow us to list services in namespace \"default\" (403)";
        until("it is told", || world.sidecar.log().contains(told).then_some(()));
        world.plane.kubectl(&["apply", "-k", RBAC]);
        world.plane.apply(&slice_of("v1", &["10.1.1.2"]));
        within(std::time::Duration::from_secs(75), "it is tried again", || {
            (ask_where(WEB) == "two").then_some(())
        });
        assert_eq!(world.sidecar.log().matches(told).count(), 1, "{}", world.sidecar.log());
    });
}
