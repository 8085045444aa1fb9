//! How much is sent again when everything fails.

use std::time::Instant;

use super::backend::Backend;
use super::world::World;

#[test]
fn when_all_endpoints_fail_a_fifth_and_ten_a_second_are_sent_again() {
    let backends = [(); 3].map(|()| Backend::start(|talk| drop(talk.request())));
    let world = World::of(&backends.each_ref(), &[]);
    let begun = now();
    for _ in 0..100 {
        let mut client = world.client();
        client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(502));
    }
    let seconds = begun.elapsed().as_secs() as usize + 1;
    let seen: usize = backends.iter().map(|backend| backend.take_requests().len()).sum();
    assert!((110..=120 + 10 * seconds).contains(&seen), "{seen} in less than {seconds} s");
    let exhausted = world.measured("svcmesh_retry_budget_exhausted_total");
    let retried: u64 = world.measured("svcmesh_retries_total").iter().sum();
    assert_eq!(retried as usize + 100, seen);
    assert!(exhausted[0] > 0, "{exhausted:?}");
}

#[expect(clippy::disallowed_methods, reason = "the test measures how long it took")]
fn now() -> Instant {
    Instant::now()
}
