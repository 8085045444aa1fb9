//! The source `kubernetes`: joins the register of lookups, core's decisions, and the connection.

use std::collections::VecDeque;
use std::future::pending;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use svc_core::discovery::kubernetes::{Action, Kubernetes, Outcome, Output, Report, Settings, Want};
use svc_core::draws::Draws;
use svc_core::inventory::{Change, Rejection};
use svc_core::outcome::Failure;
use svc_core::service::Rules;
use svc_core::table;
use svc_core::time::Now;

use super::connection::{Connection, Event};
use super::credentials::Credentials;
use crate::clock::{Instant, sleep_until};
use crate::config::{ApiServer, Config};
use crate::control::source::{NextChanges, Source};
use crate::shared::interest::{ApiInterest, LookupOutcome};

/// The API server as a source.
pub(crate) struct KubernetesSource {
    decisions: Kubernetes,
    credentials: Credentials,
    config: Arc<Config>,
    connection: Option<Connection>,
    interest: Arc<ApiInterest>,
    /// Finished lookups: waiting requests are woken once the changes are in force.
    untold: Vec<(Want, Outcome)>,
    /// Lookups without a result, and when they may be asked for again: other sources are asked meanwhile.
    unknown: VecDeque<(Now, Want)>,
    rejections: Vec<Rejection>,
    /// The first answer has been given, for readiness.
    answered: bool,
    wake: Option<Now>,
    /// The origin of this source's time: tokio's clock, which tests can move.
    origin: Instant,
}

impl KubernetesSource {
    /// Of the API server that the configuration names.
    pub(crate) fn new(
        server: ApiServer,
        config: &Arc<Config>,
        rules: Rules,
        interest: &Arc<ApiInterest>,
    ) -> KubernetesSource {
        interest.attend();
        let settings = Settings {
            namespace: config.discovery.namespace.clone(),
            rules,
            wants_place: config.discovery.zone.is_none(),
        };
        let draws = Draws::new(RandomState::new().hash_one(std::process::id()));
        KubernetesSource {
            decisions: Kubernetes::new(settings, draws),
            credentials: Credentials::new(server),
            config: config.clone(),
            connection: None,
            interest: interest.clone(),
            untold: Vec::new(),
            unknown: VecDeque::new(),
            rejections: Vec::new(),
            answered: false,
            wake: None,
            origin: Instant::now(),
        }
    }
}

impl Source for KubernetesSource {
    fn kind(&self) -> table::Source {
        table::Source::Kubernetes
    }

    fn list(&mut self) -> Option<Vec<Change>> {
        None
    }

    fn answers_at_once(&self) -> bool {
        false
    }

    fn next(&mut self) -> NextChanges<'_> {
        Box::pin(self.next_changes())
    }

    fn rejections(&self) -> Vec<Rejection> {
        self.rejections.clone()
    }
}

impl KubernetesSource {
    async fn next_changes(&mut self) -> Vec<Change> {
        loop {
            let now = self.now();
            self.settle(now);
            self.look(now);
            let output = self.decisions.poll(now);
            let is_news = self.is_news(&output);
            let changes = self.act(output);
            if is_news {
                return changes;
            }
            if self.untold.is_empty() {
                self.wait().await;
            }
        }
    }

    /// Wakes the requests whose lookups are finished.
    fn settle(&mut self, now: Now) {
        for (want, outcome) in self.untold.drain(..) {
            match outcome {
                Outcome::Known => self.interest.settle(&want, LookupOutcome::Known),
                Outcome::Unknown => {
                    self.interest.settle(&want, LookupOutcome::Failed(Failure::UnknownDestination));
                    self.unknown.push_back((Now(now.0 + UNKNOWN), want));
                }
            }
        }
        while let Some((_, want)) =
            self.unknown.pop_front_if(|(until, _)| *until <= now).or_else(|| self.crowded_out())
        {
            self.interest.settle(&want, LookupOutcome::Known); // asked for again, it is answered anew
        }
    }

    fn crowded_out(&mut self) -> Option<(Now, Want)> {
        (self.unknown.len() > UNKNOWN_MAX).then(|| self.unknown.pop_front()).flatten()
    }

    /// Takes new lookups, and the Services in use.
    fn look(&mut self, now: Now) {
        let (asked, _) = self.interest.take_asked();
        asked.into_iter().for_each(|(want, _)| self.decisions.want(want, now));
        self.interest.take_used().iter().for_each(|service| self.decisions.used(service, now));
    }

    /// Whether there are changes, or the first answer, which readiness waits for.
    fn is_news(&mut self, output: &Output) -> bool {
        let first = !self.answered && self.decisions.is_synced();
        self.answered |= first;
        first || output.rejections_changed || !output.changes.is_empty()
    }

    fn act(&mut self, output: Output) -> Vec<Change> {
        output.reports.iter().for_each(tell);
        for action in output.actions {
            match action {
                Action::Connect => {
                    self.connection = Some(Connection::open(&self.credentials, self.config.privileges));
                }
                Action::Disconnect => self.connection = None,
                Action::Send { id, path, accept } => {
                    if let Some(connection) = &mut self.connection {
                        connection.send(id, &path, accept);
                    }
                }
                Action::Cancel(id) => {
                    if let Some(connection) = &mut self.connection {
                        connection.cancel(id);
                    }
                }
            }
        }
        self.untold.extend(output.settled);
        if output.rejections_changed {
            self.rejections = self.decisions.rejections();
        }
        let expiry = self.unknown.front().map(|(until, _)| *until);
        self.wake = output.wake.into_iter().chain(expiry).min();
        output.changes
    }

    async fn wait(&mut self) {
        let wake = self.wake.map(|at| self.origin + at.0);
        let event = tokio::select! {
            () = self.interest.asked() => return,
            event = next_of(self.connection.as_mut()) => event,
            () = sleep_until(wake.unwrap_or(self.origin)), if wake.is_some() => return,
        };
        let now = self.now();
        match event {
            Event::Connected(_, local) => self.decisions.connected(local, now),
            Event::Lost(reason) => {
                self.connection = None;
                self.decisions.disconnected(&reason, now);
            }
            Event::Head(id, status, retry_after) => self.decisions.head(id, status, retry_after, now),
            Event::Data(id, bytes) => self.decisions.data(id, &bytes, now),
            Event::End(id, end) => self.decisions.end(id, end, now),
        }
    }

    fn now(&self) -> Now {
        Now(self.origin.elapsed())
    }
}

async fn next_of(connection: Option<&mut Connection>) -> Event {
    match connection {
        Some(connection) => connection.next().await,
        None => pending().await,
    }
}

fn tell(report: &Report) {
    match report.is_warning() {
        true => tracing::warn!("{report}"),
        false => tracing::info!("{report}"),
    }
}

/// The time for which what the API server does not tell of is left to other sources.
const UNKNOWN: Duration = Duration::from_secs(5);

/// 1,024 × 56 B. Beyond it the oldest may be asked for again.
const UNKNOWN_MAX: usize = 1024;
