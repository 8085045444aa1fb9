//! Active checks: asks the endpoints of the Services that want it whether they live (S-23), on the control thread.
//!
//! What comes of it is a flag beside what their requests tell. Endpoints that are not among those in use are not asked, nor is any listener
//! of our own: a check would go round in a circle.

mod ask;

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use svc_core::address::{ServiceName, Transport};
use svc_core::balance::Member;
use svc_core::capture::Privileges;
use svc_core::endpoints::EndpointId;
use svc_core::port::port_key;
use svc_core::rewrite::RewriteRules;
use svc_core::service::HealthCheck;
use svc_core::stats::{Checkup, EndpointStats};
use svc_core::table::{Table, Target};
use svc_proto::proxy_header::Version;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::clock::{self, Instant, sleep_until, timeout};
use crate::net::tls_client::TlsHandshake;
use crate::ports::shared_port::SharedPort;
use crate::shared::Shared;

/// Checks what the snapshot in force asks for, and follows it.
pub(crate) async fn run(
    table: Arc<ArcSwap<Table>>,
    mut published: watch::Receiver<u64>,
    shared: Arc<Shared>,
    privileges: Privileges,
) {
    let mut checks = Checks::new(shared, privileges);
    loop {
        published.mark_unchanged();
        checks.follow(&table.load_full());
        if published.changed().await.is_err() {
            return; // discovery has ended
        }
    }
}

/// Those under way.
struct Checks {
    shared: Arc<Shared>,
    privileges: Privileges,
    seats: Arc<Semaphore>,
    running: HashMap<EndpointId, RunningChecks>,
    /// There were more than are checked, which has been said.
    is_crowded: bool,
}

/// The checks of one endpoint; dropped, they end.
struct RunningChecks {
    check: HealthCheck,
    header: Option<Version>,
    rewrite: Option<Arc<RewriteRules>>,
    task: JoinHandle<()>,
}

