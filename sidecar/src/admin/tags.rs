//! Entity tags of documents that were measured already: whoever polls costs a look-up until something changes, and not a walk
//! over a million endpoints each time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use svc_core::endpoints::EndpointId;
use svc_core::inventory::Rejection;
use svc_core::table::Table;

use super::document::{ServicesQuery, ServicesView, Tag};
use crate::sync::lock;

/// What was measured of the present world.
#[derive(Debug, Default)]
pub struct Tags(Mutex<Vec<KnownTag>>);

/// Weak, so that what is known of a snapshot does not keep it in memory. A weak handle keeps its address from being used again,
/// so two worlds cannot be taken for one.
#[derive(Debug)]
struct KnownTag {
    table: Weak<Table>,
    rejections: Weak<Vec<Rejection>>,
    ejected: Arc<BTreeSet<EndpointId>>,
    query: ServicesQuery,
    tag: Tag,
}

impl Tags {
    /// The tag of `document`, measured unless it is known.
    pub(super) async fn of(&self, document: &ServicesView) -> Tag {
        if let Some(tag) = self.known(document) {
            return tag;
        }
        let tag = document.measure().await;
        self.note(document, tag.clone());
        tag
    }

    fn known(&self, document: &ServicesView) -> Option<Tag> {
        let known = self.lock();
        let known =
            known.iter().find(|known| known.is_of_world(document) && known.query == document.query)?;
        Some(known.tag.clone())
    }

    fn note(&self, document: &ServicesView, tag: Tag) {
        let mut known = self.lock();
        known.retain(|known| known.is_of_world(document));
        if known.len() == KNOWN_MAX {
            known.remove(0);
        }
        known.push(KnownTag {
            table: Arc::downgrade(&document.table),
            rejections: Arc::downgrade(&document.rejections),
            ejected: document.ejected.clone(),
            query: document.query.clone(),
            tag,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<KnownTag>> {
        lock(&self.0)
    }
}

impl KnownTag {
    fn is_of_world(&self, document: &ServicesView) -> bool {
        std::ptr::eq(self.table.as_ptr(), Arc::as_ptr(&document.table))
            && std::ptr::eq(self.rejections.as_ptr(), Arc::as_ptr(&document.rejections))
            && self.ejected == document.ejected
    }
}

/// The whole document, and what a few people look at. Names in queries are at most 16 KiB, the limit of a request's head:
/// 16 × 16 KiB = 256 KiB.
const KNOWN_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn document(table: &Arc<Table>, rejections: &Arc<Vec<Rejection>>, query: &str) -> ServicesView {
        let query = ServicesQuery::parse(query).unwrap();
        ServicesView { table: table.clone(), rejections: rejections.clone(), ejected: Arc::default(), query }
    }

    #[tokio::test]
    async fn a_document_is_measured_once_for_each_world_and_query() {
        let (table, rejections) = (Arc::new(Table::default()), Arc::new(Vec::new()));
        let tags = Tags::default();
        let whole = document(&table, &rejections, "");
        assert!(tags.known(&whole).is_none());
        let tag = tags.of(&whole).await;
        assert_eq!(tags.known(&whole), Some(tag));
        assert!(tags.known(&document(&table, &rejections, "name=web")).is_none());
        assert!(tags.known(&document(&Arc::new(Table::default()), &rejections, "")).is_none());
        assert!(tags.known(&document(&table, &Arc::new(Vec::new()), "")).is_none());
        let ejected = Arc::new(BTreeSet::from([EndpointId(1)]));
        assert!(tags.known(&ServicesView { ejected, ..whole.clone() }).is_none());
        assert!(tags.known(&whole).is_some());
    }

    #[tokio::test]
    async fn what_is_known_is_bounded_and_ends_with_its_world() {
        let (table, rejections) = (Arc::new(Table::default()), Arc::new(Vec::new()));
        let tags = Tags::default();
        for name in 0..2 * KNOWN_MAX {
            tags.of(&document(&table, &rejections, &format!("name=n{name}"))).await;
        }
        assert_eq!(tags.lock().len(), KNOWN_MAX);
        tags.of(&document(&Arc::new(Table::default()), &rejections, "")).await;
        assert_eq!(tags.lock().len(), 1);
    }
}
