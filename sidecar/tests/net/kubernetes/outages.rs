//! The API server is gone for a while, under load, while half of the known endpoints die.

use std::thread;

use hyper::{Method, Version};

use super::*;

#[test]
fn while_the_api_server_is_dead_no_request_fails_and_changes_are_in_use_soon_after_its_return() {
    isolated(|| {
        let mut loaded = Loaded::start();
        loaded.world.plane.kill_api_server();
        loaded.lasts_while_half_die();
        loaded.world.plane.start_api_server();
        loaded.world.plane.apply(&named_slice("other-1", &AFTER));
        loaded.uses_the_new_one_within(CAP_CONNECT_AND_LIST);
        loaded.ends_without_a_failure();
    });
}

#[test]
fn while_it_is_blackholed_no_request_fails_and_changes_of_then_are_in_use_within_a_ping_and_its_timeout() {
    isolated(|| {
        let mut loaded = Loaded::start();
        let outage = loaded.world.plane.blackhole();
        loaded.world.plane.apply(&named_slice("other-1", &AFTER));
        loaded.lasts_while_half_die();
        assert_eq!(loaded.new.requests(), 0, "the sidecar cannot know of it");
        drop(outage);
        loaded.uses_the_new_one_within(PING_AND_TIMEOUT);
        loaded.ends_without_a_failure();
    });
}

/// The Service `other` under steady load, over four nginx, and a fifth that is in no slice yet.
struct Loaded {
    load: SteadyLoad,
    old: [Nginx; 4],
    new: Nginx,
    world: World,
}

impl Loaded {
    fn start() -> Loaded {
        let objects = [OTHER, &named_slice("other-1", &BEFORE)];
        let world = World::start(Setup { objects: &objects, ..Setup::default() });
        let nginx = |address: &'static str| {
            world.pod.node_also_is(address);
            world.pod.node.enter(|| Nginx::named(address, &format!("{address}:8080")))
        };
        let (old, new) = (BEFORE.map(nginx), nginx(NEW));
        let load = SteadyLoad::start(&CLIENTS, &[Method::GET]);
        until("all of them answer", || old.iter().all(|nginx| nginx.requests() > 0).then_some(()));
        Loaded { load, old, new, world }
    }

    /// Half of the endpoints die, and then the outage takes its time.
    fn lasts_while_half_die(&mut self) {
        self.old[..2].iter_mut().for_each(|nginx| nginx.process().kill());
        thread::sleep(outage()); // not a wait for something
    }

    fn uses_the_new_one_within(&self, limit: Duration) {
        within(limit, "the change is in use", || (self.new.requests() > 0).then_some(()));
    }

    fn ends_without_a_failure(self) {
        for (version, seen) in self.load.end() {
            assert!(seen.failed.is_empty(), "{version:?}: {:?}", seen.failed);
            let expected = usize::try_from(outage().as_secs()).expect("some seconds") * 40;
            assert!(seen.answered > expected, "{version:?}: {} answers", seen.answered);
        }
    }
}

/// How long the API server is gone: two minutes with `SVCMESH_TEST_LONG`.
#[expect(clippy::disallowed_methods, reason = "a test is no configuration")]
fn outage() -> Duration {
    let is_long = std::env::var_os("SVCMESH_TEST_LONG").is_some();
    Duration::from_secs(if is_long { 120 } else { 20 })
}

const BEFORE: [&str; 4] = ["10.1.1.4", "10.1.1.5", "10.1.1.6", "10.1.1.7"];
const NEW: &str = "10.1.1.8";
const AFTER: [&str; 3] = [BEFORE[2], BEFORE[3], NEW];

const OTHER: &str = "
apiVersion: v1
kind: Service
metadata: { name: other }
spec: { ports: [{ port: 8080, appProtocol: http }] }
";

const CLIENTS: [Client; 2] = [
    Client { version: Version::HTTP_11, address: "127.66.0.2:8080", host: "other" },
    Client { version: Version::HTTP_2, address: "127.66.0.2:8080", host: "other" },
];

/// A connection is tried again within 10 s, which takes at most 3 s, and a list.
const CAP_CONNECT_AND_LIST: Duration = Duration::from_secs(15);

/// A PING every 30 s, which is answered within 10 s.
const PING_AND_TIMEOUT: Duration = Duration::from_secs(40);
