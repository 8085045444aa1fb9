//! Looks Services up, for `cargo xtask bench scale`, which counts the instructions: `lookups host|destination SERVICES LOOKUPS`.
//!
//! What comes before the first look-up does not depend on their number, so it cancels out between two runs.

use std::error::Error;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use svc_core::address::Transport;
use svc_core::discovery::env;
use svc_core::inventory::{Inventory, Settings};
use svc_core::table::{Source, Table};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, kind, services, lookups] = arguments.as_slice() else {
        return Err("usage: lookups host|destination SERVICES LOOKUPS".into());
    };
    let (services, lookups): (u32, usize) = (services.parse()?, lookups.parse()?);
    let table = table(services).ok_or("there are no Services")?;
    let found = match kind.as_str() {
        "host" => {
            let hosts: Vec<String> = (0..services).map(host).collect();
            count(&hosts, lookups, |host| table.by_host(host).is_some())
        }
        "destination" => {
            let destinations: Vec<SocketAddr> = (0..services).map(destination).collect();
            count(&destinations, lookups, |at| table.by_destination(Transport::Tcp, *at).is_some())
        }
        other => return Err(format!("unknown kind of look-up `{other}`").into()),
    };
    if found == lookups { Ok(()) } else { Err(format!("{found} of {lookups} were found").into()) }
}

/// The same work for each look-up, however many Services there are.
fn count<T>(asked: &[T], lookups: usize, found: impl Fn(&T) -> bool) -> usize {
    asked.iter().cycle().take(lookups).filter(|asked| found(black_box(asked))).count()
}

/// As the environment would tell of them.
fn table(services: u32) -> Option<Arc<Table>> {
    let variables: Vec<(String, String)> = (0..services)
        .flat_map(|index| {
            let prefix = env::prefix(&name(index));
            let at = destination(index);
            [
                (format!("{prefix}_SERVICE_HOST"), at.ip().to_string()),
                (format!("{prefix}_SERVICE_PORT"), at.port().to_string()),
            ]
        })
        .collect();
    let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let discovered = env::parse(variables, &Arc::from("default"));
    let sources = vec![Source::Environment];
    let mut inventory = Inventory::new(Settings { sources, ..Settings::default() });
    inventory.apply(Source::Environment, discovered.into_changes())
}

fn name(index: u32) -> String {
    format!("svc-{index:05}")
}

fn host(index: u32) -> String {
    format!("{}.default.svc.cluster.local", name(index))
}

fn destination(index: u32) -> SocketAddr {
    let first = u32::from(Ipv4Addr::new(10, 96, 0, 1));
    SocketAddr::from((Ipv4Addr::from(first + index), 80))
}
