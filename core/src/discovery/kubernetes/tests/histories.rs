//! Random histories: whatever happened on the way, after a quiet while the facts are the server's objects.

use proptest::prelude::*;

use super::server::{Fault, Server};
use super::*;

#[derive(Clone, Debug)]
enum Move {
    /// With this port; `None`: it is deleted.
    Service(&'static str, Option<u16>),
    /// A slice of a Service, with an address that ends so; it may have been another's.
    Slice(u8, Option<(&'static str, u8)>),
    /// One that has always been malformed.
    Malformed,
    Compact,
    Hangup,
    Fault(Fault),
    /// Somebody waits for a Service, or uses it.
    Want(&'static str),
    Use(&'static str),
    /// Time passes while the server is silent, or answers.
    Silence(u64),
    Pass(u64),
}

const NAMES: [&str; 6] = ["shop/a", "shop/b", "shop/c", "shop/d", "bank/a", "bank/x"];

fn name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&NAMES[..])
}

fn fault() -> impl Strategy<Value = Fault> {
    let status = proptest::sample::select(&[401_u16, 403, 403, 404, 410, 429, 500, 503][..]);
    prop_oneof![4 => status.prop_map(Fault::Status), 1 => Just(Fault::Cut), 1 => Just(Fault::Garbage)]
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (name(), proptest::option::weighted(0.7, 1..9_u16)).prop_map(|(name, port)| Move::Service(name, port)),
        4 => (0..6_u8, proptest::option::weighted(0.7, (name(), 1..9_u8))).prop_map(|(slice, to)| Move::Slice(slice, to)),
        1 => Just(Move::Malformed),
        1 => Just(Move::Compact),
        1 => Just(Move::Hangup),
        2 => fault().prop_map(Move::Fault),
        3 => name().prop_map(Move::Want),
        1 => name().prop_map(Move::Use),
        1 => (0..20_000_u64).prop_map(Move::Silence),
        3 => prop_oneof![4 => 0..3_000_u64, 1 => 0..700_000_u64].prop_map(Move::Pass),
    ]
}

struct History {
    world: World,
    server: Server,
    size: usize,
}

impl History {
    fn run(&mut self, step: &Move) {
        match step {
            Move::Service(name, port) => {
                let of = named(name);
                let mut object = service(&of.name);
                object["spec"]["ports"] = json!([{"port": port.unwrap_or(1)}]);
                self.server.put("services", &of.namespace, &of.name, port.map(|_| object));
            }
            Move::Slice(number, to) => {
                // A slice stays in its namespace.
                let namespace = if *number < 4 { "shop" } else { "bank" };
                let name = format!("slice-{number}");
                let object =
                    to.map(|(of, address)| slice(&name, &named(of).name, &[&format!("10.0.0.{address}")]));
                self.server.put("endpointslices", namespace, &name, object);
            }
            Move::Malformed => {
                self.server.put(
                    "services",
                    "shop",
                    "bad",
                    Some(json!({"metadata": {"name": "bad"}, "spec": []})),
                );
            }
            Move::Compact => self.server.compact(),
            Move::Hangup => self.hang_up(),
            Move::Fault(fault) => self.server.faults.push(*fault),
            Move::Want(name) => self.world.want(name),
            Move::Use(name) => {
                self.world.kube.used(&named(name), self.world.now);
                self.world.poll();
            }
            Move::Silence(ms) => {
                self.world.pass_silent(Duration::from_millis(*ms));
                self.reconnect();
            }
            Move::Pass(ms) => self.pass(Duration::from_millis(*ms)),
        }
        assert!(self.world.open.len() <= 100);
        self.world.facts.lines(); // what is pending has no slices
    }

    fn hang_up(&mut self) {
        self.server.hang_up();
        if self.world.is_connected {
            self.world.lose();
        }
    }

    fn reconnect(&mut self) {
        if !self.world.is_connected {
            self.server.hang_up();
            self.world.kube.connected(OWN, self.world.now);
            self.world.is_connected = self.world.kube.is_connected();
            self.world.poll();
        }
    }

    /// Time passes in steps, and the server answers after each.
    fn pass(&mut self, duration: Duration) {
        let end = Now(self.world.now.0 + duration);
        loop {
            self.reconnect();
            self.world.serve(&mut self.server, self.size);
            let wake = self.world.wake.filter(|wake| *wake <= end);
            self.world.now = wake.unwrap_or(end);
            self.world.poll();
            if wake.is_none() {
                break;
            }
        }
        self.reconnect();
        self.world.serve(&mut self.server, self.size);
    }

    /// The server's Services of a namespace, and their ports, but for the malformed one.
    fn services(&self, namespace: &str) -> BTreeMap<ServiceName, u64> {
        let objects = self.server.now().into_iter();
        let services = objects
            .filter(|((resource, of, name), _)| resource == "services" && of == namespace && name != "bad");
        services
            .map(|((_, namespace, name), object)| {
                let name = ServiceName::new(namespace.as_str(), name.as_str());
                (name, object["spec"]["ports"][0]["port"].as_u64().unwrap())
            })
            .collect()
    }

    fn known_services(&self, namespace: &str) -> BTreeMap<ServiceName, u64> {
        let services = self.world.facts.services.iter().filter(|(name, _)| &*name.namespace == namespace);
        services.map(|(name, service)| (name.clone(), u64::from(service.ports[0].port))).collect()
    }

    /// The slices of a namespace whose Service is there: name, Service, address.
    fn slices(&self, namespace: &str) -> BTreeSet<(String, String, String)> {
        let services = self.services(namespace);
        let objects = self.server.now().into_iter();
        let slices = objects.filter(|((resource, of, _), _)| resource == "endpointslices" && of == namespace);
        slices
            .map(|((_, _, name), object)| {
                let of = object["metadata"]["labels"]["kubernetes.io/service-name"].as_str().unwrap();
                let address = object["endpoints"][0]["addresses"][0].as_str().unwrap();
                (name.clone(), of.to_string(), address.to_string())
            })
            .filter(|(_, of, _)| services.contains_key(&ServiceName::new(namespace, of.as_str())))
            .collect()
    }

    fn known_slices(&self, namespace: &str) -> BTreeSet<(String, String, String)> {
        let slices = self.world.facts.slices.values().filter(|slice| &*slice.service.namespace == namespace);
        let text = |slice: &Arc<Slice>| {
            let address = slice.endpoints[0].address.to_string();
            (slice.name.to_string(), slice.service.name.to_string(), address)
        };
        slices.map(text).collect()
    }

    /// After a quiet while everything is as the server has it; what is wanted then is known with all its slices.
    fn check(&mut self) {
        self.server.faults.clear();
        self.pass(Duration::from_secs(400)); // an old form of slices is doubted after 300 s
        assert_eq!(self.known_services("shop"), self.services("shop"));
        self.world.settled.clear();
        NAMES.iter().for_each(|name| self.world.want(name));
        self.pass(Duration::from_secs(5));
        assert_eq!(self.world.settles().len(), NAMES.len());
        for namespace in ["shop", "bank"] {
            assert_eq!(self.known_services(namespace), self.services(namespace));
            assert_eq!(self.known_slices(namespace), self.slices(namespace));
        }
        let known: BTreeSet<ServiceName> = self.world.facts.services.keys().cloned().collect();
        assert_eq!(self.world.facts.complete, known);

        // Long after, only our own Services are left.
        self.pass(Duration::from_secs(700));
        assert_eq!(self.known_services("shop"), self.services("shop"));
        assert_eq!(self.known_services("bank").len() + self.world.facts.slices.len(), 0);
        assert_eq!(self.world.facts.complete.len(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn after_a_quiet_while_the_facts_are_the_servers_objects(
        moves in proptest::collection::vec(a_move(), 0..60),
        size in prop_oneof![1..40_usize, Just(100_000)],
    ) {
        let mut history = History { world: World::new(), server: Server::default(), size };
        history.server.put("services", "shop", "a", Some(service("a")));
        moves.iter().for_each(|step| history.run(step));
        history.check();
    }
}
