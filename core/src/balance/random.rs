//! `random`: each time any of them, as kube-proxy's iptables mode does (S-08).

use super::split_draw;
use crate::endpoints::Endpoint;

pub(super) fn pick(
    endpoints: &[Endpoint],
    eligible: impl Fn(&Endpoint) -> bool,
    draw: u64,
) -> Option<&Endpoint> {
    let (index, rest) = split_draw(draw, endpoints.len());
    let first = endpoints.get(index)?;
    if eligible(first) {
        return Some(first);
    }
    // Taking its neighbour would give that one two shares: choose again, among the eligible only.
    let count = endpoints.iter().filter(|endpoint| eligible(endpoint)).count();
    endpoints.iter().filter(|endpoint| eligible(endpoint)).nth(split_draw(rest, count).0)
}
