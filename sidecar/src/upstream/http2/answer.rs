//! The body of an endpoint's answer on a stream.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream};
use hyper::body::{Body, Frame, SizeHint};
use hyper::http::response::Parts;
use hyper::{Method, StatusCode};
use svc_core::outcome::Failure;
use tokio::task::JoinHandle;

use super::StreamSlot;
use crate::clock;
use crate::http::h2::malformed::rule_broken_by_fields;
use crate::http::h2::recv::RecvBody;
use crate::http::h2::send::BodySender;
use crate::http::request_body::UpstreamBody;
use crate::memory::Holder;

/// What follows the head of an answer. Dropped before its end, it resets the stream (CANCEL).
pub(crate) struct StreamAnswer {
    /// Absent where nothing follows. Shared with who gathers and counts it.
    body: Option<Rc<RefCell<RecvBody>>>,
    upload: Option<Upload>,
    stream: Rc<StreamSlot>,
}

impl StreamAnswer {
    pub(super) fn new(
        stream: RecvStream,
        method: &Method,
        head: &Parts,
        of: Rc<StreamSlot>,
        upload: Option<Upload>,
    ) -> StreamAnswer {
        let body = match stream.is_end_stream() {
            true => None,
            false if has_no_body(method, head.status) => {
                tokio::task::spawn_local(see_off(stream, of.clone()));
                None
            }
            false => {
                let body = Rc::new(RefCell::new(RecvBody::new(stream, &head.headers)));
                of.shared.answers.borrow_mut().enter(&body);
                Some(body)
            }
        };
        StreamAnswer { body, upload, stream: of }
    }

    /// The next part; nothing when it has ended.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        match &self.body {
            None => Poll::Ready(None),
            Some(body) => {
                let polled = Pin::new(&mut *body.borrow_mut()).poll_frame(cx);
                polled.map(|polled| polled.map(|frame| frame.and_then(well_formed)))
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.borrow().is_end_stream())
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), |body| body.borrow().size_hint())
    }

    /// Has what waits here for the client counted as held for it.
    pub(crate) fn count_for(&self, holder: &Holder) {
        self.body.iter().for_each(|body| body.borrow_mut().count_for(holder));
    }

    /// What a failure of this stream means.
    pub(crate) fn explain(&self, looks_like: Failure) -> Failure {
        self.stream.explain(looks_like)
    }
}

impl Drop for StreamAnswer {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            self.upload.iter().for_each(|Upload(sending)| sending.abort());
        }
    }
}

/// Refuses trailers that are malformed where h2 lets them pass.
fn well_formed(frame: Frame<Bytes>) -> Result<Frame<Bytes>, h2::Error> {
    match frame.trailers_ref().and_then(rule_broken_by_fields) {
        Some(_) => Err(Reason::PROTOCOL_ERROR.into()),
        None => Ok(frame),
    }
}

/// Whether an answer is whole with its head, whatever the endpoint says behind it (RFC 9112 §6.3).
fn has_no_body(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Waits for the end of a stream whose answer is whole: its END_STREAM may have a frame of its own. What has anything else to say is
/// told that nobody listens (CANCEL).
async fn see_off(mut answer: RecvStream, stream: Rc<StreamSlot>) {
    let ends = async {
        while let Some(Ok(data)) = answer.data().await {
            if !data.is_empty() {
                return;
            }
        }
        let _trailers = answer.trailers().await;
    };
    let _ended_or_late = clock::timeout(END_COMES_WITHIN, ends).await;
    drop(stream);
}

/// An end that is not sent with its head follows at once; a slow way to the endpoint is the reason for more.
const END_COMES_WITHIN: Duration = Duration::from_secs(1);

/// What is sent of a request after the head of its answer has come: both directions of a call go on for themselves, and a client that does
/// not read may still have something to say.
pub(super) struct Upload(JoinHandle<()>);

impl Upload {
    pub(super) fn go_on(sending: Box<BodySender<UpstreamBody>>, stream: Rc<StreamSlot>) -> Upload {
        Upload(tokio::task::spawn_local(async move {
            // Whoever reads the answer finds out what there is to be known of it.
            let _ = sending.await;
            drop(stream);
        }))
    }
}
