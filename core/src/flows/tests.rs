use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::balance::members;
use crate::endpoints::{Endpoint, EndpointId};
use crate::service::Handling;
use crate::stats::PortStats;

fn key(port: u16) -> FlowKey {
    let addr = |last, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), port);
    FlowKey { client: ClientAddr(addr(1, port)), destination: OriginalDst(addr(66, 53)) }
}

fn ms(ms: u64) -> Now {
    Now(Duration::from_millis(ms))
}

/// What happens to the flows of a worker whose clients are their ports.
#[derive(Clone, Debug)]
enum Step {
    Datagram { port: u16 },
    Answer { port: u16 },
    End { port: u16 },
    Expire,
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12_u16).prop_map(|port| Step::Datagram { port }),
        3 => (0..12_u16).prop_map(|port| Step::Answer { port }),
        1 => (0..12_u16).prop_map(|port| Step::End { port }),
        1 => Just(Step::Expire),
        3 => (0..1500_u64).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// The slow way: a list of (port, when it moved), the idlest first.
#[derive(Default)]
struct Model(Vec<(u16, u64)>);

impl Model {
    fn take(&mut self, port: u16) -> bool {
        let before = self.0.len();
        self.0.retain(|(other, _)| *other != port);
        self.0.len() < before
    }

    /// Who gave way; `Err` when nobody does.
    fn datagram(&mut self, port: u16, now_ms: u64) -> Result<Option<u16>, Full> {
        let mut gone = None;
        if !self.take(port) && self.0.len() == FLOWS_MAX {
            if now_ms - self.0[0].1 < 1000 {
                return Err(Full);
            }
            gone = Some(self.0.remove(0).0);
        }
        self.0.push((port, now_ms));
        Ok(gone)
    }

    fn expire(&mut self, now_ms: u64) -> Vec<u16> {
        let is_over = |(port, moved_ms): &(u16, u64)| {
            idle(port).is_some_and(|idle| now_ms - moved_ms >= idle.as_millis() as u64)
        };
        let mut gone: Vec<u16> = self.0.iter().filter(|flow| is_over(flow)).map(|flow| flow.0).collect();
        self.0.retain(|flow| !is_over(flow));
        gone.sort_unstable();
        gone
    }
}

/// Of each flow another time, and of some none.
fn idle(port: &u16) -> Option<Duration> {
    (!port.is_multiple_of(4)).then(|| Duration::from_millis(500 * u64::from(*port)))
}

fn datagram(flows: &mut Flows<u16>, port: u16, now: Now) -> Result<Option<u16>, Full> {
    if let Some(id) = flows.find(&key(port)) {
        flows.moved(id, now);
        return Ok(None);
    }
    let gone = flows.make_room(now)?;
    flows.insert(key(port), now, |_| port);
    Ok(gone)
}

const FLOWS_MAX: usize = 5;

proptest! {
    #[test]
    fn flows_are_what_a_plain_list_of_them_is(steps in prop::collection::vec(step(), 0..200), seed: u64) {
        let (mut flows, mut model, mut now_ms) = (Flows::new(FLOWS_MAX, seed), Model::default(), 0);
        for step in steps {
            match step {
                Step::Datagram { port } => {
                    prop_assert_eq!(datagram(&mut flows, port, ms(now_ms)), model.datagram(port, now_ms));
                }
                Step::Answer { port } => {
                    if let Some(id) = flows.find(&key(port)) {
                        flows.moved(id, ms(now_ms));
                        prop_assert_eq!(model.datagram(port, now_ms), Ok(None));
                    }
                }
                Step::End { port } => {
                    let ended = flows.find(&key(port)).and_then(|id| flows.remove(id));
                    prop_assert_eq!(ended.is_some(), model.take(port));
                }
                Step::Expire => {
                    let mut gone = Vec::new();
                    flows.expire(ms(now_ms), idle, |port| gone.push(port));
                    gone.sort_unstable();
                    prop_assert_eq!(gone, model.expire(now_ms));
                }
                Step::Wait { ms } => now_ms += ms,
            }
            prop_assert_eq!(flows.len(), model.0.len());
            for port in 0..12 {
                let found = flows.find(&key(port)).and_then(|id| flows.get_mut(id).copied());
                prop_assert_eq!(found, model.0.iter().find(|flow| flow.0 == port).map(|flow| flow.0));
            }
        }
    }
}

#[test]
fn an_id_means_nobody_after_its_flow() {
    let mut flows = Flows::new(2, 0);
    let first = flows.insert(key(1), ms(0), |_| 'a');
    assert_eq!(FlowId::from_word(first.to_word()), first);
    assert_eq!(flows.remove(first), Some('a'));
    let second = flows.insert(key(2), ms(0), |_| 'b');
    assert_ne!(first, second);
    assert_eq!((flows.get_mut(first).copied(), flows.remove(first)), (None, None));
    flows.moved(first, ms(9));
    assert_eq!(flows.get_mut(second).copied(), Some('b'));
    assert_ne!(FlowId::from_word(first.to_word()), FlowId::from_word(second.to_word()));
}

#[test]
fn a_flood_takes_no_flow_that_works() {
    let mut flows = Flows::new(100, 7);
    let works = flows.insert(key(1), ms(0), |_| 1);
    let mut refused = 0;
    for number in 0..10_000_u64 {
        let now = ms(number / 10); // ten new ones a millisecond
        if number % 500 == 0 {
            flows.moved(works, now);
        }
        let port = 2 + (number % 60_000) as u16;
        refused += u32::from(datagram(&mut flows, port, now).is_err());
        assert!(flows.len() <= 100 && flows.get_mut(works).is_some());
    }
    assert_eq!(refused, 10_000 - 99, "within the first second nobody gives way");
    assert_eq!(datagram(&mut flows, 60_002, ms(1_500)), Ok(Some(2)));
}

/// Four members, the first of which is out.
fn one_out() -> (PortStats, alloc::boxed::Box<[Member]>) {
    let endpoint = |number: u8| Endpoint {
        id: EndpointId(number.into()),
        addr: crate::address::EndpointAddr(SocketAddr::from(([10, 0, 0, number], 53))),
        ready: true,
        serving: true,
        terminating: false,
        weight: 1,
        place: None,
        hostname: None,
    };
    let endpoints: Vec<Endpoint> = (1..=4).map(endpoint).collect();
    let (port, members) = (PortStats::default(), members(&endpoints, |_| alloc::sync::Arc::default()));
    port.follow(&Handling::default(), members.iter().map(|member| &*member.stats), ms(0));
    members[0].stats.fails_check(&port);
    (port, members)
}

#[test]
fn a_flow_leaves_an_endpoint_that_is_gone_or_out_and_no_other() {
    let (_port, members) = one_out();
    assert!(must_move(&members, None));
    let moving: Vec<usize> = (0..4).filter(|at| must_move(&members, Some(*at))).collect();
    assert_eq!(moving, [0]);
}

#[test]
fn where_nobody_is_in_a_flow_stays_where_it_is() {
    let (port, mut members) = one_out();
    members[1..3].iter().for_each(|member| member.stats.fails_check(&port));
    members[3].weight = 0;
    assert!((0..4).all(|at| !must_move(&members, Some(at))));
}
