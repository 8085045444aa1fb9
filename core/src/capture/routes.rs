//! The routes that bring marked packets to this pod whatever their destination, as calls of `ip`.

use alloc::format;
use alloc::string::String;

use svc_proto::names::ROUTE_TABLE;
use svc_proto::names::mark::HOMEWARD;

use super::text::mark;

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A call of `ip` that must not be made twice. Arguments are separated by spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Looks at what there is.
    pub look: String,
    /// Whether the call is to be made when that prints something, or when it prints nothing.
    pub if_there: bool,
    /// The call.
    pub act: String,
}

/// Makes the routes of a family, where they are not there.
pub(super) fn routing(family: Family) -> [Call; 2] {
    let (rules, routes) = looks(family);
    let (ip, mark) = (option(family), mark(HOMEWARD));
    let rule = format!("{ip} rule add fwmark {mark} table {ROUTE_TABLE} priority {ROUTE_TABLE}");
    let route = format!("{ip} route add local default dev lo table {ROUTE_TABLE}");
    // The route first: a rule that leads to an empty table leads on to the next one.
    [Call { look: routes, if_there: false, act: route }, Call { look: rules, if_there: false, act: rule }]
}

/// Removes the routes of a family, where they are there.
pub fn unrouting(family: Family) -> [Call; 2] {
    let (rules, routes) = looks(family);
    let ip = option(family);
    [
        Call { look: rules, if_there: true, act: format!("{ip} rule delete table {ROUTE_TABLE}") },
        Call { look: routes, if_there: true, act: format!("{ip} route flush table {ROUTE_TABLE}") },
    ]
}

/// What prints the rules, and the routes, that are ours.
fn looks(family: Family) -> (String, String) {
    let ip = option(family);
    (format!("{ip} rule show table {ROUTE_TABLE}"), format!("{ip} route show table {ROUTE_TABLE}"))
}

fn option(family: Family) -> &'static str {
    match family {
        Family::V4 => "-4",
        Family::V6 => "-6",
    }
}
