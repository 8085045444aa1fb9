//! Any document about Services: it is read or refused, says nothing new when it is read again, and what it came to is a document that
//! says the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use svc_core::describe::{ServiceFilter, describe};
use svc_core::discovery::document::Documents;
use svc_core::inventory::{Inventory, Settings};
use svc_core::service::{Rules, Scope};
use svc_core::table::{Source, Table};

pub(crate) fn check(bytes: &[u8]) {
    let mut reader = Reader::new();
    let Some(read) = reader.read(bytes) else { return };
    assert!(reader.read(bytes).is_some_and(|changed| !changed), "it says nothing new");
    let table = reader.inventory.table();
    for target in table.entries().flat_map(|entry| &entry.targets) {
        assert!(target.port.port != 0);
        assert!(target.endpoints.all().iter().all(|endpoint| endpoint.addr.0.port() != 0));
    }
    assert!(read || table.entries().next().is_none());

    let told = told(&table);
    let mut again = Reader::new();
    assert!(again.read(told.as_bytes()).is_some());
    // Whoever tells of what another has told does not know the environment itself.
    let known = |reason: &str| reason.ends_with("is the cluster IP of the Service");
    assert!(again.documents.rejections().all(|rejection| known(&rejection.reason)), "{told}");
    let names = |table: &Table| -> BTreeSet<String> {
        table.entries().map(|entry| entry.service.name.to_string()).collect()
    };
    assert_eq!(names(&again.inventory.table()), names(&table), "{told}");
}

struct Reader {
    documents: Documents,
    inventory: Inventory,
}

impl Reader {
    fn new() -> Reader {
        let sources = vec![Source::Services, Source::Dns];
        Reader {
            documents: Documents::new(
                Source::Services,
                Rules::default(),
                Scope::ALL,
                Arc::from("cluster.local"),
            ),
            inventory: Inventory::new(Settings { sources, ..Settings::default() }),
        }
    }

    /// Whether it changes anything; `None` where it is no document.
    fn read(&mut self, bytes: &[u8]) -> Option<bool> {
        let news = self.documents.read(bytes).ok()?;
        Some(news.apply(&mut self.inventory).is_some())
    }
}

fn told(table: &Table) -> String {
    let nobody = BTreeSet::new();
    let described = describe(table, [], ServiceFilter::default(), &nobody);
    serde_json::to_string(&described).expect("a document is JSON")
}
