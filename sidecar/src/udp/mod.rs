//! Datagrams (S-29): a worker's flows, from the address that clients send to, to endpoints, and back.
//!
//! Each flow has a socket that is connected to its endpoint, so that the kernel passes on nobody else's answers, and tells when nobody
//! is there. All of them are looked at through one epoll of their own: a task for each would be woken for each answer, where this
//! takes the answers of 32 flows with one wake-up, and sends them with one call.

mod batch;
mod flow;
mod listener;
mod reply_sockets;
mod socket;

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::process::{Resource, getrlimit};
use svc_core::address::{ClientAddr, OriginalDst};
use svc_core::discovery::kubernetes::Want;
use svc_core::flows::{FlowId, FlowKey, Flows};
use svc_core::outcome::Failure;
use svc_core::time::Now;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::{spawn_local, yield_now};

use crate::clock;
use crate::context::WorkerContext;
use crate::metrics::{DatagramLoss, Towards};
use crate::routing::route::Route;

use batch::{Batch, DATAGRAMS_MAX};
use flow::{FlowContext, Trouble, UdpFlow};
use listener::Listener;
use reply_sockets::Mouths;

pub(crate) use socket::{listen, listen_captured, probe};

/// A worker's side of it all.
pub(crate) struct Relay {
    context: Rc<WorkerContext>,
    /// The sockets of the flows; the word that comes with an event is a [`FlowId`]'s.
    epoll: AsyncFd<OwnedFd>,
    state: RefCell<RelayTables>,
}

/// Borrowed while something is done, and never while something is waited for.
struct RelayTables {
    flows: Flows<UdpFlow>,
    batch: Batch,
    /// Whom the datagrams of the batch are for, where they are answers.
    answers: Vec<(SocketAddr, Rc<UdpSocket>)>,
    mouths: Mouths,
    events: Vec<Event>,
}

/// Flows of all workers together. Each is a descriptor, and a port out of the 28,232 (`net.ipv4.ip_local_port_range`) that the pod's own clients
/// draw from as well; with 3 KiB in the kernel and 1 KiB here, 8192 are 32 MiB of the 256 MiB that the injector requests. With 60 s each, that
/// is 136 new clients a second for good; beyond it the idlest make room.
const FLOWS_MAX: usize = 8192;

/// Where there are few descriptors, the others are for connections, and for whoever wants to see what is going on.
fn flows_max() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    FLOWS_MAX.min((descriptors / 4) as usize)
}

impl Relay {
    /// Starts to carry answers. `seed` must be one that clients do not know.
    pub(crate) fn start(context: &Rc<WorkerContext>, seed: u64) -> io::Result<Rc<Relay>> {
        let flows_max = flows_max() / context.config.limits.workers.max(1); // the kernel spreads clients evenly over them
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let relay = Rc::new(Relay {
            context: context.clone(),
            epoll: watch(epoll)?,
            state: RefCell::new(RelayTables {
                flows: Flows::new(flows_max, seed),
                batch: Batch::new(),
                answers: Vec::with_capacity(DATAGRAMS_MAX),
                mouths: Mouths::default(),
                events: Vec::with_capacity(DATAGRAMS_MAX),
            }),
        });
        spawn_local(relay.clone().carry_answers());
        Ok(relay)
    }

    /// Carries what clients send to the loopback VIP `vip` by `socket`. When it is dropped, its flows end.
    pub(crate) fn serve(
        self: Rc<Relay>,
        socket: UdpSocket,
        vip: SocketAddr,
    ) -> io::Result<impl Future<Output = ()>> {
        Ok(self.serve_listener(Listener::at_vip(socket, vip)?))
    }

    /// Carries what was captured on its way to anywhere.
    pub(crate) fn serve_captured(self: Rc<Relay>, socket: UdpSocket) -> io::Result<impl Future<Output = ()>> {
        Ok(self.serve_listener(Listener::of_captured(socket)?))
    }

