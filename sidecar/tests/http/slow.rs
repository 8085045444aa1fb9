//! One of four endpoints is slow, then fails, then is well again, under load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::backend::Backend;
use super::support::{until, within};
use super::wire::Wire;
use super::world::{World, documents};

/// What a backend does at the moment, and what it has done.
struct Mood {
    delay_ms: AtomicU64,
    fails: AtomicBool,
    requests: AtomicU64,
}

fn moody() -> (Backend, Arc<Mood>) {
    let mood =
        Mood { delay_ms: AtomicU64::new(5), fails: AtomicBool::new(false), requests: AtomicU64::new(0) };
    let mood = Arc::new(mood);
    let backend = Backend::start({
        let mood = mood.clone();
        move |talk| {
            while talk.wire.request().is_ok() {
                mood.requests.fetch_add(1, Relaxed);
                if mood.fails.load(Relaxed) {
                    talk.wire.send(FAILED);
                } else {
                    thread::sleep(Duration::from_millis(mood.delay_ms.load(Relaxed)));
                    talk.wire.send(OK);
                }
            }
        }
    });
    (backend, mood)
}

/// Asks for as long as the load lasts.
fn ask_on(mut client: Wire, lasts: &AtomicBool) {
    while lasts.load(Relaxed) {
        client.send(GET);
        client.response("GET").expect("each request is answered");
    }
}

/// How many requests the four of them get within some time.
fn requests_in(time: Duration, moods: &[Arc<Mood>]) -> Vec<u64> {
    let count = || moods.iter().map(|mood| mood.requests.load(Relaxed)).collect::<Vec<_>>();
    let before = count();
    thread::sleep(time);
    count().iter().zip(before).map(|(after, before)| after - before).collect()
}

#[test]
fn a_slow_endpoint_gets_little_a_failing_one_nothing_and_a_well_one_its_part_again() {
    let (backends, moods): (Vec<Backend>, Vec<Arc<Mood>>) = (0..4).map(|_| moody()).unzip();
    let addresses: Vec<SocketAddr> = backends.iter().map(Backend::address).collect();
    let world = World::over(&documents("svcmesh.dev/load-balancer: p2c", "http", &addresses), &[]);
    let (one, lasts) = (&moods[0], AtomicBool::new(true));
    one.delay_ms.store(200, Relaxed);
    thread::scope(|scope| {
        let _end = End(&lasts);
        for _ in 0..CLIENTS {
            let client = world.client();
            scope.spawn(|| ask_on(client, &lasts));
        }
        within(Duration::from_secs(3), "its share is below a tenth", || {
            let counts = requests_in(Duration::from_millis(500), &moods);
            let all: u64 = counts.iter().sum();
            (counts[0] * 10 < all && all > 100).then_some(())
        });

        let before = one.requests.load(Relaxed);
        one.fails.store(true, Relaxed);
        let ejected =
            || world.measured("svcmesh_ejections_total{service=\"default/web\"").iter().sum::<u64>();
        until("it is ejected", || (ejected() == 1).then_some(()));
        let reached = one.requests.load(Relaxed) - before;
        assert!(reached <= 10, "{reached} requests reached it while it failed");

        one.delay_ms.store(5, Relaxed);
        one.fails.store(false, Relaxed);
        let before = one.requests.load(Relaxed);
        within(Duration::from_secs(5), "it is back", || {
            (world.admin("/services").matches("\"ejected\":true").count() == 0).then_some(())
        });
        until("it gets more than its probe", || (one.requests.load(Relaxed) > before + 10).then_some(()));
    });
}

/// Ends the load, also when an assertion fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

const CLIENTS: usize = 32;
const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const FAILED: &str = "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno";
