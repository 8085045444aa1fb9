//! Files of Services, Endpoints, EndpointSlices and Secrets: YAML and JSON, as people write them and as `kubectl get` prints them.
//!
//! What an API server would refuse is refused here, in its words, and the rest serves:
//! - an object that is not valid keeps what it was when it was;
//! - in a document that is not YAML the objects keep what they were whose names stand in it; the other documents of its file serve;
//! - an object in two files is taken from the first by name.
//!
//! Only files that changed are read again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use svc_core::address::SecretName;
use svc_core::inventory::{Change, Rejection};
use svc_core::service::{Interner, Rules};

use crate::certificates::Secrets;

use claims::ObjectClaims;
use folder::{FileStamp, ManifestFolder};
use objects::UnreadableObject;
use port_names::{Slices, service_of};

pub mod yaml;

mod changes;
mod claims;
mod documents;
mod draft;
mod encoding;
mod fields;
mod finding;
mod folder;
mod head;
mod locate;
mod objects;
mod port_names;
mod schema;
mod secret;
mod source;
mod typed;
mod watch;

#[cfg(test)]
mod tests;

pub use watch::{FolderWatch, Touched};

pub(crate) use encoding::Text;
pub(crate) use finding::{Finding, Severity};
pub(crate) use folder::{is_manifest, read_file};
pub(crate) use head::ObjectKind;
pub(crate) use objects::{Contents, Object, ObjectFacts, ObjectKey, read};
pub(crate) use port_names::unknown_to;
pub(crate) use source::ManifestSource;

/// The objects of a folder, or of one file.
#[derive(Debug)]
pub struct Manifests {
    folder: ManifestFolder,
    rules: Rules,
    interner: Interner,
    /// The size beyond which the interner is swept.
    interner_full: usize,
    files: BTreeMap<Arc<str>, ManifestFile>,
    claims: ObjectClaims,
    slices: Slices,
    secrets: Secrets,
    secrets_changed: bool,
    /// What is wrong, by file.
    troubles: BTreeMap<Arc<str>, Vec<Rejection>>,
}

#[derive(Debug, Default)]
struct ManifestFile {
    /// `None` when it could not be read.
    stamp: Option<FileStamp>,
    held: BTreeMap<ObjectKey, LastValid>,
}

/// An object as it was when it was last valid.
#[derive(Debug)]
struct LastValid {
    facts: ObjectFacts,
    place: String,
}

impl Manifests {
    /// Nothing is read yet: [`Manifests::refresh`] with [`Touched::All`] does that.
    ///
    /// # Errors
    ///
    /// There is no such file or folder, or it cannot be reached.
    pub fn open(path: &Path, rules: Rules) -> Result<Manifests, OpenError> {
        let folder = ManifestFolder::open(path).map_err(|source| OpenError { path: path.into(), source })?;
        Ok(Manifests {
            folder,
            rules,
            interner: Interner::default(),
            interner_full: MIN_INTERNED,
            files: BTreeMap::new(),
            claims: ObjectClaims::default(),
            slices: Slices::default(),
            secrets: Secrets::default(),
            secrets_changed: false,
            troubles: BTreeMap::new(),
        })
    }

    /// Tells which files change from now on. To be asked for before the files are first read, so that nothing falls between.
    pub fn watch(&self) -> FolderWatch {
        FolderWatch::start(self.folder.clone())
    }

    /// Reads what changed: the files that were touched, or all whose stamp is another.
    pub fn refresh(&mut self, touched: &Touched) -> Vec<Change> {
        match touched {
            Touched::Files(names) => self.read(names.iter().map(|name| name.as_str().into())),
            Touched::All => self.rescan(|stamp, known| known == Some(stamp)),
        }
    }

    /// Reads everything again (SIGHUP).
    pub fn reload(&mut self) -> Vec<Change> {
        self.rescan(|_, _| false)
    }

    /// What does not serve, and why: by file, then objects that an earlier file has too.
    pub fn rejections(&self) -> Vec<Rejection> {
        let doubles = self.claims.contested().map(|(key, owner, other)| Rejection {
            object: key.to_string(),
            file: self.files[other].held[key].place.clone(),
            reason: format!("already in {}, the first file by name wins", self.files[owner].held[key].place),
        });
        self.troubles.values().flatten().cloned().chain(doubles).collect()
    }

