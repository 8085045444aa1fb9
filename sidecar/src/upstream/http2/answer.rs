//! The body of an endpoint's answer on a stream.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use hyper::body::{Body, Frame, SizeHint};
use hyper::http::response::Parts;
use svc_core::outcome::Failure;
use tokio::task::JoinHandle;

use super::StreamSlot;
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
        head: &Parts,
        of: Rc<StreamSlot>,
        upload: Option<Upload>,
    ) -> StreamAnswer {
        let body = (!stream.is_end_stream()).then(|| {
            let body = Rc::new(RefCell::new(RecvBody::new(stream, &head.headers)));
            of.shared.answers.borrow_mut().enter(&body);
            body
        });
        StreamAnswer { body, upload, stream: of }
    }

    /// The next part; nothing when it has ended.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        match &self.body {
            None => Poll::Ready(None),
            Some(body) => Pin::new(&mut *body.borrow_mut()).poll_frame(cx),
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