impl Drop for RunningChecks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sockets that check at the same time. 256 × ~24 KiB (hyper's buffers) = 6 MiB; they are enough for 50 checks a second that all take the
/// default 5 s to fail, and for 50,000 that take 5 ms.
const AT_ONCE_MAX: usize = 256;

/// Endpoints that are checked. 4096 × ~2 KiB (a task between two checks) = 8 MiB.
const ENDPOINTS_MAX: usize = 4096;

impl Checks {
    fn new(shared: Arc<Shared>, privileges: Privileges) -> Checks {
        let seats = Arc::new(Semaphore::new(AT_ONCE_MAX));
        Checks { shared, privileges, seats, running: HashMap::new(), is_crowded: false }
    }

    fn follow(&mut self, table: &Table) {
        let wanted = self.wanted(table);
        self.running.retain(|id, running| {
            let asked = wanted.get(id).map(|it| (&it.check, it.header, &it.rewrite));
            asked == Some((&running.check, running.header, &running.rewrite))
        });
        self.warn(wanted.len());
        for (id, subject) in wanted {
            let is_full = self.running.len() == ENDPOINTS_MAX;
            if let Entry::Vacant(vacant) = self.running.entry(id)
                && !is_full
            {
                let (check, header, rewrite) =
                    (subject.check.clone(), subject.header, subject.rewrite.clone());
                vacant.insert(RunningChecks {
                    check,
                    header,
                    rewrite,
                    task: tokio::spawn(subject.watch(self.seats.clone())),
                });
            }
        }
    }

    fn warn(&mut self, endpoints: usize) {
        let is_crowded = endpoints > ENDPOINTS_MAX;
        if is_crowded && !self.is_crowded {
            tracing::warn!(endpoints, checked = ENDPOINTS_MAX, "too many endpoints want health checks");
        }
        self.is_crowded = is_crowded;
    }

    /// Each endpoint that its Service wants checked.
    fn wanted(&self, table: &Table) -> HashMap<EndpointId, CheckedEndpoint> {
        let mut wanted = HashMap::new();
        for entry in table.entries() {
            let Some(check) = &entry.service.handling.health_check else { continue };
            for target in entry.targets.iter().filter(|target| target.port.transport == Transport::Tcp) {
                let subjects = self.subjects(target, check).into_iter();
                wanted.extend(
                    subjects.filter(|(_, subject)| !self.shared.is_own(Transport::Tcp, subject.addr, table)),
                );
            }
        }
        wanted
    }

    fn subjects(&self, target: &Arc<Target>, check: &HealthCheck) -> Vec<(EndpointId, CheckedEndpoint)> {
        let port = self.shared.port(&port_key(target));
        let members = port.members(target, clock::now());
        let subject = |member: &Member| {
            let mut addr = member.addr.0;
            addr.set_port(check.port.unwrap_or(addr.port()));
            let subject = CheckedEndpoint {
                service: target.service.name.clone(),
                endpoint: member.addr.0,
                addr,
                check: check.clone(),
                header: target.service.handling.proxy_protocol.filter(|_| check.port.is_none()),
                rewrite: target.rewrite.clone().filter(|_| check.port.is_none()),
                shared: self.shared.clone(),
                stats: member.stats.clone(),
                port: port.clone(),
                privileges: self.privileges,
            };
            (member.id, subject)
        };
        members.iter().map(subject).collect()
    }
}

/// One endpoint to check.
struct CheckedEndpoint {
    service: ServiceName,
    endpoint: SocketAddr,
    /// Where it is asked.
    addr: SocketAddr,
    check: HealthCheck,
    /// What the check begins with, at a port that wants to be told whom connections are for; another one has its own ways.
    header: Option<Version>,
    /// How it is spoken to, at the port that gets the traffic.
    rewrite: Option<Arc<RewriteRules>>,
    shared: Arc<Shared>,
    stats: Arc<EndpointStats>,
    port: Arc<SharedPort>,
    privileges: Privileges,
}

/// What the checks of an endpoint tell the data path holds until they end.
struct Mark<'a>(&'a CheckedEndpoint);

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.0.stats.passes_check(&self.0.port.stats);
    }
}

impl CheckedEndpoint {
    /// Asks again and again.
    async fn watch(self, seats: Arc<Semaphore>) {
        let _mark = Mark(&self);
        let chance = RandomState::new();
        // A sidecar's checks, and those of all sidecars, spread over the interval.
        sleep_until(Instant::now() + part_of(self.check.interval, chance.hash_one(0))).await;
        let mut checkup = Checkup::default();
        for round in 1_u64.. {
            let begun = Instant::now();
            let outcome = self.ask(&seats).await;
            if let Some(is_healthy) = checkup.note(outcome.is_ok(), &self.check) {
                self.changes(is_healthy, outcome.err());
            }
            let earlier = part_of(self.check.interval / JITTER_PART, chance.hash_one(round));
            sleep_until(begun + self.check.interval - earlier).await;
        }
    }

    async fn ask(&self, seats: &Semaphore) -> Result<(), ask::CheckError> {
        let _seat = seats.acquire().await.expect("nobody closes it");
        let question = ask::CheckRequest {
            addr: self.addr,
            version: self.header,
            probe: &self.check.probe,
            privileges: self.privileges,
            speech: self.speech(),
        };
        let asked = timeout(self.check.timeout, ask::ask(&question)).await;
        asked.unwrap_or(Err(ask::CheckError::Late))
    }

    fn speech(&self) -> ask::CheckProtocol<'_> {
        let rewrite = self.rewrite.as_deref();
        let by = rewrite.and_then(|rewrite| rewrite.tls.as_ref());
        ask::CheckProtocol {
            authority: rewrite.and_then(|rewrite| rewrite.authority.as_deref()),
            handshake: by.map(|by| TlsHandshake {
                by,
                sessions: &self.port.sessions,
                trust: &self.shared.trust,
                certificates: &self.shared.certificates,
            }),
        }
    }

    fn changes(&self, is_healthy: bool, ailment: Option<ask::CheckError>) {
        let (service, endpoint) = (&self.service, self.endpoint);
        match ailment {
            Some(ailment) => tracing::info!(%service, %endpoint, %ailment, "endpoint fails its health check"),
            None => tracing::info!(%service, %endpoint, "endpoint passes its health check"),
        }
        match is_healthy {
            true => self.stats.passes_check(&self.port.stats),
            false => self.stats.fails_check(&self.port.stats),
        }
    }
}

