//! SIGTERM: what is under way comes to its end, what is new is still carried, and nobody waits longer than agreed.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::*;
use crate::web::{Opened, VIP, WEB, answer, asked, backend, web};

#[test]
fn readiness_ends_with_sigterm_and_the_process_with_its_last_connection() {
    isolated(|| {
        let pod = Pod::here();
        let backend = backend(&pod, 1);
        let mut sidecar = start("tcp", &["--drain-delay", "1s", "--drain-timeout", "20s"]);
        let mut before = Opened::through(&backend);
        sidecar.process().signal(Signal::TERM);
        within(Duration::from_millis(500), "it is not ready any more", || {
            let (status, reasons) = get("127.0.0.1:15020", "/readyz")?;
            (status == 503 && reasons.contains("draining")).then_some(())
        });
        let mut during = Opened::through(&backend);
        sidecar.process().wait_for_log(ASKED);
        let mut after = Opened::through(&backend);
        for opened in [&mut before, &mut during, &mut after] {
            opened.exchange();
        }
        assert_eq!(get("127.0.0.1:15020", "/livez").map(|(status, _)| status), Some(200));
        drop((before, during, after));
        assert!(sidecar.process().wait(SOON).success());
        assert_eq!(sidecar.access_log().len(), 3);
    });
}

#[test]
fn an_http1_response_under_way_is_whole_and_the_last_of_its_connection() {
    isolated(|| {
        let pod = Pod::here();
        let backend = backend(&pod, 1);
        let mut sidecar = start("http", &["--drain-delay", "300ms", "--drain-timeout", "20s"]);
        let (mut idle, mut idle_served) = asked(&backend);
        answer(&mut idle_served, &mut idle);
        // The answer comes whole; the next request finds that connection, so one for each is open by now.
        let (mut begun, mut begun_served) = (Conversation::with(WEB), idle_served);
        begun.ask("/");
        begun_served.hear("\r\n\r\n");
        begun_served.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsl");
        begun.hear("\r\n\r\nsl");
        let (mut waiting, mut waiting_served) = asked(&backend);

        sidecar.process().signal(Signal::TERM);
        sidecar.process().wait_for_log(ASKED);
        idle.ends();
        begun_served.say("ower");
        assert_eq!(begun.hear("ower"), "ower");
        begun.ends();
        assert!(answer(&mut waiting_served, &mut waiting).contains("connection: close"));
        waiting.ends();
        assert!(sidecar.process().wait(SOON).success());
        let records = sidecar.access_log();
        assert_eq!(records.len(), 3);
        assert!(records.iter().all(|record| record["response.status"] == 200), "{records:?}");
    });
}

#[test]
fn a_request_on_a_new_connection_is_answered_to_the_very_end() {
    isolated(|| {
        let pod = Pod::here();
        let backend = backend(&pod, 1);
        let mut sidecar = start("http", &["--drain-delay", "0", "--drain-timeout", "20s"]);
        let (mut holding, mut holding_served) = asked(&backend);
        sidecar.process().signal(Signal::TERM);
        sidecar.process().wait_for_log(ASKED);
        let (mut new, mut new_served) = asked(&backend);
        assert!(answer(&mut new_served, &mut new).contains("connection: close"));
        new.ends();
        answer(&mut holding_served, &mut holding);
        assert!(sidecar.process().wait(SOON).success());
        assert_eq!(sidecar.access_log().len(), 2);
    });
}

