//! The source against a script, in tokio's own time: what is asked when, and what everybody is told.

use std::collections::BTreeMap;
use std::sync::Mutex;

use svc_core::authority::Authority;
use svc_core::discovery::lease::Bounds;
use svc_core::inventory::{Inventory, Settings};
use svc_core::table::{Source, Table};
use tokio::time::{sleep, timeout};

use super::*;

/// Answers as the test says, and keeps what it was asked.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    replies: BTreeMap<String, Reply>,
    delay: Duration,
    asked: Vec<(String, Kind)>,
}

impl Resolver for Script {
    fn ask(&self, question: Question) -> impl Future<Output = Reply> + Send + 'static {
        let mut state = self.0.lock().unwrap();
        state.asked.push((question.name.to_string(), question.kind));
        let (script, delay) = (self.clone(), state.delay);
        async move {
            sleep(delay).await;
            let state = script.0.lock().unwrap();
            let absent = Reply::Denied { lifetime: None, exists: false };
            let of_kind = state.replies.get(&format!("{} {:?}", question.name, question.kind));
            let reply = of_kind.or(state.replies.get(&*question.name)).cloned().unwrap_or(absent);
            match (&reply, question.kind) {
                (Reply::Found { records, .. }, Kind::Aaaa) if records[0].address.is_ipv4() => {
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
    dns: Dns<Script>,
    inventory: Inventory,
    wanted: Arc<Wanted>,
    metrics: Arc<Metrics>,
}

fn world() -> World {
    let (script, wanted, metrics) = (Script::default(), Arc::<Wanted>::default(), Metrics::new());
    let domains = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];
    let search = SearchPath { domains: domains.map(Arc::from).into(), ndots: 5 };
    let cluster =
        Cluster { namespace: "default".into(), domain: "cluster.local".into(), service_cidrs: Vec::new() };
    let bounds = Bounds { min: Duration::from_secs(5), max: Duration::from_secs(300) };
    let dns = Dns::new(script.clone(), Book::new(search, cluster, bounds), wanted.clone(), metrics.clone());
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

    async fn run_seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds)).await;
    }

    /// What a request is told at once.
    fn ask(&self, want: &Want) -> Result<(), Failure> {
        self.wanted.ask(want.clone()).map(|_waiting| ())
    }

    /// Uses the name for as long, as a worker with open connections does.
    async fn use_for(&mut self, name: &str, seconds: u64) {
        for _ in 0..seconds {
            self.wanted.note_use([Arc::from(name)].into_iter());
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

fn host(name: &str, port: u16) -> Want {
    Want::Host(name.into(), port)
}

fn name(name: &str) -> Want {
    Want::Name(name.into())
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
    let waiting = world.wanted.ask(host("x.example.com.", 80)).unwrap();
    world.run(Duration::from_millis(5_500)).await;
    waiting.await;
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
    let waiting = world.wanted.ask(host("x.example.com.", 80)).unwrap();
    world.run(Duration::from_millis(1)).await;
    waiting.await;
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
    for (reply, failure) in
        [(SERVFAIL, Failure::NameFailed), (Reply::Failed(LookedUp::Timeout), Failure::NameTimeout)]
    {
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
    world.run(Duration::from_millis(900)).await;
    let flying = world.script.0.lock().unwrap().asked.len();
    assert!((64..=65).contains(&flying), "{flying}");
    world.run_seconds(20).await;
    let asked = world.script.0.lock().unwrap().asked.len();
    assert!((64 * 19..=64 * 21).contains(&asked), "{asked} in 21 s, each of which takes 1 s");
}
