//! The source against a script, in tokio's own time: what is asked when, and what everybody is told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use svc_core::authority::Authority;
use svc_core::dns::answer::{QueryType, Record};
use svc_core::dns::lease::Bounds;
use svc_core::inventory::{Inventory, Settings};
use svc_core::outcome::Failure;
use svc_core::table::{Source, Table};
use tokio::time::{sleep, timeout};

use super::*;
use crate::shared::interest::PendingLookup;

/// Answers as the test says, and keeps what it was asked.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    replies: BTreeMap<String, Reply>,
    delay: Duration,
    asked: Vec<(String, QueryType)>,
    flying: usize,
    most_flying: usize,
    answered: usize,
}

/// A question under way.
struct Flying(Script);

impl Flying {
    fn new(script: &Script) -> Flying {
        let mut state = script.0.lock().unwrap();
        state.flying += 1;
        state.most_flying = state.most_flying.max(state.flying);
        Flying(script.clone())
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().flying -= 1;
    }
}

impl Resolver for Script {
    fn ask(&self, question: Question) -> impl Future<Output = Reply> + Send + 'static {
        let mut state = self.0.lock().unwrap();
        state.asked.push((question.name.to_string(), question.kind));
        let (script, delay) = (self.clone(), state.delay);
        drop(state);
        let flying = Flying::new(self);
        async move {
            let _flying = flying;
            let dead = question.name.contains("dead");
            sleep(if dead { Duration::from_secs(1_000) } else { delay }).await;
            let mut state = script.0.lock().unwrap();
            state.answered += 1;
            let absent = Reply::Denied { lifetime: None, exists: false };
            let of_kind = state.replies.get(&format!("{} {:?}", question.name, question.kind));
            let reply = of_kind.or(state.replies.get(&*question.name)).cloned().unwrap_or(absent);
            match (&reply, question.kind) {
                (Reply::Found { records, .. }, QueryType::Aaaa) if records[0].address.is_ipv4() => {
                    Reply::Denied { lifetime: None, exists: true }
                }
                _ => reply,
            }
        }
    }
}

/// The source, the inventory that believes it, and the register.
struct World {
    script: Script,
    dns: DnsSource<Script>,
    inventory: Inventory,
    wanted: Arc<DnsInterest>,
    metrics: Arc<Metrics>,
}

fn world() -> World {
    let (script, wanted, metrics) = (Script::default(), Arc::<DnsInterest>::default(), Metrics::new());
    let domains = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];
    let search = SearchPath { domains: domains.map(Arc::from).into(), ndots: 5 };
    let cluster =
        Cluster { namespace: "default".into(), domain: "cluster.local".into(), service_cidrs: Vec::new() };
    let bounds = Bounds { min: Duration::from_secs(5), max: Duration::from_secs(300) };
    let dns = DnsSource::new(
        script.clone(),
        DnsCache::new(search, cluster, bounds),
        wanted.clone(),
        metrics.clone(),
    );
    let inventory = Inventory::new(Settings { sources: [Source::Dns].into(), ..Settings::default() });
    World { script, dns, inventory, wanted, metrics }
}

impl World {
    fn replies(&self, name: &str, reply: Reply) {
        self.script.0.lock().unwrap().replies.insert(name.into(), reply);
    }

    fn finds(&self, name: &str, addresses: &[&str], seconds: u64) {
        let records = addresses.iter().map(|address| Record::of(address.parse().unwrap())).collect();
        let lifetime = Duration::from_secs(seconds);
        self.replies(name, Reply::Found { records, lifetime, aliased: false });
    }

    /// Lets the source work for as long.
    async fn run(&mut self, time: Duration) {
        let working = async {
            loop {
                let changes = self.dns.next().await;
                self.inventory.apply(Source::Dns, changes);
            }
        };
        let _ = timeout(time, working).await.map(|never: std::convert::Infallible| never);
    }

    /// The same; how many ports the inventory was told of.
    async fn run_counting(&mut self, time: Duration) -> usize {
        let mut told = 0;
        let working = async {
            loop {
                let changes = self.dns.next().await;
                told += changes.iter().map(ports_told).sum::<usize>();
                self.inventory.apply(Source::Dns, changes);
            }
        };
        let _ = timeout(time, working).await.map(|never: std::convert::Infallible| never);
        told
    }

