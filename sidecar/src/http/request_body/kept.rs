//! What was taken of a request's body, for the next attempt.

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::Frame;
use hyper::header::HeaderValue;

use crate::memory::{Held, Holder};

/// The beginning of a body, copied into one buffer: a piece of a byte would keep the whole buffer that it was read into.
pub(super) struct Kept {
    data: Vec<u8>,
    trailers: Option<Box<HeaderMap>>,
    /// All that was taken is here.
    whole: bool,
    /// There is no more to take.
    ended: bool,
    held: Held,
}

/// A body that is larger is not sent again once some of it went (Linkerd's limit too). This much is allocated for a request at most, whatever
/// its pieces are. 10_000 connections × 64 KiB = 640 MiB if all of them upload that much and no endpoint has begun to answer: `--memory-max`
/// is the tighter bound. From then on nothing is kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// What is sent again at once: a copy, so that an endpoint that does not read costs little more than what is kept.
const AGAIN_BYTES_MAX: usize = 16 * 1024;

/// What a field takes in a `HeaderMap` beside its name and value: a bucket of 104 bytes, and an index entry of 4 at a load of 3/4 and up to twice the room.
const FIELD_BYTES: usize = 256;

impl Kept {
    pub(super) fn nothing(holder: &Holder) -> Kept {
        Kept { data: Vec::new(), trailers: None, whole: true, ended: false, held: holder.hold(0) }
    }

    /// Nothing has been taken, not even the end.
    pub(super) fn is_untouched(&self) -> bool {
        self.whole && !self.ended && self.data.is_empty() && self.trailers.is_none()
    }

    /// Everything that has been taken is here.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// There is no more to take.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Keeps what has just been taken, if there is room.
    pub(super) fn push(&mut self, frame: &Frame<Bytes>) {
        if !self.whole {
            return;
        }
        if let Some(data) = frame.data_ref() {
            self.extend(data);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(Box::new(copied(trailers)));
        }
        if self.allocated() > KEPT_BYTES_MAX {
            self.clear();
            self.whole = false;
        }
        self.held.resize(self.allocated());
    }

    /// Nothing more is kept. What is here goes when the attempt at work has sent it.
    pub(super) fn let_go(&mut self) {
        self.whole = false;
    }

    /// What follows for an attempt that has `sent_bytes` of the data, and perhaps the trailers. Nothing: it has all that is here.
    pub(super) fn next(&mut self, sent_bytes: usize, has_trailers: bool) -> Option<Frame<Bytes>> {
        let rest = self.data.get(sent_bytes..).unwrap_or_default();
        if !rest.is_empty() {
            return Some(Frame::data(Bytes::copy_from_slice(&rest[..rest.len().min(AGAIN_BYTES_MAX)])));
        }
        if !self.whole && self.allocated() > 0 && (has_trailers || self.trailers.is_none()) {
            self.clear();
            self.held.resize(0);
        }
        let trailers = self.trailers.as_ref().filter(|_| !has_trailers)?;
        Some(Frame::trailers((**trailers).clone()))
    }

    /// How much of the data an attempt has still to send that has sent so much.
    pub(super) fn left(&self, sent_bytes: usize) -> u64 {
        self.data.len().saturating_sub(sent_bytes) as u64
    }

    /// Whether an attempt that has sent so much has all that is here.
    pub(super) fn is_sent(&self, sent_bytes: usize, has_trailers: bool) -> bool {
        self.left(sent_bytes) == 0 && (has_trailers || self.trailers.is_none())
    }

    /// Grows by doubling, as a `Vec` does, but never beyond the bound: what does not fit is not kept.
    fn extend(&mut self, data: &Bytes) {
        let needed = self.data.len() + data.len();
        if needed > KEPT_BYTES_MAX {
            self.clear();
            self.whole = false;
            return;
        }
        if needed > self.data.capacity() {
            let capacity = needed.max(2 * self.data.capacity()).min(KEPT_BYTES_MAX);
            self.data.reserve_exact(capacity - self.data.len());
        }
        self.data.extend_from_slice(data);
    }

