//! `random`: each time any of them, as kube-proxy's iptables mode does (S-08).

use super::Member;
use crate::draws::split_draw;

pub(super) fn pick(members: &[Member], eligible: &impl Fn(&Member) -> bool, draw: u64) -> Option<usize> {
    let (index, rest) = split_draw(draw, members.len());
    if eligible(members.get(index)?) {
        return Some(index);
    }
    // Taking its neighbour would give that one two shares: choose again, among the eligible only.
    let eligible = || members.iter().enumerate().filter(|(_, member)| eligible(member));
    eligible().nth(split_draw(rest, eligible().count()).0).map(|(index, _)| index)
}
