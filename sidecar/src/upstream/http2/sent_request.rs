//! A request on its way: its body goes while its answer is waited for.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::RecvStream;
use h2::client::ResponseFuture;
use hyper::body::Body;
use hyper::header::CONTENT_LENGTH;
use hyper::http::response::Parts;
use hyper::{HeaderMap, Method, Request, StatusCode};
use svc_core::outcome::Failure;

use super::answer::Upload;
use super::{Slot, StreamAnswer, StreamSlot};
use crate::http::h2::malformed::rule_broken_by_fields;
use crate::http::h2::send::{BodySendError, BodySender};
use crate::http::interim::Interim;
use crate::http::limits::exceeded_by;
use crate::http::request_body::UpstreamBody;

/// A request that has begun to go.
pub(crate) struct SentRequest {
    response: ResponseFuture,
    /// What is not sent of its body.
    upload: Option<Box<BodySender<UpstreamBody>>>,
    stream: Rc<StreamSlot>,
}

/// How long an endpoint may take nothing of a body: for ever. What bounds it is the time that it has to answer, and the client's patience.
const PATIENCE: Duration = Duration::ZERO;

impl Slot {
    /// Begins to send a request. `None`: the connection takes no stream any more, and nothing was sent.
    ///
    /// # Errors
    /// The request cannot be sent over HTTP/2.
    pub(crate) fn ask(mut self, request: Request<UpstreamBody>) -> Result<Option<SentRequest>, Failure> {
        let (head, body) = request.into_parts();
        let is_whole = body.is_end_stream();
        match self.sender.send_request(Request::from_parts(head, ()), is_whole) {
            Ok((response, sending)) => {
                let backlog = &self.stream.shared.backlog;
                let holder = body.holder().cloned();
                let sending = || BodySender::new(body, sending, backlog, PATIENCE).held_for(holder.as_ref());
                let upload = (!is_whole).then(|| Box::new(sending()));
                Ok(Some(SentRequest { response, upload, stream: self.stream }))
            }
            // A mistake in the head, as h2 sees it: the connection took streams a moment ago.
            Err(error) if error.reason().is_none() && !error.is_io() => Err(Failure::BadRequest),
            Err(_) => Ok(None),
        }
    }
}

impl SentRequest {
    /// Ready with the head of the answer.
    pub(crate) fn poll_head(
        &mut self,
        interim: Option<&Interim>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Parts, RecvStream), Failure>> {
        self.send_more(cx)?;
        while let Some(proxy_header) = ready!(self.response.poll_informational(cx)) {
            let head = proxy_header.map_err(|error| self.stream.explain_unanswered(&error))?;
            let head = head.into_parts().0;
            // HTTP/2 has no answer of 101 (RFC 9113 §8.6).
            if head.status == StatusCode::SWITCHING_PROTOCOLS
                || rule_broken_by_fields(&head.headers).is_some()
            {
                return Poll::Ready(Err(Failure::BadResponse));
            }
            self.hears(&head, interim);
        }
        let response = ready!(Pin::new(&mut self.response).poll(cx));
        Poll::Ready(match response {
            Ok(response) => {
                let (mut head, stream) = response.into_parts();
                settle(&mut head.headers).map(|()| (head, stream))
            }
            Err(error) => Err(self.stream.explain_unanswered(&error)),
        })
    }

    /// Sends what can be sent. Whether an endpoint that takes no more has answered, its stream will tell.
    fn send_more(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        match Pin::new(&mut **upload).poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(BodySendError::Body(_))) => Err(Failure::ClientGone),
            Poll::Ready(
                Ok(()) | Err(BodySendError::Reset | BodySendError::Lost | BodySendError::Stalled),
            ) => {
                self.upload = None;
                Ok(())
            }
        }
    }

    fn hears(&mut self, head: &Parts, interim: Option<&Interim>) {
        match (head.status, &mut self.upload, interim) {
            (StatusCode::CONTINUE, Some(upload), _) => upload.body_mut().invite(),
            (StatusCode::CONTINUE, None, _) | (_, _, None) => {}
            (_, _, Some(interim)) => interim.tell(head),
        }
    }

    /// The answer to a request of `method` whose head has come. What is not sent of the request goes while it comes, and after it.
    pub(crate) fn answer(self, method: &Method, head: &Parts, stream: RecvStream) -> StreamAnswer {
        let upload = self.upload.map(|upload| Upload::go_on(upload, self.stream.clone()));
        StreamAnswer::new(stream, method, head, self.stream, upload)
    }
}

/// Holds a head to the limits of all heads and to the rules that h2 does not look at, and says its length once: h2 has refused those that
/// differ (RFC 9110 §8.6).
fn settle(headers: &mut HeaderMap) -> Result<(), Failure> {
    if exceeded_by(headers, 0) {
        return Err(Failure::ResponseTooLarge);
    }
    if rule_broken_by_fields(headers).is_some() {
        return Err(Failure::BadResponse);
    }
    if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some()
        && let Some(length) = headers.get(CONTENT_LENGTH).cloned()
    {
        headers.insert(CONTENT_LENGTH, length);
    }
    Ok(())
}