    async fn run_seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds)).await;
    }

    /// What a request is told at once.
    fn ask(&self, want: &OnDemandLookup) -> Result<(), Failure> {
        self.ask_by(1, want)
    }

    /// The same for another client.
    fn ask_by(&self, client: u8, want: &OnDemandLookup) -> Result<(), Failure> {
        self.wanted.ask(want.clone(), [127, 0, 0, client].into()).map(|_waiting| ())
    }

    fn waits(&self, want: &OnDemandLookup) -> PendingLookup {
        self.wanted.ask(want.clone(), [127, 0, 0, 1].into()).unwrap()
    }

    /// Uses the name for as long, as a worker with open connections does.
    async fn use_for(&mut self, name: &str, seconds: u64) {
        for _ in 0..seconds {
            self.wanted.note_use([(Arc::from(name), 80)].into_iter());
            self.run_seconds(1).await;
        }
    }

    fn table(&self) -> Arc<Table> {
        self.inventory.table()
    }

    /// Where a host leads; nothing where the table has no target for it.
    fn endpoints(&self, host: &str) -> Vec<String> {
        let table = self.table();
        let target = table.by_authority(&Authority::parse(host).unwrap()).ok();
        let usable = target.into_iter().flat_map(|target| target.endpoints.usable());
        usable.map(|endpoint| endpoint.addr.to_string()).collect()
    }

    fn asked(&self, name: &str) -> usize {
        self.script.0.lock().unwrap().asked.iter().filter(|(asked, _)| asked == name).count()
    }

    fn all_asked(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.script.0.lock().unwrap().asked.iter().map(|(name, _)| name.clone()).collect();
        names.dedup();
        names
    }
}

fn ports_told(change: &Change) -> usize {
    match change {
        Change::Service(_, Some(service)) => service.ports.len(),
        Change::Service(_, None)
        | Change::Slice(..)
        | Change::Endpoints(..)
        | Change::Name(..)
        | Change::Here(_) => 0,
    }
}

fn host(name: &str, port: u16) -> OnDemandLookup {
    OnDemandLookup::Host(name.into(), port)
}

fn name(name: &str) -> OnDemandLookup {
    OnDemandLookup::Name(name.into())
}

const DENIED: Reply = Reply::Denied { lifetime: Some(Duration::from_secs(20)), exists: false };
const SERVFAIL: Reply = Reply::Failed(LookedUp::ServFail);

#[tokio::test(start_paused = true)]
async fn a_host_is_looked_for_along_the_search_path_and_found_as_a_service() {
    let mut world = world();
    world.finds("web.shop.svc.cluster.local", &["10.0.0.1", "10.0.0.2"], 30);
    world.ask(&host("web.shop", 8080)).unwrap();
    world.run_seconds(1).await;
    assert_eq!(world.endpoints("web.shop:8080"), ["10.0.0.1:8080", "10.0.0.2:8080"]);
    let table = world.table();
    let entry = table.by_host("web.shop.svc.cluster.local").unwrap();
    assert_eq!((entry.service.name.to_string().as_str(), entry.service.headless), ("shop/web", true));
    assert_eq!(
        world.all_asked(),
        ["web.shop.default.svc.cluster.local", "web.shop.svc.cluster.local"],
        "no further than the first that is there"
    );

    world.ask(&host("web.shop.svc", 9090)).unwrap();
    world.run_seconds(1).await;
    assert_eq!(world.endpoints("web.shop:9090").len(), 2);
    assert_eq!(world.endpoints("web.shop:8080").len(), 2, "the port asked for first is still there");
    assert_eq!(world.asked("web.shop.svc.cluster.local"), 2, "another port is no other name");
}

#[tokio::test(start_paused = true)]
async fn one_address_of_each_family_is_a_virtual_ip() {
    let mut world = world();
    world.finds("web.default.svc.cluster.local", &["10.96.0.7"], 30);
    world.ask(&host("web", 80)).unwrap();
    world.run_seconds(1).await;
    let table = world.table();
    let service = &table.by_host("web").unwrap().service;
    assert_eq!((service.headless, service.cluster_ips.len()), (false, 1));
}

