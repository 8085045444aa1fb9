//! Datagrams on their way through: some are taken from one socket with one call, and sent on with another.

use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd as _};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmmsg, sendmmsg,
};
use rustix::net::{SendFlags, send, sendto};

/// The buffer that all datagrams of a worker pass through.
pub(super) struct Batch {
    bytes: Box<[u8]>,
    lengths: [usize; DATAGRAMS_MAX],
    /// Who sent each; who answers is known, so of answers it is not asked.
    senders: [SocketAddr; DATAGRAMS_MAX],
    /// Where each was going, where that was asked for.
    destinations: [SocketAddr; DATAGRAMS_MAX],
    from_anybody: BatchHeaders,
    from_endpoints: BatchHeaders,
    outgoing: BatchHeaders,
}

/// What the kernel is handed. It writes into these how long addresses are, and nix leaves that for the next call: each serves for
/// one kind of address.
pub(super) type BatchHeaders = MultiHeaders<SockaddrStorage>;

/// With room for the destination of each datagram; for one listener, and thus for one family.
pub(super) fn headers_of_captured() -> BatchHeaders {
    MultiHeaders::preallocate(DATAGRAMS_MAX, Some(nix::cmsg_space!(libc::sockaddr_in6)))
}

/// How many datagrams are moved at a time: a call to the kernel for 32 costs little more than for one, and what waits in a socket while we
/// are elsewhere is seldom more. 32 × 64 KiB = 2 MiB for a worker, of which only what was ever written to takes memory: datagrams of
/// 4 KiB touch 128 KiB of it.
pub(super) const DATAGRAMS_MAX: usize = 32;

/// No datagram is longer: its length has 16 bits, of which the header takes 8 bytes (RFC 768). So none is truncated.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

impl Batch {
    pub(super) fn new() -> Batch {
        let headers = || MultiHeaders::preallocate(DATAGRAMS_MAX, None);
        Batch {
            bytes: vec![0; DATAGRAMS_MAX * DATAGRAM_BYTES_MAX].into_boxed_slice(),
            lengths: [0; DATAGRAMS_MAX],
            senders: [NOBODY; DATAGRAMS_MAX],
            destinations: [NOBODY; DATAGRAMS_MAX],
            from_anybody: headers(),
            from_endpoints: headers(),
            outgoing: headers(),
        }
    }

    /// Takes as many datagrams as there are, and who sent each. How many; at least one.
    pub(super) fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let Batch { bytes, lengths, senders, from_anybody, .. } = self;
        let mut slices = slices(bytes);
        let fd = socket.as_fd().as_raw_fd();
        let received = recvmmsg(fd, from_anybody, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut count = 0;
        for message in received {
            lengths[count] = message.bytes;
            senders[count] = message.address.as_ref().and_then(address).unwrap_or(NOBODY);
            count += 1;
        }
        Ok(count)
    }

