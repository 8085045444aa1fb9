//! The document at `/services` ([`svc_proto::services`]) → what the inventory must hear.
//!
//! A Service is what its object says, and its endpoints are slices again. A Service without a cluster IP is headless: whoever wrote the document has given out all addresses. Where endpoints stand for a name, they
//! are that name's records, and what only DNS knows, hosts of no namespace included, is what DNS said. What a document says of
//! ejected endpoints is left aside: they failed the requests of somebody else, and who reads this counts its own. So are loopback
//! VIPs, which are that pod's.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use serde_json::error::Category;
use serde_json::value::RawValue;
use svc_proto::services::VERSION;

use crate::address::ServiceName;
use crate::dns::answer::Record;
use crate::hash::HashMap;
use crate::inventory::{Change, Inventory, Rejection};
use crate::service::{Interner, Rules, Scope};
use crate::table::{Source, Table};

mod facts;
mod service;
mod slices;

#[cfg(test)]
mod tests;

use facts::ServiceFacts;

/// What one series of documents has said so far. Each tells everything: what the next does not mention is gone.
#[derive(Debug)]
pub struct Documents {
    source: Source,
    rules: Rules,
    scope: Scope,
    cluster_domain: Arc<str>,
    interner: Interner,
    known: HashMap<ServiceName, KnownService>,
    /// The Services by the hashes of their texts. That two texts of one Service have the same is as likely as 1 in 2^64.
    by_text: HashMap<u64, ServiceName>,
    /// What the inventory has been told of names.
    names: HashMap<Arc<str>, Arc<[Record]>>,
    /// What is wrong with Services that are not known for it.
    strays: Vec<Rejection>,
    /// Counts the documents.
    edition: u64,
}

/// One Service, and the last document that mentions it.
#[derive(Debug)]
struct KnownService {
    facts: ServiceFacts,
    text: u64,
    edition: u64,
}

impl Documents {
    /// Nothing has been said yet. What is said counts as the word of `source`, but for what only DNS knows. `cluster_domain` is what the names
    /// of Services end with.
    pub fn new(source: Source, rules: Rules, scope: Scope, cluster_domain: Arc<str>) -> Documents {
        Documents {
            source,
            rules,
            scope,
            cluster_domain,
            interner: Interner::default(),
            known: HashMap::default(),
            by_text: HashMap::default(),
            names: HashMap::default(),
            strays: Vec::new(),
            edition: 0,
        }
    }