#[test]
fn an_http2_client_is_told_to_go_away_and_its_stream_ends_well() {
    isolated(|| {
        let pod = Pod::here();
        let backend = backend(&pod, 1);
        let mut sidecar = start("http", &["--drain-delay", "0", "--drain-timeout", "20s"]);
        let mut client = Conversation::with(WEB);
        client.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.say(frame(SETTINGS, 0, 0, &[]));
        // :method GET, :scheme http, :path / of the static table; :authority literal (RFC 7541 appendix A, §6.2.1)
        client.say(frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\x82\x86\x84\x41\x03web"));
        let mut served = accepted(&backend);
        served.hear("\r\n\r\n");
        served.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsl");
        hear_frame(&mut client, |kind, _, payload| kind == DATA && payload == b"sl");

        sidecar.process().signal(Signal::TERM);
        hear_frame(&mut client, |kind, _, _| kind == GOAWAY);
        served.say("ower");
        let mut rest = Vec::new();
        hear_frame(&mut client, |kind, flags, payload| {
            if kind == DATA {
                rest.extend_from_slice(payload);
            }
            kind == DATA && flags & END_STREAM != 0
        });
        assert_eq!(rest, b"ower");
        assert!(sidecar.process().wait(SOON).success());
        assert_eq!(sidecar.access_log()[0]["response.status"], 200);
    });
}

#[test]
fn a_tunnel_that_began_as_http_is_waited_for() {
    isolated(|| {
        let pod = Pod::here();
        let backend = backend(&pod, 1);
        let mut sidecar = start("http", &["--drain-delay", "0", "--drain-timeout", "20s"]);
        let mut client = Conversation::with("127.0.0.1:15002");
        client.say("CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n");
        let served = accepted(&backend);
        client.hear("\r\n\r\n");
        sidecar.process().signal(Signal::TERM);
        sidecar.process().wait_for_log(ASKED);
        let mut tunnel = Opened { client, served };
        tunnel.exchange();
        // A connection that comes and goes meanwhile is no reason to end either.
        drop(Conversation::with(WEB));
        tunnel.exchange();
        drop(tunnel);
        assert!(sidecar.process().wait(SOON).success());
    });
}

#[test]
fn what_never_ends_is_cut_when_the_time_is_over() {
    isolated(|| {
        let pod = Pod::here();
        let backend = backend(&pod, 1);
        let mut sidecar = start("tcp", &["--drain-delay", "0", "--drain-timeout", "500ms"]);
        let mut idle = Opened::through(&backend);
        sidecar.process().signal(Signal::TERM);
        idle.client.breaks();
        idle.served.breaks();
        assert!(sidecar.process().wait(SOON).success());
        cut_record(&sidecar);
    });
}

#[test]
fn a_client_that_never_said_anything_is_not_waited_for() {
    isolated(|| {
        let _pod = Pod::here();
        let mut sidecar = start("http", &["--drain-delay", "300ms", "--drain-timeout", "20s"]);
        let mut silent = Conversation::with(WEB);
        sidecar.process().signal(Signal::TERM);
        sidecar.process().wait_for_log(ASKED);
        silent.ends();
        assert!(sidecar.process().wait(SOON).success());
    });
}

#[test]
fn a_second_sigterm_waits_for_nobody() {
    isolated(|| {
        let pod = Pod::here();
        let backend = backend(&pod, 1);
        let mut sidecar = start("tcp", &[]);
        let mut idle = Opened::through(&backend);
        sidecar.process().signal(Signal::TERM);
        sidecar.process().wait_for_log("draining");
        idle.exchange();
        sidecar.process().signal(Signal::TERM);
        assert!(sidecar.process().wait(SOON).success());
        idle.client.breaks();
        cut_record(&sidecar);
    });
}

/// The one record is of a connection that moved bytes, and says that we ended it.
fn cut_record(sidecar: &Sidecar) {
    let records = sidecar.access_log();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["failure.code"], "ME", "{records:?}");
    assert_ne!(records[0]["bytes.in"], 0, "{records:?}");
}

fn start(app_protocol: &str, arguments: &[&str]) -> Sidecar {
    Sidecar::start(web(app_protocol, 1), &[VIP, arguments].concat())
}

/// What the sidecar logs when the delay is over.
const ASKED: &str = "asking open connections to finish";

/// RFC 9113 §4.1.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("these frames are small");
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Reads frames until one is as wanted, and answers those that want it.
fn hear_frame(client: &mut Conversation, mut wanted: impl FnMut(u8, u8, &[u8]) -> bool) {
    loop {
        let head = client.hear_bytes(9);
        let payload = client.hear_bytes(usize::from(head[1]) << 8 | usize::from(head[2]));
        if head[3] == PING && head[4] & ACK == 0 {
            client.say(frame(PING, ACK, 0, &payload));
        }
        if wanted(head[3], head[4], &payload) {
            return;
        }
    }
}

// RFC 9113 §6
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Not at once, on a machine that has other work; but long before any `--drain-timeout` of twenty seconds.
const SOON: Duration = Duration::from_secs(10);
