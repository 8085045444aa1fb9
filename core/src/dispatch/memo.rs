//! Which Service port an authority led to before.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::array;
use core::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use super::{ServiceRef, resolve};
use crate::outcome::Failure;
use crate::table::{Table, Target};

/// Remembers what authorities led to: the requests of a worker ask for a few, over and over, and to read one and to try the search path is
/// two thirds of what it takes to decide about a request. What leads nowhere is not remembered.
#[derive(Debug)]
pub struct Memo {
    /// The snapshot that all of it is of; not kept for its sake.
    table: Weak<Table>,
    slots: [Option<Remembered>; SLOTS],
}

#[derive(Debug)]
struct Remembered {
    authority: Box<str>,
    target: Arc<Target>,
}

impl Default for Memo {
    fn default() -> Memo {
        Memo { table: Weak::new(), slots: array::from_fn(|_| None) }
    }
}

impl Memo {
    /// As [`resolve`].
    ///
    /// # Errors
    /// Those of [`resolve`].
    pub fn resolve<'a>(
        &'a mut self,
        service_ref: ServiceRef<'_>,
        table: &'a Arc<Table>,
    ) -> Result<&'a Arc<Target>, Failure> {
        let ServiceRef::Authority(authority) = service_ref else { return resolve(service_ref, table) };
        if self.table.as_ptr() != Arc::as_ptr(table) {
            *self = Memo { table: Arc::downgrade(table), ..Memo::default() };
        }
        // Whoever chooses authorities that share a slot makes each other's slow, and nothing else.
        let slot = &mut self.slots[FixedState::default().hash_one(authority) as usize % SLOTS];
        let known = slot.take().filter(|known| *known.authority == *authority);
        let known = match known {
            Some(known) => known,
            None => Remembered { authority: authority.into(), target: resolve(service_ref, table)?.clone() },
        };
        Ok(&slot.insert(known).target)
    }
}

/// 64 × (260 bytes of the longest authority + 24 of its slot and handles) = 18 KiB at most.
const SLOTS: usize = 64;

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString as _};
    use alloc::vec::Vec;

    use super::*;
    use crate::inventory::{Change, Inventory, Settings};
    use crate::samples::service;
    use crate::table::Source;

    /// The Services of `shop`, each of which is called by its number.
    fn world(numbers: core::ops::Range<u32>) -> (Inventory, Arc<Table>) {
        let settings = Settings { sources: [Source::Manifests].into(), ..Settings::default() };
        let mut inventory = Inventory::new(settings);
        let table = inventory.apply(Source::Manifests, numbers.map(says).collect()).unwrap();
        (inventory, table)
    }

    fn says(number: u32) -> Change {
        let service = service("shop", &format!("web-{number}"));
        Change::Service(service.name.clone(), Some(Arc::new(service)))
    }

    fn name(memo: &mut Memo, host: &str, table: &Arc<Table>) -> Result<String, Failure> {
        let target = memo.resolve(ServiceRef::Authority(host), table)?;
        Ok(target.service.name.to_string())
    }

    #[test]
    fn what_is_remembered_is_what_would_be_found() {
        let (_inventory, table) = world(0..1_000);
        let (mut memo, hosts): (_, Vec<_>) =
            (Memo::default(), (0..1_100).map(|number| format!("web-{number}.shop")).collect());
        for _ in 0..3 {
            for (number, host) in hosts.iter().enumerate() {
                let expected = match number {
                    0..1_000 => Ok(format!("shop/web-{number}")),
                    _ => Err(Failure::UnknownDestination),
                };
                for _ in 0..2 {
                    assert_eq!(name(&mut memo, host, &table), expected);
                }
            }
        }
        for host in ["web-7.shop:80", "WEB-7.shop", "web-7.shop."] {
            assert_eq!(name(&mut memo, host, &table).as_deref(), Ok("shop/web-7"), "{host}");
        }
        assert_eq!(name(&mut memo, "web-7.shop:81", &table), Err(Failure::NoSuchPort));
    }

    #[test]
    fn another_snapshot_is_looked_at_anew_and_the_last_one_is_not_kept() {
        let (mut inventory, table) = world(0..2);
        let mut memo = Memo::default();
        assert!(name(&mut memo, "web-1.shop", &table).is_ok());
        let gone = Change::Service(crate::address::ServiceName::new("shop", "web-1"), None);
        let next = inventory.apply(Source::Manifests, [gone].into()).unwrap();
        assert_eq!(name(&mut memo, "web-1.shop", &next), Err(Failure::UnknownDestination));
        assert_eq!(Arc::strong_count(&table), 1);
        assert!(name(&mut memo, "web-0.shop", &next).is_ok());
        assert_eq!(name(&mut memo, "web-1.shop", &table).as_deref(), Ok("shop/web-1"));
    }

    #[test]
    fn the_name_of_a_port_needs_no_memory() {
        let (_inventory, table) = world(0..1);
        let service_ref = ServiceRef::Port { namespace: "shop", name: "web-0", port: 80 };
        assert!(Memo::default().resolve(service_ref, &table).is_ok());
    }
}
