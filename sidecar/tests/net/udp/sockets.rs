//! What the kernel has dropped for want of room in a socket: the last column of `/proc/net/udp`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::*;

/// At the sockets of the sidecar: those of loopback VIPs, and those that lead to endpoints.
pub(super) fn kernel_drops() -> u64 {
    let own = |socket: &&Socket| {
        socket.local.ip().octets()[..2] == [127, 66] || socket.remote.ip().octets()[..3] == [10, 1, 1]
    };
    sockets().iter().filter(own).map(|socket| socket.drops).sum()
}

/// At the sockets that listen on `address`.
pub(super) fn kernel_drops_at(address: &str) -> u64 {
    let address = address.parse().expect("an address");
    sockets().iter().filter(|socket| socket.local == address).map(|socket| socket.drops).sum()
}

struct Socket {
    local: SocketAddrV4,
    remote: SocketAddrV4,
    drops: u64,
}

/// Those of this thread's namespace, which `/proc/net` does not show.
fn sockets() -> Vec<Socket> {
    let lines = fs::read_to_string("/proc/thread-self/net/udp").expect("proc(5) has it");
    lines.lines().skip(1).filter_map(socket).collect()
}

fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_number, local, remote, .., drops] = fields[..] else { return None };
    Some(Socket { local: address(local)?, remote: address(remote)?, drops: drops.parse().ok()? })
}

/// `0100007F:0035`: the address as it lies in memory, read as one number.
fn address(text: &str) -> Option<SocketAddrV4> {
    let (ip, port) = text.split_once(':')?;
    let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
    Some(SocketAddrV4::new(Ipv4Addr::from(ip), u16::from_str_radix(port, 16).ok()?))
}

#[test]
fn drops_are_seen_where_nobody_reads() {
    isolated(|| {
        let deaf = UdpSocket::bind(ECHO).expect("addresses in a namespace are free");
        let small = socket2::SockRef::from(&deaf).set_recv_buffer_size(2_048);
        small.expect("the kernel takes any size");
        let client = Client::new();
        (0..100).for_each(|_| client.send(b"?"));
        let drops = kernel_drops_at(ECHO);
        assert!((50..100).contains(&drops), "{drops}");
        assert_eq!((kernel_drops(), kernel_drops_at("127.66.0.8:7")), (drops, 0));
    });
}
