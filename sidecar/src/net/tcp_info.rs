//! What the kernel knows of a connection: `TCP_INFO`, tcp(7). Neither socket2 nor rustix asks for it.
#![expect(unsafe_code, reason = "getsockopt writes into a struct of ours; everything else about it is safe")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use svc_core::ack_timeout::TcpInfo;
use tokio::net::TcpStream;

/// `struct tcp_info` of linux/tcp.h, up to the last field that is wanted; libc has its start, as it was in Linux 2.6.
#[repr(C)]
struct Info {
    start: libc::tcp_info,
    /// Pacing rates, and bytes that were acknowledged and received.
    counts: [u64; 4],
    segments: [u32; 2],
    /// `tcpi_notsent_bytes`, since Linux 4.6; zero before.
    unsent_bytes: u32,
}

/// Looks at a connection. Takes about a microsecond.
pub(crate) fn look(socket: &TcpStream) -> io::Result<TcpInfo> {
    let mut info = MaybeUninit::<Info>::zeroed();
    let mut bytes = size_of::<Info>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed. The kernel writes no more than `bytes`, which is what `info` has
    // room for, and both pointers are to values of this frame.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it consists of integers, which are zero where the kernel has written nothing.
    let Info { start: info, unsent_bytes, .. } = unsafe { info.assume_init() };
    Ok(TcpInfo {
        unacknowledged: info.tcpi_unacked,
        repeated: info.tcpi_retransmits,
        unsent_bytes,
        probes: info.tcpi_probes,
        round_trip: Duration::from_micros(u64::from(info.tcpi_rtt) + 4 * u64::from(info.tcpi_rttvar)),
        sent_ago: Duration::from_millis(info.tcpi_last_data_sent.into()),
        heard_ago: Duration::from_millis(info.tcpi_last_ack_recv.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test(flavor = "current_thread")]
    async fn what_a_neighbour_has_is_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut far = listener.accept().await.unwrap().0;
        near.write_all(b"hello").await.unwrap();
        far.read_exact(&mut [0; 5]).await.unwrap();
        far.write_all(b"hello").await.unwrap();
        near.read_exact(&mut [0; 5]).await.unwrap(); // the answer carries the acknowledgement
        let sight = look(&near).unwrap();
        assert_eq!((sight.unacknowledged, sight.repeated), (0, 0));
        assert!(sight.heard_ago <= sight.sent_ago && sight.sent_ago < Duration::from_secs(5), "{sight:?}");
    }
}
