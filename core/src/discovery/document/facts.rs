//! One Service of a document → facts, and what is news in them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use svc_proto::services as document;
use svc_proto::values::Quoted;

use super::{News, service, slices};
use crate::address::ServiceName;
use crate::dns::answer::Record;
use crate::dns::names::full_name;
use crate::hash::HashSet;
use crate::inventory::{Change, Rejection, SliceKey};
use crate::service::{Interner, Rules, Scope, Service, Slice};
use crate::table::Source;

#[derive(Debug)]
pub(super) struct ServiceFacts {
    pub(super) service: Arc<Service>,
    only_dns_knows: bool,
    slices: Vec<Arc<Slice>>,
    /// Where a name leads that its endpoints stand for.
    pub(super) records: Option<(Arc<str>, Vec<Record>)>,
    /// Endpoints that are wrong in themselves.
    pub(super) refused: Vec<Rejection>,
}

/// What reading needs.
pub(super) struct Reader<'a> {
    pub(super) rules: &'a Rules,
    pub(super) scope: Scope,
    pub(super) cluster_domain: &'a str,
    pub(super) interner: &'a mut Interner,
}

impl Reader<'_> {
    /// Reads the Service with this index in its document.
    pub(super) fn read(self, index: usize, json: &str) -> Result<ServiceFacts, RefusedService> {
        let value = serde_json::from_slice(json.as_bytes())
            .map_err(|error| RefusedService::unnamed(index, error.to_string()))?;
        let (written, mistakes) = document::Service::read(&value);
        let name = ServiceName::new(&*written.namespace, &*written.name);
        if let Some(mistake) = mistakes.first() {
            let is_named = !mistakes.iter().any(|mistake| NAMING.contains(&&*mistake.field));
            return Err(match is_named {
                true => RefusedService::new(&name, mistake.to_string()),
                false => RefusedService::unnamed(index, mistake.to_string()),
            });
        }
        let only_dns_knows = name.namespace.is_empty() || written.source == Source::Dns.as_str();
        let service = match only_dns_knows {
            true => service::read_from_dns(&written),
            false => service::read(&written, self.rules, self.scope),
        };
        let service = service.map_err(|reason| RefusedService::new(&name, reason))?;
        let known_as = match only_dns_knows && service.external_name.is_none() {
            true => Some(full_name(&name, self.cluster_domain).into()),
            false => service.external_name.clone(),
        };
        let (slices, refused) = match known_as {
            Some(_) => (Vec::new(), Vec::new()),
            None => slices::read(&written, &service, self.rules, self.interner),
        };
        let records =
            known_as.map(|name| (name, records(&written))).filter(|(_, records)| !records.is_empty());
        let slices = slices.into_iter().map(Arc::new).collect();
        let refused = refused.into_iter().map(|reason| rejection(&name, reason)).collect();
        Ok(ServiceFacts { service: Arc::new(service), only_dns_knows, slices, records, refused })
    }
}

/// A Service that is wrong in itself.
pub(super) struct RefusedService {
    /// Nothing where not even that can be read.
    pub(super) name: Option<ServiceName>,
    pub(super) rejection: Rejection,
}

impl RefusedService {
    fn new(name: &ServiceName, reason: String) -> RefusedService {
        RefusedService { name: Some(name.clone()), rejection: rejection(name, reason) }
    }

    fn unnamed(index: usize, reason: String) -> RefusedService {
        let object = format!("services[{index}]");
        RefusedService { name: None, rejection: Rejection { object, file: String::new(), reason } }
    }
}

/// Where something is wrong with these, or with all of it, nobody knows which Service it is.
const NAMING: [&str; 3] = ["Service", "namespace", "name"];

/// Why something of this Service does not serve.
pub(super) fn rejection(name: &ServiceName, reason: String) -> Rejection {
    let object = match name.namespace.is_empty() {
        true => format!("host {}", Quoted(&name.name)),
        false => format!("Service \"{name}\""),
    };
    Rejection { object, file: String::new(), reason }
}

/// What DNS said of the name that these endpoints stand for. An address that has exactly the Service's ports has whichever a client asks for;
/// else its record tells the port, as SRV does.
fn records(written: &document::Service<'_>) -> Vec<Record> {
    let own: HashSet<u16> = written.ports.iter().map(|port| port.port).collect();
    let told = written.endpoints.iter().filter(|endpoint| endpoint.ready && endpoint.port != 0);
    let mut told: Vec<Record> = told
        .map(|endpoint| Record {
            address: endpoint.address.to_canonical(),
            port: Some(endpoint.port),
            weight: endpoint.weight,
            priority: 0, // only those of the lowest that may be used are told
        })
        .collect();
    told.sort_unstable();
    told.dedup_by_key(|record| (record.address, record.port));
    let mut records = Vec::new();
    for of_address in told.chunk_by(|one, next| one.address == next.address) {
        let mut ports = of_address.iter().filter_map(|record| record.port);
        match of_address.len() == own.len() && ports.all(|port| own.contains(&port)) {
            true => records.push(Record { port: None, ..of_address[0] }),
            false => records.extend(of_address),
        }
    }
    records
}

impl ServiceFacts {
    /// These in the place of those before; what is equal shares their memory, and is no news.
    pub(super) fn instead_of(mut self, before: Option<ServiceFacts>, news: &mut News) -> ServiceFacts {
        let before = match before {
            Some(before) if before.only_dns_knows != self.only_dns_knows => {
                before.withdraw(news);
                None
            }
            before => before,
        };
        let name = self.service.name.clone();
        let changes = news.of(self.only_dns_knows);
        let (service, slices) = before.map(|before| (before.service, before.slices)).unzip();
        match service {
            Some(service) if service == self.service => self.service = service,
            Some(_) | None => changes.push(Change::Service(name.clone(), Some(self.service.clone()))),
        }
        let slices = slices.unwrap_or_default();
        for part in 0..slices.len().max(self.slices.len()) {
            match (slices.get(part), self.slices.get_mut(part)) {
                (Some(before), Some(now)) if before == now => *now = before.clone(),
                (_, now) => changes.push(Change::Slice(key(&name, part), now.map(|slice| slice.clone()))),
            }
        }
        self
    }

    /// The Service is gone.
    pub(super) fn withdraw(self, news: &mut News) {
        let (name, changes) = (&self.service.name, news.of(self.only_dns_knows));
        changes.push(Change::Service(name.clone(), None));
        changes.extend((0..self.slices.len()).map(|part| Change::Slice(key(name, part), None)));
    }
}

fn key(service: &ServiceName, part: usize) -> SliceKey {
    SliceKey {
        namespace: service.namespace.clone(),
        name: service.name.clone(),
        part: u32::try_from(part).unwrap_or(u32::MAX), // no text is long enough
        from_endpoints: false,
    }
}