    /// Takes in a whole document, and tells what has changed since the one before. A Service that is wrong in itself stays what it was when
    /// it was last right, and is told among [`Documents::rejections`]; an endpoint is left out.
    ///
    /// # Errors
    /// It is none, or of another version: what was known holds on.
    pub fn read(&mut self, json: &[u8]) -> Result<News, Unreadable> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(json)?;
        let field = |name| fields.get(name).map(|value| value.get());
        let version = field("version").and_then(|version| serde_json::from_slice(version.as_bytes()).ok());
        let version: u32 = version.ok_or(Unreadable::Foreign)?;
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        // Each is read by itself, and only where its text is new: nearly all say what they said before.
        let services =
            field("services").and_then(|services| serde_json::from_slice(services.as_bytes()).ok());
        let services: Vec<&RawValue> = services.ok_or(Unreadable::Foreign)?;
        Ok(self.read_services(services.into_iter().map(RawValue::get)))
    }

    /// The same, of a document's `services`, each by itself.
    pub fn read_services<'a>(&mut self, services: impl IntoIterator<Item = &'a str>) -> News {
        self.interner.sweep(); // by now the inventory has let go of what the last document changed
        self.strays.clear();
        self.edition += 1;
        let mut news = News { source: self.source, told: Vec::new(), dns: Vec::new() };
        for (index, json) in services.into_iter().enumerate() {
            if let Err(rejection) = self.read_service(index, json, &mut news) {
                self.strays.push(rejection);
            }
        }
        self.forget_others(&mut news);
        self.tell_names(&mut news.dns);
        news
    }

    /// What the last document says in vain.
    pub fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        let mut known: Vec<&ServiceFacts> = self.known.values().map(|known| &known.facts).collect();
        known.retain(|facts| !facts.refused.is_empty());
        known.sort_unstable_by(|a, b| a.service.name.cmp(&b.service.name));
        self.strays.iter().chain(known.into_iter().flat_map(|facts| &facts.refused))
    }

    fn read_service(&mut self, index: usize, json: &str, news: &mut News) -> Result<(), Rejection> {
        let text = FixedState::default().hash_one(json);
        if let Some(known) = self.by_text.get(&text).and_then(|name| self.known.get_mut(name)) {
            known.edition = self.edition; // it says what it said: nearly all do
            return Ok(());
        }
        let reader = facts::Reader {
            rules: &self.rules,
            scope: self.scope,
            cluster_domain: &self.cluster_domain,
            interner: &mut self.interner,
        };
        let facts = reader.read(index, json).map_err(|refused| {
            if let Some(known) = refused.name.and_then(|name| self.known.get_mut(&name)) {
                known.edition = self.edition; // it stays what it was when it was last right
            }
            refused.rejection
        })?;
        let name = facts.service.name.clone();
        let before = match self.known.remove(&name) {
            Some(known) if known.edition == self.edition => {
                self.known.insert(name.clone(), known);
                return Err(facts::rejection(&name, "is told more than once".into()));
            }
            before => before,
        };
        if let Some(before) = &before {
            self.by_text.remove(&before.text);
        }
        let facts = facts.instead_of(before.map(|before| before.facts), news);
        self.by_text.insert(text, name.clone());
        self.known.insert(name, KnownService { facts, text, edition: self.edition });
        Ok(())
    }

    /// What this document does not mention is gone.
    fn forget_others(&mut self, news: &mut News) {
        let edition = self.edition;
        for (_, gone) in self.known.extract_if(|_, known| known.edition != edition) {
            self.by_text.remove(&gone.text);
            gone.facts.withdraw(news);
        }
    }

    /// Several Services may stand for one name, and each tells of it what it is allowed to lead to.
    fn tell_names(&mut self, changes: &mut Vec<Change>) {
        let mut told: HashMap<&Arc<str>, Vec<Record>> = HashMap::default();
        for (name, records) in self.known.values().filter_map(|known| known.facts.records.as_ref()) {
            told.entry(name).or_default().extend(records);
        }
        let before = core::mem::take(&mut self.names);
        for (name, mut records) in told {
            records.sort_unstable();
            records.dedup();
            let records = match before.get(name) {
                Some(before) if **before == *records => before.clone(),
                Some(_) | None => {
                    let records: Arc<[Record]> = records.into();
                    changes.push(Change::Name(name.clone(), Some(records.clone())));
                    records
                }
            };
            self.names.insert(name.clone(), records);
        }
        let gone = before.keys().filter(|name| !self.names.contains_key(*name));
        changes.extend(gone.map(|name| Change::Name(name.clone(), None)));
    }
}

/// What has changed from one document to the next.
#[derive(Debug)]
#[must_use]
pub struct News {
    source: Source,
    told: Vec<Change>,
    /// What only DNS knows.
    dns: Vec<Change>,
}

impl News {
    /// Hands all of it to an inventory that listens to the source of these documents and to [`Source::Dns`]. Returns the new table, or `None`
    /// where the present one is still right.
    pub fn apply(self, inventory: &mut Inventory) -> Option<Arc<Table>> {
        let told = inventory.apply(self.source, self.told);
        inventory.apply(Source::Dns, self.dns).or(told)
    }

    /// Where the changes of a Service belong.
    fn of(&mut self, only_dns_knows: bool) -> &mut Vec<Change> {
        if only_dns_knows { &mut self.dns } else { &mut self.told }
    }
}

/// Why a text is no document.
#[derive(Debug)]
pub enum Unreadable {
    /// It is no JSON.
    Malformed(serde_json::Error),
    /// It is no object with a version and a list of Services.
    Foreign,
    /// Of this version nothing is known here.
    Version(u32),
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Unreadable {
        match error.classify() {
            Category::Data => Unreadable::Foreign,
            Category::Syntax | Category::Eof | Category::Io => Unreadable::Malformed(error),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Malformed(malformed) => write!(f, "no document about Services: {malformed}"),
            Unreadable::Foreign => {
                f.write_str("no document about Services: it has no `version`, or no list of `services`")
            }
            Unreadable::Version(version) => {
                write!(f, "a document of version {version}, where {VERSION} was expected")
            }
        }
    }
}

impl core::error::Error for Unreadable {}
