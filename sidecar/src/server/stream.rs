//! One stream of a client: its request, carried to an endpoint, and the answer back.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use hyper::body::Body;
use hyper::header::CONTENT_LENGTH;
use hyper::http::response::Parts;
use hyper::{Request, Response};
use svc_core::outcome::Failure;

use crate::client::flood::StreamCounts;
use crate::context::WorkerContext;
use crate::exchange::account::Account;
use crate::exchange::body::ResponseBody;
use crate::exchange::forward::exchange;
use crate::http::client_body::ClientBody;
use crate::http::h2::backlog::{Backlog, QueuedPiece};
use crate::http::h2::intake::Intake;
use crate::http::h2::malformed;
use crate::http::h2::recv::RecvBody;
use crate::http::h2::send::{BodySendError, BodySender};
use crate::http::h2::traffic::RefusedByH2;
use crate::http::interim::Respond;
use crate::metrics::Protocol;
use crate::metrics::floods::Flood;
use crate::routing::resolve::ClientOrigin;

/// The body of a request.
pub(super) type Received = Rc<RefCell<RecvBody>>;

/// A client, as its streams know it.
pub(super) struct StreamClient {
    pub(super) origin: Rc<ClientOrigin>,
    pub(super) context: Rc<WorkerContext>,
    /// What is queued for it.
    pub(super) backlog: Rc<Backlog>,
    /// What of its requests waits to be taken.
    pub(super) intake: Intake,
    /// How long it may take nothing of an answer; zero is for ever.
    pub(super) patience: Duration,
}

impl StreamClient {
    /// A request whose body is known to the intake before more of it comes.
    pub(super) fn receive(&self, request: Request<RecvStream>) -> Request<Option<Received>> {
        let (head, stream) = request.into_parts();
        let body = (!stream.is_end_stream()).then(|| self.intake.enter(RecvBody::new(stream, &head.headers)));
        Request::from_parts(head, body)
    }

    /// Records a request whose head h2 has refused.
    pub(super) fn record_refusal(&self, refused: RefusedByH2) {
        let (failure, rule) = match refused {
            RefusedByH2::Malformed => (Failure::BadRequest, "framing of HTTP/2"),
            RefusedByH2::TooLarge => (Failure::HeadTooLarge, "length of the head"),
        };
        Flood::behind(failure).into_iter().for_each(|flood| self.context.recorder.metrics.flooded(flood));
        self.refuse(failure, rule).fail(failure);
    }

    /// An account of a request that is none.
    fn refuse(&self, failure: Failure, rule: &'static str) -> Account {
        tracing::debug!(client = %self.origin.arrival.client.0, rule, %failure, "a request is refused");
        Account::open(&self.context, self.origin.arrival, Protocol::Http2)
    }
}

/// Serves one stream to its end. Dropped by nobody: what ends it sooner is its client, or the end of the connection.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would hold the request twice, a block holds it once"
)]
pub(super) fn serve_stream(
    request: Request<Option<Received>>,
    mut respond: SendResponse<QueuedPiece>,
    client: Rc<StreamClient>,
) -> impl Future<Output = ()> {
    async move {
        if let Some(rule) = malformed::rule_broken_by(&request) {
            respond.send_reset(Reason::PROTOCOL_ERROR);
            return client.refuse(Failure::BadRequest, rule).fail(Failure::BadRequest);
        }
        let respond = Respond::new(respond);
        let Some(response) = ask(request, &respond, &client).await else { return };
        let (head, mut body) = response.into_parts();
        let tunnel = body.take_tunnel();
        let ends = tunnel.is_none() && body.is_end_stream();
        let head = ready_to_send(head, &body);
        let Some(stream) = begin_answer(&respond, head, ends) else { return };
        drop(respond);
        match tunnel {
            Some(tunnel) => tunnel.carry(stream, &client.backlog, &client.context).await,
            None if ends => {}
            None => {
                let mut sending = BodySender::new(body, stream, &client.backlog, client.patience);
                if let Err(BodySendError::Stalled) = Pin::new(&mut sending).await {
                    sending.body_mut().fail(Failure::IdleTimeout);
                }
            }
        }
    }
}

/// Queues the head of an answer; nothing when that cannot be.
fn begin_answer(respond: &Respond, head: Response<()>, ends: bool) -> Option<SendStream<QueuedPiece>> {
    let mut respond = respond.stream();
    let sent = respond.send_response(head, ends);
    sent.inspect_err(|error| {
        tracing::debug!(%error, "an answer cannot be sent");
        respond.send_reset(Reason::INTERNAL_ERROR);
    })
    .ok()
}

/// The answer to a request; nothing when its client does not want it any more.
fn ask(
    request: Request<Option<Received>>,
    respond: &Rc<Respond>,
    client: &StreamClient,
) -> impl Future<Output = Option<Response<ResponseBody>>> {
    let request = request.map(|body| ClientBody::of_stream(body, respond.clone()));
    // Boxed: it is let go of when its answer is there, and a stream may last.
    let mut exchange =
        Box::pin(exchange(request, client.origin.clone(), client.context.clone(), |body, _| body));
    let mut begun = client.origin.streams.as_ref().map(StreamCounts::begin);
    poll_fn(move |cx| match exchange.as_mut().poll(cx) {
        Poll::Ready(answered) => {
            begun.iter_mut().for_each(|stream| stream.answered());
            let Ok(response) = answered;
            Poll::Ready(Some(response))
        }
        Poll::Pending => respond.stream().poll_reset(cx).map(|_| None),
    })
}

/// What hyper would see to: that a body of our own has a length.
fn ready_to_send(head: Parts, body: &ResponseBody) -> Response<()> {
    let mut head = Response::from_parts(head, ());
    if let Some(bytes) = body.local_bytes() {
        head.headers_mut().insert(CONTENT_LENGTH, bytes.into());
    }
    head
}
