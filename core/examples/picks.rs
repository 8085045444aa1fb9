//! Picks endpoints, so that callgrind can count the instructions: `picks POLICY MEMBERS PICKS`. The policy `none` only draws and asks, and
//! `observe` tells of an answer each ms instead.
//!
//! What comes before the first pick does not depend on their number, so it cancels out between two runs.

use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use svc_core::address::EndpointAddr;
use svc_core::balance::{Ask, Balancer, Caller, Member, Tried};
use svc_core::endpoints::EndpointId;
use svc_core::service::Policy;
use svc_core::stats::EndpointStats;
use svc_core::time::Now;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, policy, members, picks] = arguments.as_slice() else {
        return Err("usage: picks POLICY MEMBERS PICKS".into());
    };
    let (members, picks): (Vec<Member>, u32) = ((0..members.parse()?).map(member).collect(), picks.parse()?);
    let picked = match policy.as_str() {
        "none" => count(picks, |_, _| Some(0)),
        "observe" => (1..=picks).map(|ms| observe(&members[0], ms)).fold(0, |count, ()| black_box(count) + 1),
        name => {
            let mut balancer = Balancer::new(Policy::parse(name).ok_or("no such policy")?);
            balancer.meet(&members);
            count(picks, |ask, draw| balancer.pick(black_box(&members), ask, Now::default(), draw))
        }
    };
    if picked == picks { Ok(()) } else { Err(format!("{picked} of {picks} were picked").into()) }
}

/// Asks for as many clients, with draws as a worker makes them.
fn count(picks: u32, mut pick: impl FnMut(&Ask<'_>, u64) -> Option<usize>) -> u32 {
    let mut draw = 0x9e37_79b9_7f4a_7c15_u64;
    let answers = (0..picks).map(|number| {
        draw ^= draw >> 12;
        draw ^= draw << 25;
        draw ^= draw >> 27;
        let client = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
        let destination = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));
        let ask = Ask { caller: Caller { client, destination }, tried: &Tried::NONE, replayable: true };
        pick(black_box(&ask), draw.wrapping_mul(0x2545_F491_4F6C_DD1D))
    });
    answers.filter(|answer| black_box(answer).is_some()).count() as u32
}

fn observe(member: &Member, ms: u32) {
    let took = black_box(Duration::from_micros(u64::from(500 + ms % 64)));
    member.stats.latency.observe(took, Now(black_box(Duration::from_millis(u64::from(ms)))));
}

/// All are busy, and each has answered in its own time.
fn member(number: u8) -> Member {
    let stats = EndpointStats::default();
    stats.load.begin();
    let took = Duration::from_micros(500 + 10 * u64::from(number));
    stats.latency.observe(took, Now(Duration::from_millis(100 * u64::from(number))));
    Member {
        id: EndpointId(u64::from(number)),
        addr: EndpointAddr(SocketAddr::from((Ipv4Addr::new(10, 0, 0, number), 80))),
        weight: 1,
        stats: Arc::new(stats),
    }
}
