//! All name servers: the first that can say anything is believed, in the order of resolv.conf.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::message::DnsAnswer;
use super::question::Question;
use super::server::{Server, Unanswered};
use crate::clock::{Instant, sleep_until};

/// Whom to ask.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    all: Arc<[Arc<Server>]>,
    /// How long an answer is waited for.
    timeout: Duration,
}

impl Servers {
    pub(super) fn new(addrs: &[SocketAddr], tcp_only: bool, timeout: Duration) -> Servers {
        let all = addrs.iter().map(|&addr| Arc::new(Server::new(addr, tcp_only))).collect();
        Servers { all, timeout }
    }

    /// One answer. The next server is asked where one cannot say, and where it takes its time.
    ///
    /// # Errors
    /// None could say.
    pub(super) async fn ask(&self, question: &Question) -> Result<DnsAnswer, Unanswered> {
        let begun = Instant::now();
        let mut waiting = self.order().into_iter();
        let mut asking = ServerQueries { question, tasks: JoinSet::new(), silent: Vec::new() };
        let mut why = Unanswered::Refused; // only where all refuse, there is nobody to say anything
        let mut patience = begun;
        loop {
            tokio::select! {
                biased;
                Some(landed) = asking.tasks.join_next() => match asking.land(landed) {
                    Ok(answer) => {
                        asking.blame(begun);
                        return Ok(answer);
                    }
                    Err(how) => {
                        why = why.max(how);
                        patience = Instant::now();
                        if waiting.len() == 0 && asking.tasks.is_empty() {
                            return Err(why);
                        }
                    }
                },
                () = sleep_until(patience), if waiting.len() > 0 => {
                    asking.begin(waiting.next());
                    patience = Instant::now() + HEDGE;
                }
                () = sleep_until(begun + self.timeout) => {
                    asking.blame(begun);
                    return Err(why.max(Unanswered::Silent));
                }
            }
        }
    }

    /// As resolv.conf has them, but for those that did not answer lately.
    fn order(&self) -> Vec<Arc<Server>> {
        let (last, first): (Vec<_>, Vec<_>) =
            self.all.iter().cloned().partition(|server| server.comes_last());
        first.into_iter().chain(last).collect()
    }
}

/// Servers that are being asked. Dropping it ends that.
struct ServerQueries<'a> {
    question: &'a Question,
    tasks: JoinSet<(usize, Result<DnsAnswer, Unanswered>)>,
    /// Each that has been asked, until it lands.
    silent: Vec<Option<Arc<Server>>>,
}

impl ServerQueries<'_> {
    fn begin(&mut self, server: Option<Arc<Server>>) {
        let Some(server) = server else { return };
        let (index, question) = (self.silent.len(), self.question.clone());
        self.silent.push(Some(server.clone()));
        self.tasks.spawn(async move { (index, server.ask(&question).await) });
    }

    fn land(
        &mut self,
        landed: Result<(usize, Result<DnsAnswer, Unanswered>), tokio::task::JoinError>,
    ) -> Result<DnsAnswer, Unanswered> {
        let (index, answered) = landed.map_err(|_| Unanswered::Unreachable)?;
        if let Some(place) = self.silent.get_mut(index) {
            *place = None;
        }
        answered
    }

    /// Those who have not answered in good time.
    fn blame(&self, begun: Instant) {
        if begun.elapsed() >= HEDGE {
            self.silent.iter().flatten().for_each(|server| server.was_silent());
        }
    }
}

/// How long one server is waited for before another is asked beside it: a thousand times what a cluster's needs, and a fifth of what
/// resolv.conf's default would have a client wait.
const HEDGE: Duration = Duration::from_secs(1);
