//! A stub resolver: follows aliases, finds the addresses of SRV targets. No cache of its own, no search path and no /etc/hosts: what is asked
//! and how long answers hold is decided elsewhere.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use svc_core::dns::answer::{AliasChain, AnswerReading, BrokenChain, QueryType, Record, Srv, read};
use svc_core::dns::local::{Permit, prohibition};
use svc_core::dns::names::SearchPath;
use svc_core::outcome::Failure;
use tokio::task::JoinSet;

use super::Resolver;
use super::message::{DnsAnswer, SentQuery};
use super::question::{Question, Reply};
use super::resolv_conf::ResolvConf;
use super::server::Unanswered;
use super::servers::Servers;
use crate::clock::timeout;
use crate::metrics::{LookedUp, Metrics};

/// Asks the name servers of resolv.conf(5).
#[derive(Clone)]
pub(crate) struct Stub {
    servers: Servers,
    metrics: Arc<Metrics>,
}

impl Stub {
    /// Reads resolv.conf: whom to ask, and how names are completed.
    ///
    /// # Errors
    /// It cannot be read, or names no server.
    pub(crate) fn open(resolv_conf: &Path, metrics: Arc<Metrics>) -> io::Result<(Stub, SearchPath)> {
        let ResolvConf { servers, search, timeout, tcp_only } = ResolvConf::open(resolv_conf)?;
        let servers = Servers::new(&servers, tcp_only, timeout.clamp(ATTEMPT_MIN, ATTEMPT_MAX));
        Ok((Stub { servers, metrics }, search))
    }

    async fn answer(self, question: Question) -> Reply {
        let answering = async {
            match self.follow(question).await {
                Ok(Followed { found: StubAnswer::Services(services), lifetime, answer, .. }) => {
                    self.targets(services, lifetime, &answer).await
                }
                followed => addresses(followed),
            }
        };
        timeout(WHOLE_MAX, answering).await.unwrap_or(Reply::Failed(LookedUp::Timeout))
    }

    /// Asks until the aliases end.
    async fn follow(&self, question: Question) -> Result<Followed, Reply> {
        let Question { name, kind } = question;
        let mut chain = AliasChain::new(name);
        let mut shortest = Duration::MAX;
        loop {
            let answer = self.question(chain.end(), kind).await?;
            let (found, lifetime) = match read(&mut chain, kind, &answer.answers) {
                _ if answer.code == ResponseCode::NXDomain => return Err(denial(&answer)),
                AnswerReading::Addresses { addresses, lifetime } => {
                    (StubAnswer::Addresses(addresses), lifetime)
                }
                AnswerReading::Services { services, lifetime } => (StubAnswer::Services(services), lifetime),
                AnswerReading::Nothing => return Err(denial(&answer)),
                AnswerReading::Alias { .. } if answer.denial.is_some() => return Err(denial(&answer)), // RFC 2308 §2.2
                AnswerReading::Alias { lifetime } => {
                    shortest = shortest.min(lifetime);
                    continue;
                }
                AnswerReading::Broken(BrokenChain::Circle) => return Err(Reply::Nowhere(Failure::NameLoop)),
                AnswerReading::Broken(BrokenChain::TooLong) => {
                    return Err(Reply::Nowhere(Failure::NameFailed));
                }
            };
            return Ok(Followed {
                found,
                lifetime: lifetime.min(shortest),
                aliased: chain.is_alias(),
                answer,
            });
        }
    }

    /// One question to the servers, counted by what came of it.
    async fn question(&self, name: &Arc<str>, kind: QueryType) -> Result<DnsAnswer, Reply> {
        let question = Question { name: name.clone(), kind };
        if !SentQuery::can_carry(&question) {
            return Err(Reply::Denied { lifetime: None, exists: false }); // nobody has such a name
        }
        let answered = self.servers.ask(&question).await;
        self.metrics.looked_up(match &answered {
            Ok(answer) if answer.code == ResponseCode::NXDomain => LookedUp::NxDomain,
            Ok(answer) if answer.answers.is_empty() => LookedUp::NoData,
            Ok(_) => LookedUp::Ok,
            Err(Unanswered::Silent) => LookedUp::Timeout,
            Err(Unanswered::ServFail) => LookedUp::ServFail,
            Err(Unanswered::Refused | Unanswered::Unreachable) => LookedUp::Error,
        });
        answered.map_err(|why| match why {
            Unanswered::Refused => Reply::Refused,
            Unanswered::Silent => Reply::Failed(LookedUp::Timeout),
            Unanswered::ServFail => Reply::Failed(LookedUp::ServFail),
            Unanswered::Unreachable => Reply::Failed(LookedUp::Error),
        })
    }

