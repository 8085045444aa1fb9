//! The names of the policies.

use core::fmt;
use core::str::FromStr;

/// How a Service's endpoints take turns, as `svcmesh.dev/load-balancer` names it.
///
/// Round robin is the default for connections and for requests. (Requests are to move to `p2c` when that exists.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// `rr`: one after the other.
    #[default]
    RoundRobin,
    /// `random`: each time any of them.
    Random,
}

impl Policy {
    /// All there are, in the order in which messages list them.
    pub const ALL: [Policy; 2] = [Policy::RoundRobin, Policy::Random];

    /// The name that annotations and documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::RoundRobin => "rr",
            Policy::Random => "random",
        }
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Policy, UnknownPolicy> {
        Policy::ALL.into_iter().find(|policy| policy.as_str() == name).ok_or(UnknownPolicy)
    }
}

/// The name is none of [`Policy::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPolicy;

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("supported values:")?;
        for (position, policy) in Policy::ALL.into_iter().enumerate() {
            write!(f, "{} \"{}\"", if position == 0 { "" } else { "," }, policy.as_str())?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownPolicy {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_known_by_its_name() {
        for policy in Policy::ALL {
            assert_eq!(policy.as_str().parse(), Ok(policy));
        }
    }

    #[test]
    fn a_policy_that_is_not_built_is_refused_with_those_that_are() {
        let refused = "p2c".parse::<Policy>().unwrap_err();
        assert_eq!(refused.to_string(), r#"supported values: "rr", "random""#);
        assert_eq!("RR".parse::<Policy>(), Err(UnknownPolicy));
    }
}
