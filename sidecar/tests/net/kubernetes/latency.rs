//! The time from the write of a slice until connections go by it, beside a plain watch of the same slice.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use super::*;

#[test]
fn changes_of_a_slice_are_in_use_soon_after_a_plain_watch_has_seen_them() {
    isolated(|| {
        let objects = [SERVICE, &slice_of(&["10.1.1.1"])];
        let world = World::start(Setup { objects: &objects, ..Setup::default() });
        world.goes_to(&["one"]);
        let (watched, used) = (watch(&world), ask_on_and_on());
        let mut client = world.plane.client();
        let mut times = Times::default();
        for number in 1..=CHANGES {
            let name = if number % 2 == 1 { "two" } else { "one" };
            let begun = now();
            client.patch(SLICE, patch_to(name));
            let (watched, used) = (seen(&watched, name), seen(&used, name));
            times.note(begun, watched, used);
        }
        let [watched, used, behind] = times.medians_ms();
        println!(
            "{CHANGES} changes, medians: watched after {watched:.1} ms, used after {used:.1} ms, {behind:.1} ms behind"
        );
        assert!(behind < 1_000.0, "a machine with other work takes its time, but not this much: {behind} ms");
    });
}

/// What was seen first at that time: the name of an endpoint.
type Seen = (String, Instant);

/// Waits until it was seen that the endpoint is of this name.
fn seen(events: &Receiver<Seen>, name: &str) -> Instant {
    loop {
        let (seen, at) = events.recv_timeout(Duration::from_secs(10)).expect("the change is seen");
        if seen == name {
            return at;
        }
    }
}

/// Sees the events of a watch.
fn watch(world: &World) -> Receiver<Seen> {
    let (sender, events) = channel();
    let client = world.plane.client();
    thread::spawn(move || {
        let path = format!("{SLICES}?watch=true&fieldSelector=metadata.name%3Dweb-1");
        client.watch(&path, |event| {
            let at = now();
            let name = ADDRESSES.iter().find(|(_, address)| event.contains(&format!("\"{address}\"")));
            sender.send((name.map_or("nobody", |(name, _)| name).to_owned(), at)).is_ok()
        });
    });
    events
}

/// Sees where connections go.
fn ask_on_and_on() -> Receiver<Seen> {
    let (sender, events) = channel();
    thread::spawn(move || {
        let mut last = String::new();
        loop {
            let name = ask_where(WEB);
            let at = now();
            if name != last && sender.send((name.clone(), at)).is_err() {
                return;
            }
            last = name;
        }
    });
    events
}

fn patch_to(name: &str) -> String {
    let (_, address) = ADDRESSES.iter().find(|(known, _)| *known == name).expect("one of them");
    format!(r#"{{"endpoints":[{{"addresses":["{address}"],"conditions":{{"ready":true}}}}]}}"#)
}

/// Milliseconds of each change.
#[derive(Default)]
struct Times {
    watched: Vec<f64>,
    used: Vec<f64>,
    behind: Vec<f64>,
}

impl Times {
    fn note(&mut self, begun: Instant, watched: Instant, used: Instant) {
        let ms = |from: Instant, to: Instant| {
            let sign = if to < from { -1.0 } else { 1.0 };
            to.max(from).duration_since(from.min(to)).as_secs_f64() * 1000.0 * sign
        };
        self.watched.push(ms(begun, watched));
        self.used.push(ms(begun, used));
        self.behind.push(ms(watched, used));
    }

    fn medians_ms(&mut self) -> [f64; 3] {
        [&mut self.watched, &mut self.used, &mut self.behind].map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the test measures how long it takes")]
fn now() -> Instant {
    Instant::now()
}

const CHANGES: u32 = 200;
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const SLICE: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-1";
const ADDRESSES: [(&str, &str); 2] = [("one", "10.1.1.1"), ("two", "10.1.1.2")];