    /// What the Secrets hold, where that is another thing than when it was last asked.
    pub(crate) fn changed_secrets(&mut self) -> Option<Secrets> {
        std::mem::take(&mut self.secrets_changed).then(|| self.secrets.clone())
    }

    fn rescan(&mut self, is_known: impl Fn(FileStamp, Option<FileStamp>) -> bool) -> Vec<Change> {
        let listed = match self.folder.list() {
            Ok(listed) => listed,
            Err(error) => {
                self.report(&"".into(), vec![unreadable("", &error)]); // what was read once still serves
                return Vec::new();
            }
        };
        self.troubles.remove("");
        let gone = self.files.keys().filter(|name| !listed.contains_key(&***name)).cloned();
        let known = |name: &str| self.files.get(name).and_then(|file| file.stamp);
        let written = listed.iter().filter(|(name, stamp)| !is_known(**stamp, known(name)));
        let names: BTreeSet<Arc<str>> = gone.chain(written.map(|(name, _)| name.as_str().into())).collect();
        self.read(names)
    }

    fn read(&mut self, names: impl IntoIterator<Item = Arc<str>>) -> Vec<Change> {
        let mut before = BTreeMap::new();
        for name in names {
            match self.folder.read(&name) {
                Ok(Some((stamp, bytes))) => {
                    let contents = read(&name, &Text::decode(bytes), &self.rules, &mut self.interner);
                    self.take(&name, Some(stamp), contents, &mut before);
                }
                Ok(None) => {
                    self.take(&name, None, Contents::default(), &mut before);
                    self.files.remove(&name);
                }
                Err(error) => {
                    self.files.entry(name.clone()).or_default().stamp = None;
                    self.report(&name, vec![unreadable(&name, &error)]);
                }
            }
        }
        if self.interner.len() > self.interner_full {
            self.interner.sweep();
            self.interner_full = MIN_INTERNED.max(2 * self.interner.len());
        }
        before.keys().for_each(|key| self.note_secret(key));
        self.follow_slices(&before);
        for (key, text) in self.unknown_port_names(before.keys()) {
            let file =
                self.claims.owner(key).map(|owner| &*self.files[owner].held[key].place).unwrap_or_default();
            tracing::warn!(file, object = %key, "ports: {text}");
        }
        before
            .into_iter()
            .flat_map(|(key, before)| changes::between(&key, before, self.facts(&key)))
            .collect()
    }

    /// Follows what `key` says, if it is a Secret's. One that says the same stays the same `Arc`: see [`crate::certificates`].
    fn note_secret(&mut self, key: &ObjectKey) {
        if key.kind != ObjectKind::Secret {
            return;
        }
        let material = match self.facts(key) {
            Some(ObjectFacts::Secret(material)) => Some(material.clone()),
            Some(ObjectFacts::Service(_) | ObjectFacts::Slices(_)) | None => None,
        };
        let name = SecretName::new(key.namespace.clone(), key.name.clone());
        if self.secrets.get(&name) == material.as_ref() {
            return;
        }
        match material {
            Some(material) => self.secrets.insert(name, material),
            None => self.secrets.remove(&name),
        };
        self.secrets_changed = true;
    }

    /// Puts in place what a file says now. `before` learns what the objects were that this touches.
    fn take(
        &mut self,
        name: &Arc<str>,
        stamp: Option<FileStamp>,
        contents: Contents,
        before: &mut BTreeMap<ObjectKey, Option<ObjectFacts>>,
    ) {
        let old = self.files.get(name).into_iter().flat_map(|file| file.held.keys());
        for key in contents.objects.iter().map(|object| &object.key).chain(old) {
            before.entry(key.clone()).or_insert_with(|| self.facts(key).cloned());
        }
        let mut old = self.files.remove(name).unwrap_or_default().held;
        let (held, troubles) = sift(name, contents, &mut old);
        old.keys().filter(|key| !held.contains_key(key)).for_each(|key| self.claims.remove(key, name));
        held.keys().for_each(|key| self.claims.add(key, name));
        self.files.insert(name.clone(), ManifestFile { stamp, held });
        self.report(name, troubles);
    }

    /// What serves under `key`.
    fn facts(&self, key: &ObjectKey) -> Option<&ObjectFacts> {
        let owner = self.claims.owner(key)?;
        Some(&self.files[owner].held[key].facts)
    }