    fn allocated(&self) -> usize {
        let fields = self.trailers.iter().flat_map(|trailers| trailers.iter());
        self.data.capacity()
            + fields.map(|(name, value)| FIELD_BYTES + name.as_str().len() + value.len()).sum::<usize>()
    }

    fn clear(&mut self) {
        (self.data, self.trailers) = (Vec::new(), None);
    }
}

/// Trailers with buffers of their own.
fn copied(trailers: &HeaderMap) -> HeaderMap {
    let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).expect("it was one before");
    trailers.iter().map(|(name, value)| (name.clone(), copy(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of a body of `bytes` in pieces of `piece_bytes`, each read into a buffer of its own of 8 KiB.
    fn kept(bytes: usize, piece_bytes: usize) -> (Holder, Kept) {
        let holder = Holder::default();
        let mut kept = Kept::nothing(&holder);
        for at in (0..bytes).step_by(piece_bytes) {
            let mut buffer = vec![0; 8 * 1024.max(piece_bytes)];
            let piece = piece_bytes.min(bytes - at);
            buffer.iter_mut().take(piece).enumerate().for_each(|(index, byte)| *byte = (at + index) as u8);
            kept.push(&Frame::data(Bytes::from(buffer).slice(..piece)));
        }
        (holder, kept)
    }

    fn sent_again(kept: &mut Kept) -> Vec<u8> {
        let mut sent = Vec::new();
        while let Some(frame) = kept.next(sent.len(), false) {
            sent.extend_from_slice(frame.data_ref().unwrap());
        }
        sent
    }

    #[test]
    fn a_body_takes_what_it_is_long_whatever_its_pieces_are() {
        for piece_bytes in [1, 10, 100, 1000, 10_000] {
            for bytes in [1, 126, 5000, 40_000, KEPT_BYTES_MAX] {
                let (holder, mut kept) = kept(bytes, piece_bytes);
                let held = holder.held_bytes();
                assert!(
                    held >= bytes && held <= (2 * bytes).min(KEPT_BYTES_MAX).max(piece_bytes),
                    "{bytes} in {piece_bytes}: {held}"
                );
                assert!(kept.is_whole());
                let sent = sent_again(&mut kept);
                assert!(
                    sent.len() == bytes && sent.iter().enumerate().all(|(index, byte)| *byte == index as u8)
                );
            }
        }
    }

    #[test]
    fn what_is_longer_than_the_bound_is_not_kept_at_all() {
        for piece_bytes in [1, 1000, KEPT_BYTES_MAX + 1] {
            let (holder, kept) = kept(KEPT_BYTES_MAX + 1, piece_bytes);
            assert!(!kept.is_whole());
            assert_eq!(holder.held_bytes(), 0);
        }
    }

    #[test]
    fn what_an_attempt_has_still_to_send_stays_when_no_other_follows() {
        let (holder, mut kept) = kept(40_000, 1000);
        let first = kept.next(0, false).unwrap().into_data().unwrap().len();
        kept.let_go();
        assert_eq!(kept.left(first), 40_000 - first as u64);
        assert_eq!(sent_again(&mut kept).len(), 40_000);
        assert_eq!(holder.held_bytes(), 0, "it has been sent");
    }

    #[test]
    fn trailers_are_kept_and_counted() {
        let (holder, mut kept) = kept(10, 10);
        let trailers: HeaderMap =
            [(hyper::header::ETAG, HeaderValue::from_static("x"))].into_iter().collect();
        kept.push(&Frame::trailers(trailers.clone()));
        assert!(holder.held_bytes() > FIELD_BYTES);
        assert!(!kept.is_sent(10, false) && kept.is_sent(10, true));
        assert_eq!(kept.next(10, false).unwrap().into_trailers().unwrap(), trailers);
        assert!(kept.next(10, true).is_none());
        kept.let_go();
        assert!(kept.next(10, true).is_none());
        assert_eq!(holder.held_bytes(), 0);
    }
}
