//! Many sidecars, and one API server that comes back.

use super::*;

/// How many of 1,000 sidecars connect in each millisecond of a minute, where the API server is gone from the start until then.
fn connects(gone_for: Duration) -> Vec<u32> {
    let mut counts = alloc::vec![0; 60_000];
    for seed in 0..1_000 {
        let settings = Settings { namespace: "shop".into(), rules: Rules::default(), wants_place: false };
        let mut kube = Kubernetes::new(settings, Draws::new(seed * 0x9E37_79B9 + 1));
        let start = Now(Duration::from_secs(1));
        kube.poll(start);
        kube.connected(OWN, start);
        let list = kube.poll(start).actions.into_iter().find_map(|action| match action {
            Action::Send { id, .. } => Some(id),
            Action::Connect | Action::Disconnect | Action::Cancel(_) => None,
        });
        kube.head(list.unwrap(), 500, None, start);
        kube.disconnected("gone", start);
        let mut wake = kube.poll(start).wake;
        while let Some(now) = wake.filter(|now| now.since(start) < Duration::from_secs(60)) {
            let out = kube.poll(now);
            wake = out.wake;
            if out.actions.contains(&Action::Connect) {
                counts[now.since(start).as_millis() as usize] += 1;
                if now.since(start) >= gone_for {
                    break;
                }
                kube.disconnected("refused", now);
                wake = kube.poll(now).wake;
            }
        }
    }
    counts
}

#[test]
fn a_thousand_sidecars_that_lose_their_server_come_back_at_no_more_than_two_hundred_a_second() {
    for gone_s in [0, 3, 10, 30, 50] {
        let counts = connects(Duration::from_secs(gone_s));
        let most = counts.windows(1_000).map(|second| second.iter().sum::<u32>()).max().unwrap();
        assert!(most <= 200, "{most} in a second, gone for {gone_s} s");
        let back: usize = gone_s as usize * 1_000;
        assert!(counts[back..].iter().take(10_001).sum::<u32>() > 0);
        assert_eq!(
            counts[(back + 10_001).min(60_000)..].iter().sum::<u32>(),
            0,
            "all are back within the cap"
        );
    }
}