/// A check begins up to a tenth of the interval early, so that those of many sidecars do not fall into step.
const JITTER_PART: u32 = 10;

/// Up to all of `whole`, by `draw`.
fn part_of(whole: Duration, draw: u64) -> Duration {
    whole.mul_f64(draw as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use svc_core::inventory::{Inventory, Settings};
    use svc_core::service::Rules;
    use svc_core::table::Source;

    use super::*;
    use crate::control::manifests;

    fn table(inventory: &mut Inventory, manifest: &str) -> Arc<Table> {
        let (changes, rejections) = manifests::read_text("test.yaml", manifest, &Rules::default());
        assert_eq!(rejections, []);
        inventory.apply(Source::Manifests, changes).expect("something has changed")
    }

    /// Where `table` wants endpoints to be asked.
    fn wanted(table: &Table, shared: &Arc<Shared>) -> BTreeSet<String> {
        let checks = Checks::new(shared.clone(), Privileges::None);
        checks.wanted(table).values().map(|subject| subject.addr.to_string()).collect()
    }

    #[test]
    fn who_gets_traffic_is_asked_but_for_ourselves() {
        let (shared, mut inventory) = (Arc::new(Shared::default()), inventory());
        shared.bound.store(Arc::new(vec!["10.1.0.3:8081".parse().unwrap()]));
        let asked = wanted(&table(&mut inventory, MANIFEST), &shared);
        assert_eq!(asked, ["10.1.0.1:8081", "10.1.0.2:8081"].map(str::to_owned).into());
    }

    #[tokio::test]
    async fn checks_end_with_their_endpoints_and_take_back_what_they_said() {
        let (shared, mut inventory) = (Arc::new(Shared::default()), inventory());
        let before = table(&mut inventory, MANIFEST);
        let mut checks = Checks::new(shared.clone(), Privileges::None);
        checks.follow(&before);
        assert_eq!(checks.running.len(), 3);
        tokio::task::yield_now().await; // they begin
        let target = &before.by_host("web.shop").unwrap().targets[0];
        let port = shared.port(&port_key(target));
        let members = port.members(target, clock::now());
        members.iter().for_each(|member| member.stats.fails_check(&port.stats));
        assert_eq!(shared.out().len(), 3);
        checks.follow(&table(&mut inventory, &MANIFEST.replace("- addresses: [10.1.0.2]", "")));
        assert_eq!(checks.running.len(), 2);
        tokio::task::yield_now().await; // those that were dropped end
        let failing: Vec<bool> = members.iter().map(|member| member.stats.is_failing_check()).collect();
        assert_eq!(failing, [true, false, true]);
    }

    fn inventory() -> Inventory {
        Inventory::new(Settings { sources: vec![Source::Manifests], ..Settings::default() })
    }

    /// Of `web` three endpoints are ready and one is not; nobody asks for checks of the other.
    const MANIFEST: &str = "
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval: \"5\"
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-timeout: \"2\"
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-port: \"8081\"
spec: { ports: [{ port: 80, name: http }, { port: 80, name: dns, protocol: UDP }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ port: 8080, name: http }, { port: 53, name: dns, protocol: UDP }]
endpoints:
- addresses: [10.1.0.1]
- addresses: [10.1.0.2]
- addresses: [10.1.0.3]
- addresses: [10.1.0.4]
  conditions: { ready: false }
---
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec: { ports: [{ port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: cart-1, namespace: shop, labels: { kubernetes.io/service-name: cart } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints:
- addresses: [10.1.0.9]
";
}
