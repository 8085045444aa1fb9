//! Which file an object is taken from, where several have it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::objects::ObjectKey;

#[derive(Debug, Default)]
pub(super) struct ObjectClaims {
    /// The files that have an object, in the order of their names.
    files: HashMap<ObjectKey, Vec<Arc<str>>>,
    contested: BTreeSet<ObjectKey>,
}

impl ObjectClaims {
    pub(super) fn add(&mut self, key: &ObjectKey, file: &Arc<str>) {
        let files = self.files.entry(key.clone()).or_default();
        if let Err(position) = files.binary_search(file) {
            files.insert(position, file.clone());
        }
        if files.len() > 1 {
            self.contested.insert(key.clone());
        }
    }

    pub(super) fn remove(&mut self, key: &ObjectKey, file: &str) {
        let Some(files) = self.files.get_mut(key) else { return };
        files.retain(|other| &**other != file);
        if files.len() <= 1 {
            self.contested.remove(key);
        }
        if files.is_empty() {
            self.files.remove(key);
        }
    }

    /// The first file by name that has the object.
    pub(super) fn owner(&self, key: &ObjectKey) -> Option<&Arc<str>> {
        self.files.get(key)?.first()
    }

    /// Objects that more than one file has, with the owner and each of the others.
    pub(super) fn contested(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<str>, &Arc<str>)> {
        self.contested.iter().flat_map(|key| {
            let (owner, others) = self.files[key].split_first().expect("a contested object is in two files");
            others.iter().map(move |other| (key, owner, other))
        })
    }
}
