//! The policies by which endpoints are chosen, by their names.

/// How a Service's endpoints take turns, as `svcmesh.dev/load-balancer` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// `dh`: by the address that the client went to.
    DestinationHash,
    /// `lc`: who has the fewest connections.
    LeastConnection,
    /// `maglev`: by the client's address, so that few clients move when endpoints come and go.
    Maglev,
    /// `nq`: who has nothing to do, else as `sed`.
    NeverQueue,
    /// `random`: each time any of them.
    Random,
    /// `rr`: one after the other.
    RoundRobin,
    /// `sed`: who will be done soonest, going by connections and weights.
    ShortestDelay,
    /// `sh`: by the client's address.
    SourceHash,
    /// `p2c`: of two drawn, the one that is likely to answer sooner.
    TwoChoices,
    /// `wrr`: one after the other, the heavier ones more often.
    WeightedRoundRobin,
}

/// What is picked for: policies that spread by connection do not spread by request as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A connection whose bytes are not ours to read.
    Connection,
    /// An HTTP request.
    Request,
}

impl Policy {
    /// All there are, in the order of their names, as messages of the API list what is supported.
    pub const ALL: [Policy; 10] = [
        Policy::DestinationHash,
        Policy::LeastConnection,
        Policy::Maglev,
        Policy::NeverQueue,
        Policy::TwoChoices,
        Policy::Random,
        Policy::RoundRobin,
        Policy::ShortestDelay,
        Policy::SourceHash,
        Policy::WeightedRoundRobin,
    ];

    /// What a Service gets that asks for nothing.
    pub fn default_for(unit: Unit) -> Policy {
        match unit {
            Unit::Connection => Policy::RoundRobin,
            Unit::Request => Policy::TwoChoices,
        }
    }

    /// Whether it gives the same client the same endpoint each time.
    pub fn hashes(self) -> bool {
        matches!(self, Policy::DestinationHash | Policy::Maglev | Policy::SourceHash)
    }

    /// The policy of that name.
    pub fn parse(name: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.as_str() == name)
    }

    /// The name that annotations and documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::DestinationHash => "dh",
            Policy::LeastConnection => "lc",
            Policy::Maglev => "maglev",
            Policy::NeverQueue => "nq",
            Policy::Random => "random",
            Policy::RoundRobin => "rr",
            Policy::ShortestDelay => "sed",
            Policy::SourceHash => "sh",
            Policy::TwoChoices => "p2c",
            Policy::WeightedRoundRobin => "wrr",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_known_by_its_name_and_no_other() {
        for policy in Policy::ALL {
            assert_eq!(Policy::parse(policy.as_str()), Some(policy));
        }
        for name in ["", "RR", "rr ", "wlc"] {
            assert_eq!(Policy::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_policies_are_listed_in_the_order_of_their_names() {
        assert!(Policy::ALL.is_sorted_by_key(|policy| policy.as_str()));
    }
}