    /// The same for datagrams to any destination, with `headers` that are this socket's own.
    pub(super) fn receive_captured(
        &mut self,
        socket: impl AsFd,
        headers: &mut BatchHeaders,
    ) -> io::Result<usize> {
        let Batch { bytes, lengths, senders, destinations, .. } = self;
        let mut slices = slices(bytes);
        let fd = socket.as_fd().as_raw_fd();
        let received = recvmmsg(fd, headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut count = 0;
        for message in received {
            lengths[count] = message.bytes;
            senders[count] = message.address.as_ref().and_then(address).unwrap_or(NOBODY);
            let destination = message.cmsgs().ok().and_then(|mut messages| messages.find_map(destination));
            destinations[count] = destination.unwrap_or(NOBODY);
            count += 1;
        }
        Ok(count)
    }

    /// Takes what has come on a connected socket, into the places `into`. How many; at least one.
    pub(super) fn receive_into(&mut self, into: Range<usize>, socket: impl AsFd) -> io::Result<usize> {
        let Batch { bytes, lengths, from_endpoints, .. } = self;
        let mut slices = slices(bytes);
        let fd = socket.as_fd().as_raw_fd();
        let slices = slices[into.clone()].iter_mut();
        let received = recvmmsg(fd, from_endpoints, slices, MsgFlags::MSG_DONTWAIT, None)?;
        let mut count = 0;
        for message in received {
            lengths[into.start + count] = message.bytes;
            count += 1;
        }
        Ok(count)
    }

    /// Who sent the datagram at `place`, if it was received from anybody.
    pub(super) fn sender(&self, place: usize) -> SocketAddr {
        self.senders[place]
    }

    /// Where the datagram at `place` was going, if it was captured. Port 0 is nowhere.
    pub(super) fn destination(&self, place: usize) -> SocketAddr {
        self.destinations[place]
    }

    /// How many bytes these datagrams have together.
    pub(super) fn bytes(&self, places: Range<usize>) -> u64 {
        self.lengths[places].iter().sum::<usize>() as u64
    }

    /// Sends the datagrams at `places`, each behind `prefix` and where `to` says, or where the socket is connected to. How many of them; at
    /// least one.
    pub(super) fn send(
        &mut self,
        places: Range<usize>,
        prefix: &[u8],
        to: impl Fn(usize) -> Option<SocketAddr>,
        socket: impl AsFd,
    ) -> io::Result<usize> {
        let Batch { bytes, lengths, outgoing, .. } = self;
        let (first, count) = (places.start, places.len());
        let datagram = |place: usize| &bytes[place * DATAGRAM_BYTES_MAX..][..lengths[place]];
        if count == 1 && prefix.is_empty() {
            return send_one(datagram(first), to(first), socket); // nearly always: nothing to prepare
        }
        let within = |index: usize| (index < count).then_some(first + index);
        let slices: [_; DATAGRAMS_MAX] =
            array::from_fn(|index| [prefix, within(index).map_or(&[][..], datagram)].map(IoSlice::new));
        let addresses: [_; DATAGRAMS_MAX] =
            array::from_fn(|index| within(index).and_then(&to).map(SockaddrStorage::from));
        let fd = socket.as_fd().as_raw_fd();
        let sent = sendmmsg(fd, outgoing, &slices[..count], &addresses[..count], [], MsgFlags::MSG_DONTWAIT)?;
        Ok(sent.count())
    }
}

fn send_one(datagram: &[u8], to: Option<SocketAddr>, socket: impl AsFd) -> io::Result<usize> {
    match to {
        Some(to) => sendto(socket, datagram, SendFlags::DONTWAIT, &to)?,
        None => send(socket, datagram, SendFlags::DONTWAIT)?,
    };
    Ok(1)
}

/// A place of the buffer for each datagram.
fn slices(bytes: &mut [u8]) -> [[IoSliceMut<'_>; 1]; DATAGRAMS_MAX] {
    let mut places = bytes.chunks_exact_mut(DATAGRAM_BYTES_MAX);
    array::from_fn(|_| [IoSliceMut::new(places.next().expect("the buffer has this many"))])
}

fn address(of: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = of.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
    v4.or_else(|| of.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))
}

/// What TPROXY has left of a datagram's way, `IP_RECVORIGDSTADDR`.
fn destination(of: ControlMessageOwned) -> Option<SocketAddr> {
    if let ControlMessageOwned::Ipv4OrigDstAddr(v4) = of {
        Some(SocketAddr::from(SockaddrIn::from(v4)))
    } else if let ControlMessageOwned::Ipv6OrigDstAddr(v6) = of {
        Some(SocketAddr::from(SockaddrIn6::from(v6)))
    } else {
        None
    }
}

const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn bound() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        (socket, addr)
    }

    #[test]
    fn datagrams_of_all_sizes_arrive_whole_and_apart() {
        let ((client, client_addr), (middle, middle_addr), (server, server_addr)) =
            (bound(), bound(), bound());
        let sizes = [1, 0, 65_507, 512, 0, 1];
        let mut batch = Batch::new();
        for _again in 0..3 {
            for (number, size) in sizes.into_iter().enumerate() {
                assert_eq!(client.send_to(&vec![number as u8; size], middle_addr).unwrap(), size);
            }
            assert_eq!(batch.receive(&middle).unwrap(), sizes.len());
            assert!((0..sizes.len()).all(|place| batch.sender(place) == client_addr));
            assert_eq!(batch.bytes(0..3), 65_508);
            assert_eq!(batch.send(1..6, b"", |_| Some(server_addr), &middle).unwrap(), 5);
            let mut read = vec![0; 1 << 16];
            for (number, size) in sizes.into_iter().enumerate().skip(1) {
                assert_eq!(server.recv_from(&mut read).unwrap(), (size, middle_addr));
                assert!(read[..size].iter().all(|byte| *byte == number as u8));
            }
        }
        assert_eq!(batch.receive(&middle).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_connected_socket_needs_no_address_and_fills_the_places_it_is_given() {
        let ((near, near_addr), (far, far_addr)) = (bound(), bound());
        near.connect(far_addr).unwrap();
        let mut batch = Batch::new();
        for text in ["a", "bb", "ccc"] {
            far.send_to(text.as_bytes(), near_addr).unwrap();
        }
        assert_eq!(batch.receive_into(5..7, &near).unwrap(), 2);
        assert_eq!(batch.receive_into(7..32, &near).unwrap(), 1);
        assert_eq!(batch.send(6..8, b"", |_| None, &near).unwrap(), 2);
        assert_eq!(batch.send(6..7, b"to ", |_| None, &near).unwrap(), 1);
        let mut read = [0; 8];
        assert_eq!((far.recv(&mut read).unwrap(), &read[..2]), (2, &b"bb"[..]));
        assert_eq!((far.recv(&mut read).unwrap(), &read[..3]), (3, &b"ccc"[..]));
        assert_eq!((far.recv(&mut read).unwrap(), &read[..5]), (5, &b"to bb"[..]));
    }
}
