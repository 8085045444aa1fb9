//! Generated request streams through the built binary, with a recording peer on both sides of it (RFC 9112 §8, RFC 9113 §8.1).
//!
//! Each stream is drawn from a seed: the versions of its client and of its endpoint, how its body is framed, where it is cut, reset
//! or half-closed, what is odd about it, and what its endpoint answers. Both peers know what was meant, so each can tell a message that was
//! cut from one that is whole. `SVCMESH_TEST_STREAMS` says how many streams there are, `SVCMESH_TEST_SEED` where they begin.

#[path = "../support/mod.rs"]
mod support;

mod client_http1;
mod client_http2;
mod endpoint_http1;
mod endpoint_http2;
mod plan;
mod recorder;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use plan::{Dice, Version};
use recorder::{Recorder, Wanted};
use support::{Manifests, Sidecar, enter_own_network, service, slice, within};

#[test]
fn no_message_that_was_cut_is_whole_none_is_read_twice_and_each_has_one_record() {
    enter_own_network();
    let (streams, seed) = (setting("SVCMESH_TEST_STREAMS", 2_000), setting("SVCMESH_TEST_SEED", 1));
    eprintln!("SVCMESH_TEST_STREAMS={streams} SVCMESH_TEST_SEED={seed}");
    let recorder = Arc::new(Recorder::default());
    let one = endpoint_http1::start(recorder.clone());
    let two = endpoint_http2::start(recorder.clone());
    let sidecar = Sidecar::start(
        Manifests::of(&[
            web("one", "10.96.0.1", "http"),
            slice("one", &[&one.ip().to_string()], one.port()),
            web("two", "10.96.0.2", "kubernetes.io/h2c"),
            slice("two", &[&two.ip().to_string()], two.port()),
        ]),
        &[
            "--allow-loopback-endpoints=true",
            "--loopback-vips",
            &format!("one.default={VIP_ONE},two.default={VIP_TWO}"),
            "--outbound=off",
            "--inbound=off",
        ],
    );
    let next = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (next, recorder) = (next.clone(), recorder.clone());
            thread::spawn(move || run_client(seed, client, streams, &next, &recorder))
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("the clients saw what they should"));
    recorder.check();
    check_records(&sidecar, &recorder);
}

/// Plays conversations until enough streams have been sent.
fn run_client(seed: u64, client: u64, streams: u64, next: &AtomicU64, recorder: &Arc<Recorder>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut round = 0;
        while next.load(Relaxed) < streams {
            let at_once = (0..AT_ONCE).map(|lane| {
                let dice = Dice::of([seed, client, round, lane]);
                let (next, recorder) = (next, recorder.clone());
                async move { converse(&dice, next, &recorder).await }
            });
            let at_once: Vec<_> = at_once.collect();
            join_all(at_once).await;
            round += 1;
        }
    });
}

async fn join_all(futures: Vec<impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).map(Some).collect();
    std::future::poll_fn(|cx| {
        for slot in &mut futures {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(cx).is_ready()) {
                *slot = None;
            }
        }
        match futures.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

/// One connection of a client, with what it asks on it.
async fn converse(dice: &Dice, next: &AtomicU64, recorder: &Recorder) {
    let endpoint = dice.of_two(Version::Http1, Version::Http2);
    let address = match endpoint {
        Version::Http1 => VIP_ONE,
        Version::Http2 => VIP_TWO,
    };
    let address = format!("{address}:{PORT}");
    match dice.of_two(Version::Http1, Version::Http2) {
        Version::Http1 => client_http1::converse(&address, endpoint, dice, next, recorder).await,
        Version::Http2 => client_http2::converse(&address, endpoint, dice, next, recorder).await,
    }
}

/// Compares the access log with what was sent.
fn check_records(sidecar: &Sidecar, recorder: &Recorder) {
    let wanted = recorder.wanted();
    let mut logged: HashMap<u64, u64> = HashMap::new();
    within(Duration::from_secs(60), "each request has a record", || {
        logged = HashMap::new();
        for line in sidecar.access_log() {
            // A head that was cut is told as far as it came, with the beginning of a path.
            let id = line["request.path"].as_str().and_then(plan::of_path).map(|(id, _)| id);
            id.into_iter().for_each(|id| *logged.entry(id).or_default() += 1);
        }
        wanted.iter().all(|(id, wanted)| *wanted != Wanted::One || logged.contains_key(id)).then_some(())
    });
    let twice: Vec<_> = logged.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "requests with more than one record: {twice:?}");
    assert_eq!(
        sidecar.measured("svcmesh_access_log_dropped_total").iter().sum::<u64>(),
        0,
        "the log kept up"
    );
}

fn web(name: &str, ip: &str, app_protocol: &str) -> String {
    // Endpoints fail on purpose: they are asked once, and not left out afterwards.
    let ours = "annotations: { svcmesh.dev/eject: \"off\", svcmesh.dev/retry: \"connect,attempts=1\" }";
    service(name, &[ip], PORT, app_protocol).replacen(
        &format!("name: {name}"),
        &format!("name: {name}, {ours}"),
        1,
    )
}

fn setting(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test has no other configuration")]
    let said = std::env::var(name);
    said.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

const VIP_ONE: &str = "127.66.0.11";
const VIP_TWO: &str = "127.66.0.12";
const PORT: u16 = 8080;

/// Threads with clients: the machine has two cores, and endpoints and sidecar want some of them.
const CLIENTS: u64 = 2;

/// Connections of a thread at once.
const AT_ONCE: u64 = 16;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);