#[tokio::test(start_paused = true)]
async fn a_name_of_no_service_is_served_under_itself() {
    let mut world = world();
    world.finds("example.com", &["192.0.2.1"], 30);
    world.ask(&host("example.com", 443)).unwrap();
    world.run_seconds(1).await;
    assert_eq!(world.endpoints("Example.COM:443"), ["192.0.2.1:443"]);
    let table = world.table();
    assert_eq!(&*table.by_host("example.com").unwrap().service.name.label(), "");
}

#[tokio::test(start_paused = true)]
async fn an_alias_of_a_service_is_no_service_of_that_address() {
    let mut world = world();
    let lifetime = Duration::from_secs(30);
    let records = vec![Record::of("10.96.0.7".parse().unwrap())];
    world.replies("a.default.svc.cluster.local", Reply::Found { records, lifetime, aliased: true });
    world.ask(&host("a", 80)).unwrap();
    world.run_seconds(1).await;
    assert_eq!(world.endpoints("a"), ["10.96.0.7:80"]);
    assert!(world.table().by_host("a").unwrap().service.cluster_ips.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_name_in_use_is_asked_for_once_in_its_lifetime_and_type() {
    let mut world = world();
    world.finds("x.example.com", &["192.0.2.1"], 10);
    world.replies(
        "y.example.com",
        Reply::Found {
            records: vec![Record::of("fd00::1".parse().unwrap()), Record::of("192.0.2.1".parse().unwrap())],
            lifetime: Duration::from_secs(10),
            aliased: false,
        },
    );
    world.ask(&name("y.example.com")).unwrap();
    world.use_for("y.example.com", 100).await;
    let asked = world.asked("y.example.com");
    assert!((20..=22).contains(&asked), "{asked} questions of two types in 10 lifetimes");
}

#[tokio::test(start_paused = true)]
async fn a_changed_answer_is_followed_without_a_gap() {
    let mut world = world();
    world.finds("x.example.com", &["192.0.2.1"], 5);
    world.ask(&host("x.example.com", 80)).unwrap();
    world.run_seconds(1).await;
    world.finds("x.example.com", &["192.0.2.2"], 5);
    for _ in 0..50 {
        world.run(Duration::from_millis(100)).await;
        assert_eq!(world.endpoints("x.example.com").len(), 1);
    }
    assert_eq!(world.endpoints("x.example.com"), ["192.0.2.2:80"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_five_seconds_is_in_time() {
    let mut world = world();
    world.script.0.lock().unwrap().delay = Duration::from_secs(5);
    world.finds("x.example.com", &["192.0.2.1"], 30);
    let waiting = world.waits(&host("x.example.com.", 80));
    world.run(Duration::from_millis(5_500)).await;
    waiting.wait().await.unwrap();
    assert_eq!(world.endpoints("x.example.com"), ["192.0.2.1:80"]);
    assert_eq!(world.asked("x.example.com"), 2, "one question of each type is under way at a time");
}

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_serves_while_dns_fails_and_is_counted() {
    let mut world = world();
    world.finds("x.example.com", &["192.0.2.1"], 5);
    world.ask(&host("x.example.com", 80)).unwrap();
    world.run_seconds(1).await;
    for failure in [SERVFAIL, Reply::Failed(LookedUp::Timeout), Reply::Failed(LookedUp::Error)] {
        world.replies("x.example.com", failure);
        world.use_for("x.example.com", 400).await;
        assert_eq!(world.endpoints("x.example.com"), ["192.0.2.1:80"]);
    }
    let stale = world.metrics.dns_stale_answers.load(Relaxed);
    assert!((200..=400).contains(&stale), "every 4 s of 20 minutes: {stale}");

    world.finds("x.example.com", &["192.0.2.2"], 5);
    world.run_seconds(5).await;
    assert_eq!(world.endpoints("x.example.com"), ["192.0.2.2:80"], "found again within the longest pause");
}

#[tokio::test(start_paused = true)]
async fn a_denial_ends_it_at_once_and_its_end_is_noticed() {
    let mut world = world();
    world.finds("x.example.com", &["192.0.2.1"], 5);
    world.ask(&host("x.example.com.", 80)).unwrap();
    world.run_seconds(1).await;
    world.replies("x.example.com", DENIED);
    world.use_for("x.example.com", 5).await;
    assert_eq!(world.endpoints("x.example.com"), [""; 0]);
    let waiting = world.waits(&host("x.example.com.", 80));
    world.run(Duration::from_millis(1)).await;
    waiting.wait().await.unwrap();
    for _ in 0..10 {
        assert_eq!(world.ask(&host("x.example.com.", 80)), Err(Failure::NameDenied));
        world.run_seconds(1).await;
    }
    let asked = world.asked("x.example.com");
    world.finds("x.example.com", &["192.0.2.1"], 5);
    world.ask(&host("x.example.com.", 80)).unwrap_err();
    world.run_seconds(12).await;
    assert_eq!(world.asked("x.example.com"), asked + 2, "once, when the denial is 20 s old");
    assert_eq!(world.endpoints("x.example.com"), ["192.0.2.1:80"]);
    assert!(world.ask(&host("x.example.com.", 80)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_denial_that_nobody_meets_again_is_forgotten() {
    let mut world = world();
    world.ask(&host("nowhere.example.com.", 80)).unwrap();
    world.run_seconds(1).await;
    assert_eq!(world.ask(&host("nowhere.example.com.", 80)), Err(Failure::NameDenied));
    world.run_seconds(100).await;
    assert!(world.asked("nowhere.example.com") <= 4, "{}", world.asked("nowhere.example.com"));
    assert!(world.ask(&host("nowhere.example.com.", 80)).is_ok(), "it is asked for anew");
}

#[tokio::test(start_paused = true)]
async fn what_dns_never_answered_fails_after_ten_seconds_and_then_at_once() {
    for (reply, failure) in [
        (Reply::Failed(LookedUp::Error), Failure::NameFailed),
        (Reply::Failed(LookedUp::Timeout), Failure::NameTimeout),
    ] {
        let mut world = world();
        world.replies("x.example.com", reply);
        world.ask(&name("x.example.com")).unwrap();
        world.run(Duration::from_millis(9_900)).await;
        assert_eq!(world.ask(&name("x.example.com")), Ok(()), "it waits");
        world.run(Duration::from_millis(200)).await;
        assert_eq!(world.ask(&name("x.example.com")), Err(failure));
        world.finds("x.example.com", &["192.0.2.1"], 5);
        world.run_seconds(5).await;
        assert_eq!(world.ask(&name("x.example.com")), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_circle_in_dns_is_told_as_one() {
    let mut world = world();
    world.replies("x.example.com", Reply::Nowhere(Failure::NameLoop));
    world.ask(&name("x.example.com")).unwrap();
    world.run_seconds(1).await;
    assert_eq!(world.ask(&name("x.example.com")), Err(Failure::NameLoop));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_uses_is_asked_for_no_more_and_leaves_the_table() {
    let mut world = world();
    world.finds("x.example.com", &["192.0.2.1"], 30);
    world.ask(&host("x.example.com", 80)).unwrap();
    world.use_for("x.example.com", 400).await;
    assert_eq!(world.endpoints("x.example.com").len(), 1);
    world.run_seconds(331).await;
    assert_eq!(world.endpoints("x.example.com"), [""; 0]);
    let asked = world.asked("x.example.com");
    world.run_seconds(1_000).await;
    assert_eq!(world.asked("x.example.com"), asked);
}

#[tokio::test(start_paused = true)]
async fn a_family_that_cannot_be_asked_for_takes_nothing_from_the_other() {
    let mut world = world();
    world.finds("x.example.com", &["fd00::1", "192.0.2.1"], 5);
    world.ask(&host("x.example.com", 80)).unwrap();
    world.run_seconds(1).await;
    assert_eq!(world.endpoints("x.example.com").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_gone_is_gone_in_both_families() {
    let mut world = world();
    let found = |address: &str, seconds| Reply::Found {
        records: vec![Record::of(address.parse().unwrap())],
        lifetime: Duration::from_secs(seconds),
        aliased: false,
    };
    world.replies("x.example.com A", found("192.0.2.1", 5));
    world.replies("x.example.com Aaaa", found("fd00::1", 300));
    world.ask(&host("x.example.com", 80)).unwrap();
    world.run_seconds(1).await;
    assert_eq!(world.endpoints("x.example.com").len(), 2);
    world.script.0.lock().unwrap().replies.clear();
    world.use_for("x.example.com", 5).await;
    assert_eq!(world.endpoints("x.example.com"), [""; 0], "what said so was asked for one family only");
}

#[tokio::test(start_paused = true)]
async fn no_more_names_are_known_and_no_more_questions_fly_than_agreed() {
    let mut world = world();
    world.script.0.lock().unwrap().delay = Duration::from_secs(1);
    for number in 0..1_000 {
        world.ask(&name(&format!("n{number}.example.com"))).unwrap();
    }
    world.run_seconds(21).await;
    let (most, answered) = {
        let state = world.script.0.lock().unwrap();
        (state.most_flying, state.answered)
    };
    // One that is given up goes with the next turn of the runtime.
    assert!((64..=2 * 65).contains(&most), "{most}");
    assert!((64 * 16..=64 * 21).contains(&answered), "{answered} in 21 s, each of which takes 1 s");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_serves_fails_at_once() {
    for (reply, after_ms) in [(DENIED, 1), (Reply::Refused, 1), (SERVFAIL, 1_800)] {
        let mut world = world();
        world.replies("x.example.com", reply);
        world.replies("x.example.com Aaaa", Reply::Failed(LookedUp::ServFail));
        world.ask(&name("x.example.com")).unwrap();
        world.run(Duration::from_millis(after_ms)).await;
        let denied = after_ms == 1 && world.ask(&name("x.example.com")) == Err(Failure::NameDenied);
        world.run(Duration::from_millis(1_800)).await;
        let failure = world.ask(&name("x.example.com")).unwrap_err();
        assert_eq!(denied, failure == Failure::NameDenied);
        assert!(matches!(failure, Failure::NameDenied | Failure::NameFailed));
        world.finds("x.example.com", &["192.0.2.1"], 5);
        world.replies("x.example.com Aaaa", Reply::Denied { lifetime: None, exists: true });
        world.run_seconds(21).await;
        assert_eq!(world.ask(&name("x.example.com")), Ok(()), "it is asked for all the same");
    }
    let mut world = world();
    world.replies("x.example.com Aaaa", Reply::Failed(LookedUp::Timeout));
    world.ask(&name("x.example.com")).unwrap();
    world.run(Duration::from_millis(1)).await;
    assert_eq!(
        world.ask(&name("x.example.com")),
        Err(Failure::NameDenied),
        "no such name is one in no family"
    );
}

#[tokio::test(start_paused = true)]
async fn no_such_name_to_who_asks_for_ipv6_does_not_keep_ipv4_waiting() {
    let mut world = world();
    world.replies("x.example.com A", Reply::Failed(LookedUp::Timeout));
    world.replies("x.example.com Aaaa", DENIED);
    world.ask(&name("x.example.com")).unwrap();
    world.run_seconds(1).await;
    assert_eq!(world.ask(&name("x.example.com")), Ok(()), "it waits for the other");
    world.finds("x.example.com A", &["192.0.2.1"], 30);
    world.ask(&host("x.example.com.", 80)).unwrap();
    world.run_seconds(3).await;
    assert_eq!(world.endpoints("x.example.com"), ["192.0.2.1:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_domain_of_the_search_path_of_which_no_server_can_say_anything_hides_no_name() {
    for reply in [Reply::Refused, SERVFAIL] {
        let mut world = world();
        for domain in ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"] {
            world.replies(&format!("x.example.com.{domain}"), reply.clone());
        }
        world.finds("x.example.com", &["192.0.2.1"], 30);
        world.ask(&host("x.example.com", 80)).unwrap();
        world.run_seconds(6).await;
        assert_eq!(world.endpoints("x.example.com"), ["192.0.2.1:80"], "{reply:?}");
    }
}

/// Asks for ever more names, of which most do not answer, from one client; and for a few that do, from `other`.
async fn flood(world: &mut World, other: u8, numbers: std::ops::Range<usize>) -> usize {
    let mut resolved = 0;
    for number in numbers {
        for part in 0..50 {
            let _full = world.ask(&host(&format!("dead{number}-{part}.example.com"), 80));
        }
        if number % 10 == 0 {
            let own = format!("n{number}.example.com");
            world.finds(&own, &["192.0.2.1"], 30);
            world.ask_by(other, &host(&format!("{own}."), 80)).unwrap();
            world.run(Duration::from_millis(200)).await;
            resolved += usize::from(!world.endpoints(&own).is_empty());
        }
        world.run(Duration::from_millis(10)).await;
    }
    resolved
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_for_thousands_of_dead_names_keeps_nobody_waiting() {
    let mut world = world();
    world.finds("old.example.com", &["192.0.2.7"], 30);
    world.ask_by(2, &host("old.example.com.", 80)).unwrap();
    world.run_seconds(1).await;
    assert_eq!(flood(&mut world, 2, 0..60).await, 6, "each new name of the other is found within 200 ms");
    assert_eq!(world.endpoints("old.example.com").len(), 1, "and an old one stays");
    assert_eq!(
        flood(&mut world, 1, 200..260).await,
        6,
        "even of the same client: what was asked last is asked first"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_for_thousands_of_names_that_exist_takes_none_away_from_others() {
    let mut world = world();
    world.finds("old.example.com", &["192.0.2.7"], 30);
    world.ask_by(2, &host("old.example.com.", 80)).unwrap();
    world.run_seconds(1).await;
    for number in 0..2_500 {
        let own = format!("n{number}.example.com");
        world.finds(&own, &["192.0.2.1"], 30);
        world.ask(&host(&format!("{own}."), 80)).unwrap();
        if number % 50 == 0 {
            world.run(Duration::from_millis(10)).await;
        }
    }
    world.run_seconds(1).await;
    assert_eq!(world.endpoints("old.example.com"), ["192.0.2.7:80"]);
    assert_eq!(world.endpoints("n2499.example.com"), ["192.0.2.1:80"], "the newest is there");
    assert!(world.table().entries().count() <= 1_024);
    let asked = world.all_asked().len();
    world.run_seconds(25).await;
    let asked = world.all_asked().len() - asked;
    assert!(
        asked <= 7 * 1_024,
        "what had to go is asked for no more: {asked}, once for IPv4 and five times for IPv6"
    );
}

#[tokio::test(start_paused = true)]
async fn ports_of_names_cost_as_many_targets_as_are_asked_for_and_no_more_are_kept_than_agreed() {
    let mut world = world();
    let mut made = 0;
    for number in 0..200 {
        world.finds(&format!("n{number}.example.com"), &["192.0.2.1"], 30);
        for port in 1..=128 {
            world.ask(&host(&format!("n{number}.example.com."), port)).unwrap();
        }
        made += world.run_counting(Duration::from_millis(10)).await;
    }
    let kept: usize = world.table().entries().map(|entry| entry.targets.len()).sum();
    assert!(kept <= 1_024, "{kept}");
    assert!(made <= 2 * 200 * 128, "{made} targets for 200 names of 128 ports");
    assert_eq!(world.endpoints("n199.example.com:128").len(), 1);

    // One by one, each port costs no more than its Service has, which has a bound.
    world.finds("one.example.com", &["192.0.2.1"], 1_000);
    let (mut made, ports) = (0, 300);
    for port in 1..=ports {
        world.ask_by(2, &host("one.example.com.", port)).unwrap();
        made += world.run_counting(Duration::from_millis(1)).await;
        assert_eq!(world.endpoints(&format!("one.example.com:{port}")).len(), 1, "{port}");
    }
    assert!(made <= usize::from(ports) * 129, "{made}");
}