    /// The addresses of SRV targets: of the lowest priority, and of those after it until there is one that may be used (RFC 2782).
    async fn targets(&self, services: Vec<Srv>, lifetime: Duration, answer: &DnsAnswer) -> Reply {
        if services.is_empty() {
            return Reply::Denied { lifetime: Some(lifetime), exists: true };
        }
        let mut targets =
            Targets { records: Vec::new(), lifetime, last: Reply::Denied { lifetime: None, exists: true } };
        let services = &services[..services.len().min(SRV_TARGETS_MAX)];
        for equals in services.chunk_by(|one, next| one.priority == next.priority) {
            let unknown = equals.iter().filter(|service| !targets.take_along(service, answer));
            let unknown: Vec<Srv> = unknown.cloned().collect();
            self.ask_for(unknown, &mut targets).await;
            if targets.records.iter().any(|record| prohibition(record.address, Permit::default()).is_none()) {
                break;
            }
        }
        targets.reply()
    }

    async fn ask_for(&self, services: Vec<Srv>, targets: &mut Targets) {
        let mut asking = JoinSet::new();
        for service in services {
            for kind in [QueryType::A, QueryType::Aaaa] {
                let question = Question { name: service.target.clone(), kind };
                let (stub, service) = (self.clone(), service.clone());
                asking.spawn(async move { (addresses(stub.follow(question).await), service) });
            }
        }
        while let Some(answered) = asking.join_next().await {
            match answered {
                Ok((reply, service)) => targets.take(reply, &service),
                Err(_) => targets.last = Reply::Failed(LookedUp::Error),
            }
        }
    }
}

impl Resolver for Stub {
    fn ask(&self, question: Question) -> impl Future<Output = Reply> + Send + 'static {
        self.clone().answer(question)
    }
}

/// Where the aliases of a name end.
struct Followed {
    found: StubAnswer,
    /// The least of all lifetimes on the way.
    lifetime: Duration,
    aliased: bool,
    answer: DnsAnswer,
}

enum StubAnswer {
    Addresses(Vec<IpAddr>),
    Services(Vec<Srv>),
}

/// What is known of the targets of an SRV name.
struct Targets {
    records: Vec<Record>,
    lifetime: Duration,
    /// What to tell where none has an address.
    last: Reply,
}

impl Targets {
    /// Takes the addresses that the server has sent along; whether there are any.
    fn take_along(&mut self, service: &Srv, answer: &DnsAnswer) -> bool {
        let before = self.records.len();
        for kind in [QueryType::A, QueryType::Aaaa] {
            let mut chain = AliasChain::new(service.target.clone());
            if let AnswerReading::Addresses { addresses, lifetime } =
                read(&mut chain, kind, &answer.additionals)
            {
                self.add(addresses.into_iter().map(Record::of), lifetime, service);
            }
        }
        self.records.len() > before
    }

    fn take(&mut self, reply: Reply, service: &Srv) {
        match reply {
            Reply::Found { records, lifetime, .. } => self.add(records, lifetime, service),
            Reply::Failed(_) | Reply::Refused | Reply::Nowhere(_) => {
                self.last = reply;
                self.lifetime = Duration::ZERO; // a target may be missing: soon asked for again
            }
            Reply::Denied { .. } => {}
        }
    }

    fn add(&mut self, records: impl IntoIterator<Item = Record>, lifetime: Duration, service: &Srv) {
        self.lifetime = self.lifetime.min(lifetime);
        let Srv { port, weight, priority, .. } = *service;
        let at = |record| Record { port: Some(port), weight, priority, ..record };
        self.records.extend(records.into_iter().map(at));
    }

    fn reply(self) -> Reply {
        match self.records.is_empty() {
            true => self.last,
            false => Reply::Found { records: self.records, lifetime: self.lifetime, aliased: false },
        }
    }
}

fn addresses(followed: Result<Followed, Reply>) -> Reply {
    match followed {
        Ok(Followed { found: StubAnswer::Addresses(addresses), lifetime, aliased, .. }) => {
            let records = addresses.into_iter().map(Record::of).collect();
            Reply::Found { records, lifetime, aliased }
        }
        Ok(Followed { found: StubAnswer::Services(_), .. }) => Reply::Denied { lifetime: None, exists: true },
        Err(reply) => reply,
    }
}

fn denial(answer: &DnsAnswer) -> Reply {
    Reply::Denied { lifetime: answer.denial, exists: answer.code != ResponseCode::NXDomain }
}

/// One question, with its retransmissions: a server that answers after 5 s is no failure. What resolv.conf says counts between these; its
/// `attempts` do not, for a name is asked for as long as somebody wants it.
const ATTEMPT_MIN: Duration = Duration::from_secs(6);
const ATTEMPT_MAX: Duration = Duration::from_secs(10);

/// All questions that come of one: who asked first has gone by then.
const WHOLE_MAX: Duration = Duration::from_secs(30);

/// Targets of one SRV name that are followed: 2 questions each, which is as many as may be under way at once.
const SRV_TARGETS_MAX: usize = 32;

#[cfg(test)]
mod tests;
