//! Hickory's part: questions and answers on the wire, retransmission, TCP after truncation, several name servers. No cache of its own,
//! no search path and no /etc/hosts: what is asked and how long answers hold is decided elsewhere.

use std::future::Future;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use hickory_resolver::config::ResolverOpts;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle as _, FirstAnswer as _};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record as WireRecord, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use svc_core::discovery::answer::{ALIAS_HOPS_MAX, Data, Kind, Reading, Record, Resource, Srv, read};
use svc_core::discovery::names::SearchPath;
use tokio::task::JoinSet;

use super::{Question, Reply, Resolver};
use crate::metrics::{LookedUp, Metrics};

/// The name servers of resolv.conf(5).
#[derive(Clone)]
pub(crate) struct Hickory {
    pool: NameServerPool<TokioRuntimeProvider>,
    metrics: Arc<Metrics>,
}

impl Hickory {
    /// Reads resolv.conf: whom to ask, and how names are completed.
    ///
    /// # Errors
    /// It cannot be read, or names no server.
    pub(crate) fn open(resolv_conf: &Path, metrics: Arc<Metrics>) -> io::Result<(Hickory, SearchPath)> {
        let (config, mut options) = parse_resolv_conf(fs::read(resolv_conf)?).map_err(io::Error::other)?;
        let search = SearchPath { domains: config.search().iter().map(text).collect(), ndots: options.ndots };
        options.timeout = options.timeout.clamp(ATTEMPT_MIN, ATTEMPT_MAX);
        let servers = config.into_parts().2;
        let context = PoolContext::new(options, TlsConfig::new().map_err(io::Error::other)?);
        let pool = NameServerPool::from_config(servers, Arc::new(context), TokioRuntimeProvider::new());
        Ok((Hickory { pool, metrics }, search))
    }

    async fn answer(self, question: Question) -> Reply {
        match self.follow(question).await {
            Ok(Followed { found: Found::Services(services), lifetime, answer, .. }) => {
                self.targets(services, lifetime, &answer).await
            }
            followed => addresses(followed),
        }
    }

    /// Asks until the aliases end.
    async fn follow(&self, question: Question) -> Result<Followed, Reply> {
        let Question { name, kind } = question;
        let mut asked: Vec<Arc<str>> = vec![name];
        let mut shortest = Duration::MAX;
        while asked.len() <= ALIAS_HOPS_MAX {
            let name = asked.last().expect("there is at least one");
            let answer = self.question(name, kind).await?;
            let resources: Vec<Resource> = answer.answers.iter().filter_map(resource).collect();
            let (found, lifetime, aliased) = match read(name, kind, &resources, asked.len() - 1) {
                Reading::Addresses { addresses, lifetime, through } => {
                    (Found::Addresses(addresses), lifetime, through.is_some())
                }
                Reading::Services { services, lifetime } => (Found::Services(services), lifetime, false),
                Reading::Nothing => return Err(denial(&answer)),
                Reading::Alias { .. } if says_all(&answer) => return Err(denial(&answer)),
                Reading::Alias { name, .. } if asked.contains(&name) => return Err(Reply::Circle),
                Reading::Alias { name, lifetime } => {
                    shortest = shortest.min(lifetime);
                    asked.push(name);
                    continue;
                }
                Reading::Loop => return Err(Reply::Circle),
            };
            let (lifetime, aliased) = (lifetime.min(shortest), aliased || asked.len() > 1);
            return Ok(Followed { found, lifetime, aliased, answer });
        }
        Err(Reply::Circle)
    }

    /// One question to the servers, counted by what came of it.
    async fn question(&self, name: &str, kind: Kind) -> Result<DnsResponse, Reply> {
        let answered = match Name::from_ascii(format!("{name}.")) {
            Ok(name) => {
                let query = Query::query(name, record_type(kind));
                self.pool.lookup(query, request_options(self.pool.context())).first_answer().await
            }
            Err(error) => Err(error.into()),
        };
        let answered = answered.map_err(|error| refusal(&error));
        self.metrics.looked_up(match &answered {
            Ok(answer) if answer.response_code == ResponseCode::NXDomain => LookedUp::NxDomain,
            Ok(_) => LookedUp::Ok,
            Err(Reply::Denied { exists: true, .. }) => LookedUp::NoData,
            Err(Reply::Denied { exists: false, .. }) => LookedUp::NxDomain,
            Err(Reply::Failed(how)) => *how,
            Err(Reply::Found { .. } | Reply::Circle) => LookedUp::Error,
        });
        answered
    }

