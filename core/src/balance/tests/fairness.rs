//! What the policies promise over many picks.

use super::*;

/// Who gets the next so many picks, by last octet.
fn sequence(balancer: &mut Balancer, members: &[Member], count: usize) -> Vec<u64> {
    (0..count).map(|_| pick(balancer, members, &Tried::NONE, 0).unwrap().id.0).collect()
}

/// Who gets the next one, from a client whose address has this last number.
fn pick_of_client(balancer: &mut Balancer, members: &[Member], client: u32, tried: &Tried) -> Option<u64> {
    balancer.meet(members);
    let client = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + client));
    let ask = Ask { caller: Caller { client, ..CALLER }, tried, replayable: true };
    balancer.pick(members, &ask, Now::default(), 0).map(|index| members[index].id.0)
}

#[test]
fn weighted_round_robin_gives_the_sequence_that_ipvs_is_known_for() {
    let members = [member(1, 4), member(2, 3), member(3, 2)];
    let mut balancer = Balancer::new(Policy::WeightedRoundRobin);
    assert_eq!(sequence(&mut balancer, &members, 9), [1, 1, 2, 1, 2, 3, 1, 2, 3]);
}

#[test]
fn weighted_round_robin_with_very_different_weights_answers_at_once() {
    let members = [member(1, 65535), member(2, 1)];
    let mut balancer = Balancer::new(Policy::WeightedRoundRobin);
    let mut tried = Tried::NONE;
    tried.insert(EndpointId(1));
    // 65533 rounds lie between the two: who walks through them all does not come back from here for minutes.
    for _ in 0..10_000 {
        assert_eq!(sequence(&mut balancer, &members, 1), [1]);
        balancer.meet(&members);
        assert_eq!(pick(&mut balancer, &members, &tried, 0).unwrap().id.0, 2);
    }
}

#[test]
fn an_equal_update_loses_no_turn_of_weighted_round_robin() {
    let members = || [member(1, 2), member(2, 1)];
    let mut balancer = Balancer::new(Policy::WeightedRoundRobin);
    assert_eq!(sequence(&mut balancer, &members(), 2), [1, 1]);
    assert_eq!(sequence(&mut balancer, &members(), 2), [2, 1]);
}

#[test]
fn source_hash_gives_buckets_by_weight() {
    let members = [member(1, 3), member(2, 1)];
    let mut balancer = Balancer::new(Policy::SourceHash);
    let to_first = (0..10_000)
        .filter(|&client| pick_of_client(&mut balancer, &members, client, &Tried::NONE) == Some(1));
    let to_first = to_first.count();
    assert!((7_300..7_700).contains(&to_first), "{to_first}");
}

#[test]
fn a_hashed_client_of_weight_0_gets_nothing_and_one_that_was_refused_goes_elsewhere() {
    let mut balancer = Balancer::new(Policy::SourceHash);
    let mut tried = Tried::NONE;
    tried.insert(EndpointId(1));
    for client in 0..1_000 {
        let mut find = |members: &[Member], tried| pick_of_client(&mut balancer, members, client, tried);
        let before = find(&group([1, 2, 3]), &Tried::NONE);
        let quiesced = find(&[member(1, 0), member(2, 1), member(3, 1)], &Tried::NONE);
        assert_eq!(quiesced, before.filter(|&id| id != 1));
        let refused = find(&group([1, 2, 3]), &tried);
        assert!(refused == before || before == Some(1) && matches!(refused, Some(2 | 3)));
    }
}

#[test]
fn all_that_goes_to_one_address_goes_to_one_endpoint_with_destination_hash() {
    let mut balancer = Balancer::new(Policy::DestinationHash);
    let of_clients: Vec<_> = (0..100)
        .map(|client| pick_of_client(&mut balancer, &group([1, 2, 3]), client, &Tried::NONE))
        .collect();
    assert!(of_clients.iter().all(|picked| picked.is_some() && *picked == of_clients[0]));
}

/// Who each of 10,000 clients goes to.
fn maglev_of(members: &[Member], tried: &Tried) -> Vec<Option<u64>> {
    let mut balancer = Balancer::new(Policy::Maglev);
    (0..10_000).map(|client| pick_of_client(&mut balancer, members, client, tried)).collect()
}

#[test]
fn maglev_gives_shares_by_weight() {
    let weights = [1, 2, 3, 4, 0];
    let members: Vec<Member> = (1..).zip(weights).map(|(octet, weight)| member(octet, weight)).collect();
    let picked = maglev_of(&members, &Tried::NONE);
    for (id, weight) in (1..).zip(weights) {
        let count = picked.iter().filter(|picked| **picked == Some(id)).count();
        let expected = 1_000 * usize::from(weight);
        assert!(count.abs_diff(expected) <= 150, "{count} of 10,000 for weight {weight}");
    }
}

#[test]
fn maglev_moves_few_clients_but_those_of_the_one_who_goes() {
    for members in [10, 40, 150] {
        let before = maglev_of(&group(1..=members), &Tried::NONE);
        for gone in [1, members / 2, members] {
            let after = maglev_of(&group((1..=members).filter(|octet| *octet != gone)), &Tried::NONE);
            let others = before.iter().zip(&after).filter(|(before, _)| **before != Some(u64::from(gone)));
            let moved = others.filter(|(before, after)| before != after).count();
            assert!(moved < 300, "{moved} of 10,000 without {gone} of {members}");
        }
    }
}

#[test]
fn the_clients_of_one_who_fails_are_spread_over_the_others_and_nobody_else_moves() {
    let mut tried = Tried::NONE;
    tried.insert(EndpointId(1));
    let (before, after) = (maglev_of(&group(1..=5), &Tried::NONE), maglev_of(&group(1..=5), &tried));
    let mut fled = BTreeMap::<u64, u32>::new();
    for (before, after) in before.iter().zip(&after) {
        match before {
            Some(1) => *fled.entry(after.expect("four are left")).or_default() += 1,
            _ => assert_eq!(before, after),
        }
    }
    assert!(fled.len() == 4 && fled.values().all(|count| (350..600).contains(count)), "{fled:?}");
}

/// Change this, and the clients of a rolling update meet other endpoints.
#[test]
fn maglev_deals_the_same_table_in_every_version() {
    let mut balancer = Balancer::new(Policy::Maglev);
    let members = [member(1, 1), member(2, 2), member(3, 1), member(4, 1)];
    let picked: Vec<u64> = (0..16)
        .map(|client| pick_of_client(&mut balancer, &members, client, &Tried::NONE).unwrap())
        .collect();
    assert_eq!(picked, [4, 1, 3, 1, 1, 3, 2, 1, 2, 3, 2, 1, 3, 3, 3, 3]);
}
