//! The groups of checks that `cargo xtask test` knows.

mod cluster;
pub(crate) mod dns;
mod envoy;
mod fuzz;
mod lint;
pub(crate) mod net;
mod quick;
mod unit;

use crate::Result;
use crate::report::Report;

/// One group, in the order in which all of them run: the fast ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// What can be said without running the product.
    Lint,
    /// Tests that need nothing but the machine they run on.
    Unit,
    /// Tests with real peers and network namespaces.
    Net,
    /// Tests with real name servers.
    Dns,
    /// The filter, in a real Envoy.
    Envoy,
    /// The corpora of the fuzz targets.
    Fuzz,
    /// Tests with a real API server, which is built where there is none, and with pods as containers.
    Cluster,
    /// What is worth its time after every change: a part of `lint` and of `unit`, and of no run that names no group.
    Quick,
}

impl Group {
    pub(crate) const ALL: [Group; 7] =
        [Group::Lint, Group::Unit, Group::Net, Group::Dns, Group::Envoy, Group::Fuzz, Group::Cluster];

    /// Those of no run that does not name them.
    pub(crate) const BY_NAME: [Group; 1] = [Group::Quick];

    /// The group of that name.
    pub(crate) fn parse(name: &str) -> Result<Group> {
        let mut known = Group::ALL.into_iter().chain(Group::BY_NAME);
        known.find(|group| group.name() == name).ok_or_else(|| {
            let names =
                [&Group::ALL.map(Group::name)[..], &Group::BY_NAME.map(Group::name)[..]].concat().join(" ");
            format!("unknown group `{}`: one of {names}", name.escape_debug()).into()
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Group::Lint => "lint",
            Group::Unit => "unit",
            Group::Net => "net",
            Group::Dns => "dns",
            Group::Envoy => "envoy",
            Group::Fuzz => "fuzz",
            Group::Cluster => "cluster",
            Group::Quick => "quick",
        }
    }

    /// Runs it.
    pub(crate) fn run(self, report: &mut Report) {
        match self {
            Group::Lint => lint::run(report),
            Group::Unit => unit::run(report),
            Group::Net => net::run(report),
            Group::Dns => dns::run(report),
            Group::Envoy => envoy::run(report),
            Group::Fuzz => fuzz::run(report),
            Group::Cluster => cluster::run(report),
            Group::Quick => quick::run(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_is_found_by_its_name() {
        for group in Group::ALL.into_iter().chain(Group::BY_NAME) {
            assert_eq!(Group::parse(group.name()).unwrap(), group);
        }
    }

    #[test]
    fn an_unknown_group_is_answered_with_the_list() {
        let error = Group::parse("nett").unwrap_err().to_string();
        assert_eq!(error, "unknown group `nett`: one of lint unit net dns envoy fuzz cluster quick");
    }
}