    /// The addresses of SRV targets: those that the server sent along, or asked for.
    async fn targets(self, services: Vec<Srv>, lifetime: Duration, answer: &DnsResponse) -> Reply {
        if services.is_empty() {
            return Reply::Denied { lifetime: Some(lifetime), exists: true };
        }
        let along: Vec<Resource> = answer.additionals.iter().filter_map(resource).collect();
        let mut asking = JoinSet::new();
        let (mut records, mut shortest) = (Vec::new(), lifetime);
        for service in services.into_iter().take(SRV_TARGETS_MAX) {
            let found = [Kind::A, Kind::Aaaa].map(|kind| read(&service.target, kind, &along, 0));
            let mut sent = false;
            for reading in found {
                if let Reading::Addresses { addresses, lifetime, .. } = reading {
                    sent = true;
                    shortest = shortest.min(lifetime);
                    records.extend(addresses.into_iter().map(|address| at(Record::of(address), &service)));
                }
            }
            for kind in [Kind::A, Kind::Aaaa].into_iter().filter(|_| !sent) {
                let (question, service) = (Question { name: service.target.clone(), kind }, service.clone());
                let hickory = self.clone();
                asking.spawn(async move { (addresses(hickory.follow(question).await), service) });
            }
        }
        let mut last = Reply::Denied { lifetime: None, exists: true };
        while let Some(answered) = asking.join_next().await {
            match answered {
                Ok((Reply::Found { records: found, lifetime, .. }, service)) => {
                    shortest = shortest.min(lifetime);
                    records.extend(found.into_iter().map(|record| at(record, &service)));
                }
                Ok((reply @ (Reply::Failed(_) | Reply::Circle), _)) => last = reply,
                Ok((Reply::Denied { .. }, _)) => {}
                Err(_) => last = Reply::Failed(LookedUp::Error),
            }
        }
        match records.is_empty() {
            true => last,
            false => Reply::Found { records, lifetime: shortest, aliased: false },
        }
    }
}

impl Resolver for Hickory {
    fn ask(&self, question: Question) -> impl Future<Output = Reply> + Send + 'static {
        self.clone().answer(question)
    }
}

/// Where the aliases of a name end.
struct Followed {
    found: Found,
    /// The least of all lifetimes on the way.
    lifetime: Duration,
    aliased: bool,
    answer: DnsResponse,
}

enum Found {
    Addresses(Vec<IpAddr>),
    Services(Vec<Srv>),
}

fn addresses(followed: Result<Followed, Reply>) -> Reply {
    match followed {
        Ok(Followed { found: Found::Addresses(addresses), lifetime, aliased, .. }) => {
            let records = addresses.into_iter().map(Record::of).collect();
            Reply::Found { records, lifetime, aliased }
        }
        Ok(Followed { found: Found::Services(_), .. }) => Reply::Denied { lifetime: None, exists: true },
        Err(reply) => reply,
    }
}

fn at(record: Record, service: &Srv) -> Record {
    Record { port: Some(service.port), weight: service.weight, ..record }
}

fn request_options(context: &PoolContext) -> DnsRequestOptions {
    let options: &ResolverOpts = &context.options;
    let mut request = DnsRequestOptions::default();
    (request.use_edns, request.edns_payload_len) = (true, options.edns_payload_len);
    request
}

/// Whether an answer that ends at an alias is all there is: a server that recurses has followed the alias, and one that encloses
/// the zone's SOA says that there is nothing (RFC 2308 §2.2).
fn says_all(answer: &DnsResponse) -> bool {
    answer.recursion_available || answer.soa().is_some() || answer.response_code == ResponseCode::NXDomain
}

fn denial(answer: &DnsResponse) -> Reply {
    let lifetime = answer.negative_ttl().map(|seconds| Duration::from_secs(seconds.into()));
    Reply::Denied { lifetime, exists: answer.response_code != ResponseCode::NXDomain }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an error of another kind is an error")]
fn refusal(error: &NetError) -> Reply {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let lifetime = none.negative_ttl.map(|seconds| Duration::from_secs(seconds.into()));
            Reply::Denied { lifetime, exists: none.response_code != ResponseCode::NXDomain }
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Reply::Failed(LookedUp::ServFail),
        NetError::Timeout => Reply::Failed(LookedUp::Timeout),
        other => {
            tracing::debug!(error = %other, "DNS could not be asked");
            Reply::Failed(LookedUp::Error)
        }
    }
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Srv => RecordType::SRV,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of the hundred types of records four matter here")]
fn resource(record: &WireRecord) -> Option<Resource> {
    let data = match &record.data {
        RData::A(address) => Data::Address(address.0.into()),
        RData::AAAA(address) => Data::Address(address.0.into()),
        RData::CNAME(alias) => Data::Alias(text(&alias.0)),
        RData::SRV(srv) => Data::Service(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: text(&srv.target),
        }),
        _ => return None,
    };
    Some(Resource { owner: text(&record.name), lifetime: Duration::from_secs(record.ttl.into()), data })
}

/// Lower case, without the dot at the end.
fn text(name: &Name) -> Arc<str> {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).into()
}

/// One attempt, with its retransmissions: a server that answers after 5 s is no failure. What resolv.conf says counts between these;
/// its `attempts` do not, for a name is asked for as long as somebody wants it.
const ATTEMPT_MIN: Duration = Duration::from_secs(6);

/// The whole time that anybody waits for a first answer.
const ATTEMPT_MAX: Duration = crate::wanted::PATIENCE;

/// Targets of one SRV name that are followed: 2 questions each, which is as many as may be under way at once.
const SRV_TARGETS_MAX: usize = 32;
