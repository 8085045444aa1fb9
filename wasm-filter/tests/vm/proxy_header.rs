//! PROXY headers at the front of TCP connections (S-20, S-30), in whatever pieces they come.

use std::time::Duration;

use super::host::{Passed, Vm};
use super::proxy::Proxy;

const V1: &[u8] = b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 80\r\n";
const V1_LOCAL: &[u8] = b"PROXY UNKNOWN\r\n";
/// The signature, version 2 and PROXY, TCP over IPv4, 12 bytes: two addresses, two ports.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x0a\x00\x00\x01\x13\x88\x00\x50";
/// The same with a TLV of 3 bytes behind the addresses.
const V2_TLV: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x12\xcb\x00\x71\x09\x0a\x00\x00\x01\x13\x88\x00\x50\x04\x00\x03abc";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

fn running(mode: &str) -> Vm {
    let configuration = format!(
        r#"{{"filter": "tcp", "environment": false, "proxyProtocol": "{mode}", "proxyProtocolTimeout": "5s",
            "trustedProxies": ["127.0.0.0/8"]}}"#
    );
    Vm::running(&configuration, Proxy::default())
}

fn connect(vm: &mut Vm) -> u32 {
    vm.connect("127.0.0.1:4711", "127.0.0.1:80").0
}

fn counted(vm: &mut Vm, result: &str) -> i64 {
    vm.tick();
    let name = format!("svcmesh_proxy_header_total;result={result}");
    vm.counters().get(&name).copied().unwrap_or(0)
}

#[test]
fn a_header_is_taken_off_wherever_it_is_split() {
    let mut vm = running("require");
    let mut connections = 0;
    for (header, client) in [
        (V1, Some("203.0.113.9:5000")),
        (V1_LOCAL, None),
        (V2, Some("203.0.113.9:5000")),
        (V2_TLV, Some("203.0.113.9:5000")),
        (V2_LOCAL, None),
    ] {
        let all = [header, b"GET / HTTP/1.1\r\n"].concat();
        for split in 0..=all.len() {
            let id = connect(&mut vm);
            let (first, second) = all.split_at(split);
            let mut passed = Vec::new();
            for piece in [first, second] {
                match vm.data(id, piece, false) {
                    Passed::On(bytes) => passed.extend(bytes),
                    Passed::Held => {}
                    Passed::Closed => panic!("{header:?} is closed, split at {split}"),
                }
            }
            assert_eq!(passed, b"GET / HTTP/1.1\r\n", "{header:?} split at {split}");
            assert_eq!(vm.property(id, &["svcmesh.client"]).as_deref(), client);
            vm.hang_up(id);
            connections += 1;
        }
    }
    assert_eq!(counted(&mut vm, "accepted") + counted(&mut vm, "local"), connections);
}

#[test]
fn byte_by_byte_is_as_good() {
    let mut vm = running("require");
    for header in [V1, V2, V2_TLV] {
        let id = connect(&mut vm);
        let (last, bytes) = header.split_last().expect("it has bytes");
        for byte in bytes {
            assert_eq!(vm.data(id, &[*byte], false), Passed::Held);
        }
        assert_eq!(vm.data(id, &[*last], false), Passed::On(Vec::new()));
        assert_eq!(vm.data(id, b"x", false), Passed::On(b"x".to_vec()));
        vm.hang_up(id);
    }
}

#[test]
fn what_is_no_header_is_closed_and_not_a_byte_goes_on() {
    let mut vm = running("require");
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"PROXY TCP4 203.0.113.999 10.0.0.1 5000 80\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 80 \r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c",
        &[b'P'; 120],
    ] {
        let id = connect(&mut vm);
        assert_eq!(vm.data(id, bytes, false), Passed::Closed, "{bytes:?}");
        assert_eq!(vm.data(id, b"more", false), Passed::Closed);
        vm.hang_up(id);
    }
    assert_eq!(counted(&mut vm, "missing") + counted(&mut vm, "malformed"), 5, "{:?}", vm.counters());
}

#[test]
fn a_header_that_ends_half_way_is_closed() {
    let mut vm = running("require");
    for header in [V1, V2] {
        for end in 1..header.len() {
            let id = connect(&mut vm);
            assert_eq!(vm.data(id, &header[..end], true), Passed::Closed, "{end} bytes");
            vm.hang_up(id);
        }
    }
}

#[test]
fn who_says_nothing_in_time_is_closed() {
    let mut vm = running("require");
    let (silent, talking) = (connect(&mut vm), connect(&mut vm));
    vm.data(talking, V1, false);
    vm.wait(Duration::from_secs(4));
    assert!(!vm.is_closed(silent));
    vm.wait(Duration::from_secs(3));
    assert!(vm.is_closed(silent) && !vm.is_closed(talking));
    assert_eq!(counted(&mut vm, "timeout"), 1);
}

#[test]
fn nobody_but_a_trusted_peer_may_speak_for_others() {
    let mut vm = running("require");
    let (id, passed) = vm.connect("203.0.113.66:4711", "127.0.0.1:80");
    assert_eq!(passed, Passed::Closed);
    assert_eq!(vm.data(id, V1, false), Passed::Closed);
    assert_eq!(counted(&mut vm, "refused_untrusted"), 1, "{:?}", vm.counters());
}

#[test]
fn observed_connections_go_on_as_they_came() {
    let mut vm = running("observe");
    for (bytes, result) in
        [(V1, "observed_accepted"), (V2_LOCAL, "observed_local"), (b"GET / HTTP/1.1\r\n", "observed_missing")]
    {
        let before = counted(&mut vm, result);
        for split in 0..=bytes.len() {
            let id = connect(&mut vm);
            let (first, second) = bytes.split_at(split);
            assert_eq!(vm.data(id, first, false), Passed::On(first.to_vec()));
            assert_eq!(vm.data(id, second, true), Passed::On(second.to_vec()));
            vm.hang_up(id);
        }
        assert_eq!(counted(&mut vm, result) - before, bytes.len() as i64 + 1, "{result} {:?}", vm.counters());
    }
}

#[test]
fn where_nothing_is_said_of_headers_they_are_the_applications() {
    let mut vm = running("off");
    let id = connect(&mut vm);
    assert_eq!(vm.data(id, V1, false), Passed::On(V1.to_vec()));
    vm.answer_data(id, b"hello");
    vm.hang_up(id);
    vm.tick();
    let counted: Vec<String> = vm.counters().iter().map(|(name, count)| format!("{name} {count}")).collect();
    assert_eq!(
        counted,
        [
            "svcmesh_bytes_total;service=;flow=request 41",
            "svcmesh_bytes_total;service=;flow=response 5",
            "svcmesh_connections_closed_total;service= 1",
            "svcmesh_connections_opened_total;service= 1",
        ]
    );
}
