//! The names of the policies.

use super::Unit;

/// How a Service's endpoints take turns, as `svcmesh.dev/load-balancer` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// `rr`: one after the other.
    RoundRobin,
    /// `random`: each time any of them.
    Random,
}

impl Policy {
    /// All there are, in the order of their names, as messages of the API list what is supported.
    pub const ALL: [Policy; 2] = [Policy::Random, Policy::RoundRobin];

    /// What a Service gets that asks for nothing.
    pub fn default_for(unit: Unit) -> Policy {
        match unit {
            Unit::Connection | Unit::Request => Policy::RoundRobin,
        }
    }

    /// The policy of that name.
    pub fn parse(name: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.as_str() == name)
    }

    /// The name that annotations and documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::RoundRobin => "rr",
            Policy::Random => "random",
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
        for name in ["", "RR", "rr ", "p2c"] {
            assert_eq!(Policy::parse(name), None, "{name}");
        }
    }
}