    async fn serve_listener(self: Rc<Relay>, listener: Rc<Listener>) {
        let serving = ServedListener { relay: self, listener };
        let ServedListener { relay, listener } = &serving;
        loop {
            let receive = || relay.receive(listener);
            if let Err(error) = listener.socket.async_io(Interest::READABLE, receive).await {
                tracing::warn!(%error, "cannot receive datagrams");
                crate::clock::sleep(RECEIVE_PAUSE).await;
            }
            yield_now().await; // there may be more, but others wait as well
        }
    }

    /// Takes what has come, and sends it on. `WouldBlock` once that was all: the wait for more need not ask the kernel again.
    fn receive(&self, listener: &Rc<Listener>) -> io::Result<()> {
        let state = &mut *self.state.borrow_mut();
        let count = listener.receive(&mut state.batch)?;
        self.context.recorder.metrics.datagrams.received(Towards::Upstream, count);
        self.carry(0..count, listener, state);
        if count == DATAGRAMS_MAX { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    /// Sends datagrams on, those of one flow that follow each other together.
    fn carry(&self, mut places: Range<usize>, listener: &Rc<Listener>, state: &mut RelayTables) {
        let now = clock::now();
        while places.start < places.end {
            let key = |place| FlowKey {
                client: ClientAddr(state.batch.sender(place)),
                destination: OriginalDst(listener.destination(&state.batch, place)),
            };
            let flow = key(places.start);
            let others = places.clone().find(|place| key(*place) != flow);
            let mut run = places.start..others.unwrap_or(places.end);
            places.start = run.end;
            if let Err(failure) = self.carry_run(&mut run, flow, listener, state, now) {
                self.context.recorder.metrics.datagrams.dropped(
                    Towards::Upstream,
                    DatagramLoss::by(failure),
                    run.len(),
                );
            }
        }
    }

    fn carry_run(
        &self,
        run: &mut Range<usize>,
        key: FlowKey,
        listener: &Rc<Listener>,
        state: &mut RelayTables,
        now: Now,
    ) -> Result<(), Failure> {
        let route = listener
            .route(key.destination.0, &self.context)
            .inspect_err(|&why| self.context.recorder.metrics.failed(&Arc::default(), why))?;
        let id = match state.flows.find(&key) {
            Some(id) => id,
            None => {
                let begun = self.begin(key, listener, route.as_deref(), state, now);
                let service = || route.as_ref().map(|route| route.port.label.clone()).unwrap_or_default();
                begun.inspect_err(|&failure| self.context.recorder.metrics.failed(&service(), failure))?
            }
        };
        let RelayTables { flows, batch, .. } = state;
        flows.moved(id, now);
        let Some(flow) = flows.get_mut(id) else { return Ok(()) };
        let place = FlowContext { context: &self.context, epoll: self.epoll.as_fd() };
        let carried = flow.carry(run, batch, route.as_deref(), place, now);
        if let Err(failure) = carried
            && let Some(flow) = flows.remove(id)
        {
            if flow.is_short {
                flows.give_way(now).into_iter().for_each(gave_way); // for who comes next
            }
            flow.end(Some(failure));
        }
        carried
    }

    /// Begins a flow. Where that cannot be there is no record, or a flood of datagrams to nobody would be one of lines in the log.
    fn begin(
        &self,
        key: FlowKey,
        listener: &Rc<Listener>,
        route: Option<&Route>,
        state: &mut RelayTables,
        now: Now,
    ) -> Result<FlowId, Failure> {
        if let Some(route) = route.filter(|route| route.members.is_empty()) {
            if let Some(service) = route.target.pending() {
                let client = key.client.0.ip().to_canonical();
                let _the_next_datagram_finds_them =
                    self.context.shared.api_wanted.ask(Want::Service(service.clone()), client);
            }
            return Err(Failure::NoEndpoints);
        }
        let RelayTables { flows, mouths, .. } = state;
        let gone = flows.make_room(now).map_err(|_full| Failure::TooManyConnections)?;
        gone.into_iter().for_each(gave_way);
        let answers = match listener.answers() {
            Some(answers) => answers.clone(),
            None => mouths.of(key.destination.0)?,
        };
        Ok(flows.insert(key, now, |id| UdpFlow::new(id, key, listener, answers, &self.context, now)))
    }

    async fn carry_answers(self: Rc<Relay>) {
        loop {
            let Ok(mut ready) = self.epoll.readable().await else { return }; // only where the runtime has ended
            match self.answer() {
                Ok(0) => ready.clear_ready(),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot wait for answers");
                    crate::clock::sleep(RECEIVE_PAUSE).await;
                }
            }
            drop(ready);
            yield_now().await;
        }
    }

    /// Takes what some endpoints have answered, and sends it to their clients. How many endpoints had something to say.
    fn answer(&self) -> io::Result<usize> {
        let RelayTables { flows, batch, answers, events, .. } = &mut *self.state.borrow_mut();
        events.clear();
        events.resize(DATAGRAMS_MAX, NOTHING);
        let count = epoll::wait(&self.epoll, &mut events[..], Some(&AT_ONCE))?;
        answers.clear();
        let now = clock::now();
        for event in &events[..count] {
            let id = FlowId::from_word(event.data.u64());
            let Some(flow) = flows.get_mut(id) else { continue };
            let first = answers.len();
            let places = first..DATAGRAMS_MAX.min(first + ANSWERS_MAX);
            if places.is_empty() {
                break; // the kernel tells again of those that had no turn, before it tells of these
            }
            let heard = flow.answers(places, batch, now);
            answers.extend((0..heard).map(|_| (flow.client, flow.answers.clone())));
            if heard > 0 {
                flows.moved(id, now);
            }
        }
        self.send_answers(answers, batch);
        answers.clear(); // sockets whose flows are over need not be kept
        Ok(count)
    }

    /// Sends the datagrams of the batch back, those that go by the same socket together.
    fn send_answers(&self, answers: &[(SocketAddr, Rc<UdpSocket>)], batch: &mut Batch) {
        let datagrams = &self.context.recorder.metrics.datagrams;
        datagrams.received(Towards::Client, answers.len());
        let mut first = 0;
        while let Some((_, socket)) = answers.get(first) {
            let same = answers[first..].iter().take_while(|(_, other)| Rc::ptr_eq(socket, other)).count();
            let places = first..first + same;
            match batch.send(places, b"", |place| Some(answers[place].0), socket) {
                Ok(count) => {
                    datagrams.forwarded(Towards::Client, count);
                    first += count;
                }
                Err(error) => {
                    let (lost, count) = match Trouble::of(&error) {
                        Trouble::Lost(lost, count) => (lost, count.min(same)),
                        Trouble::Failed(failure) => (DatagramLoss::by(failure), 1),
                    };
                    datagrams.dropped(Towards::Client, lost, count);
                    first += count;
                }
            }
        }
    }

    /// Ends the flows that have been idle for too long.
    pub(crate) fn expire(&self, now: Now) {
        let state = &mut *self.state.borrow_mut();
        state.flows.expire(now, UdpFlow::idle, |flow| flow.end(None));
        state.mouths.forget_unused();
    }

    /// Ends all flows: that the process ends breaks no promise, for each datagram was carried.
    pub(crate) fn end(&self) {
        self.state.borrow_mut().flows.end_where(|_| true, |flow| flow.end(None));
    }
}

#[expect(
    deprecated,
    reason = "it trusts a type to keep its descriptor, which an OwnedFd does; what replaces it is unsafe"
)]
fn watch(epoll: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(epoll, Interest::READABLE)
}

/// A client that still counts on its flow finds out what became of it.
fn gave_way(flow: UdpFlow) {
    flow.end(Some(Failure::TooManyConnections));
}

/// A listener that is served.
struct ServedListener {
    relay: Rc<Relay>,
    listener: Rc<Listener>,
}

impl Drop for ServedListener {
    fn drop(&mut self) {
        let own = |flow: &UdpFlow| Rc::ptr_eq(&flow.listener, &self.listener);
        self.relay.state.borrow_mut().flows.end_where(own, |flow| flow.end(None));
    }
}

/// What one flow may bring to a batch of answers, so that one endpoint that streams leaves room for others.
const ANSWERS_MAX: usize = 8;

const RECEIVE_PAUSE: Duration = Duration::from_millis(50);

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

const NOTHING: Event = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
