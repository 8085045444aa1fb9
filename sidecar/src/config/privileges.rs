//! What the sidecar may do, as both verbs are told.

use svc_core::capture::Privileges;

use super::flag::{Expected, Flag};

pub(super) const PRIVILEGES: Flag<Privileges> = Flag {
    name: "privileges",
    value: "none|transparent",
    default: "none",
    help: "`transparent`: the application sees the addresses of the clients whose connections were captured. `init` and `run` must be told \
           the same, and `run` needs the capability NET_ADMIN then",
    parse: privileges,
};

fn privileges(raw: &str) -> Result<Privileges, Expected> {
    match raw {
        "none" => Ok(Privileges::None),
        "transparent" => Ok(Privileges::Transparent),
        _ => Err("`none` or `transparent`".into()),
    }
}