    /// Follows which slices are whose.
    fn follow_slices(&mut self, changed: &BTreeMap<ObjectKey, Option<ObjectFacts>>) {
        for (key, before) in changed {
            let before = before.as_ref().and_then(service_of);
            let now = self.facts(key).and_then(service_of);
            if before != now {
                before.iter().for_each(|service| self.slices.remove(service, key));
                now.into_iter().for_each(|service| self.slices.add(service, key));
            }
        }
    }

    /// What is to be said of slices that name ports which their Services do not have, where one of the two has changed: of which, and what.
    fn unknown_port_names<'a>(
        &'a self,
        changed: impl Iterator<Item = &'a ObjectKey>,
    ) -> Vec<(&'a ObjectKey, String)> {
        let with_slices = |key: &'a ObjectKey| [key].into_iter().chain(self.slices.of(key));
        let keys: BTreeSet<&ObjectKey> = changed.flat_map(with_slices).collect();
        let mut found = Vec::new();
        for key in keys {
            let Some(ObjectFacts::Slices(slices)) = self.facts(key) else { continue };
            let Some(service) = slices.first().map(|slice| &slice.service) else { continue };
            let service = ObjectKey {
                kind: ObjectKind::Service,
                namespace: service.namespace.clone(),
                name: service.name.clone(),
            };
            let Some(ObjectFacts::Service(service)) = self.facts(&service) else { continue };
            let names: BTreeSet<_> =
                slices.iter().flat_map(|slice| &slice.ports).map(|port| &port.name).collect();
            found.extend(names.into_iter().filter_map(|name| Some((key, unknown_to(service, name)?))));
        }
        found
    }

    fn report(&mut self, name: &Arc<str>, troubles: Vec<Rejection>) {
        match troubles.is_empty() {
            true => self.troubles.remove(name),
            false => self.troubles.insert(name.clone(), troubles),
        };
    }
}

/// What `text` says when it is all there is: what serves, and what does not. `file` is what rejections call it.
pub fn read_text(file: &str, text: &str, rules: &Rules) -> (Vec<Change>, Vec<Rejection>) {
    let contents = read(file, &Text::from(text), rules, &mut Interner::default());
    let (held, troubles) = sift(file, contents, &mut BTreeMap::new());
    let serving = held.iter().flat_map(|(key, held)| changes::between(key, None, Some(&held.facts)));
    (serving.collect(), troubles)
}

/// Tells the objects that serve from those that do not. An object that is refused, or may stand in what cannot be read, stays what it was
/// in `old`.
fn sift(
    name: &str,
    contents: Contents,
    old: &mut BTreeMap<ObjectKey, LastValid>,
) -> (BTreeMap<ObjectKey, LastValid>, Vec<Rejection>) {
    let Contents { objects, unreadable, notes, skipped } = contents;
    let (mut held, mut troubles) = (BTreeMap::<ObjectKey, LastValid>::new(), Vec::new());
    for Finding { line, object, message, .. } in notes {
        tracing::warn!(file = format!("{name}:{line}"), object, "{message}");
    }
    for Object { key, place, facts, warnings, .. } in objects {
        for Finding { line, message, .. } in warnings {
            tracing::warn!(file = format!("{name}:{line}"), object = %key, "{message}");
        }
        if let Some(first) = held.get(&key) {
            let reason = format!("already in {}, the first in a file wins", first.place);
            troubles.push(Rejection { object: key.to_string(), file: place, reason });
            continue;
        }
        let facts = facts.map_err(|reason| {
            troubles.push(Rejection { object: key.to_string(), file: place.clone(), reason });
            old.remove(&key)
        });
        match facts {
            Ok(facts) => held.insert(key, LastValid { facts, place }),
            Err(Some(last_good)) => held.insert(key, last_good),
            Err(None) => None,
        };
    }
    for (key, last_good) in
        old.extract_if(.., |key, _| unreadable.iter().any(|unreadable| unreadable.may_have(key)))
    {
        held.entry(key).or_insert(last_good);
    }
    for UnreadableObject { object, place, reason, .. } in unreadable {
        troubles.push(Rejection { object, file: place, reason });
    }
    tracing::debug!(file = name, objects = held.len(), of_other_kinds = skipped, "read");
    (held, troubles)
}

fn unreadable(name: &str, error: &io::Error) -> Rejection {
    Rejection { object: String::new(), file: name.into(), reason: format!("cannot be read: {error}") }
}

/// The path given to [`Manifests::open`] leads nowhere.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read manifests `{}`", self.path.display())
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The nodes and zones of a large cluster.
const MIN_INTERNED: usize = 8192;
