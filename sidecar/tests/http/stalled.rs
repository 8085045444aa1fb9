//! Readers, disks and clients that stop: no traffic waits for the log, and the process ends in its time.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use rustix::process::Signal;
use tempfile::TempDir;

use super::backend::Backend;
use super::support::{get, until};
use super::world::{World, documents};

/// A pipe by name that somebody holds open, and does not read yet.
struct Stalled {
    reader: File,
    path: PathBuf,
    _folder: TempDir,
}

impl Stalled {
    fn new() -> Stalled {
        let folder = TempDir::new().expect("the temporary folder is writable");
        let path = folder.path().join("pipe");
        mkfifo(&path);
        let reader = OpenOptions::new().read(true).write(true).open(&path).expect("it is a pipe");
        Stalled { reader, path, _folder: folder }
    }

    /// Reads what there is until `text` has come.
    fn read_until(&mut self, text: &str) {
        let mut heard = Vec::new();
        let mut buffer = [0; 64 * 1024];
        while !String::from_utf8_lossy(&heard).contains(text) {
            let count = self.reader.read(&mut buffer).expect("a pipe that we hold open has no end");
            heard.extend_from_slice(&buffer[..count]);
        }
    }
}

fn mkfifo(path: &std::path::Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("coreutils are installed").success());
}

/// What follows the sidecar's command in a shell.
fn world(redirected: &str, backend: &Backend, arguments: &[&str]) -> World {
    World::in_shell(
        &format!("exec \"$0\" \"$@\" {redirected}"),
        &documents("", "http", &[backend.address()]),
        arguments,
    )
}

/// Asks so often in streams of HTTP/2.
fn ask(world: &World, times: usize) {
    let socket = world.socket();
    socket.set_nonblocking(true).expect("a TCP socket");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::from_std(socket).expect("it does not block");
        let (mut client, connection) = h2::client::handshake(socket).await.expect("HTTP/2 is spoken");
        let _: &h2::client::SendRequest<Bytes> = &client;
        tokio::spawn(connection);
        for _ in 0..times {
            let request = Request::get("http://web/").body(()).expect("a request");
            let answered = async {
                let (response, _) = client.send_request(request, true)?;
                response.await
            };
            let answered = tokio::time::timeout(Duration::from_secs(5), answered).await;
            assert_eq!(answered.expect("in time").expect("an answer").status(), 200);
        }
    });
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_reader_of_stderr_that_stops_stops_no_traffic_and_is_told_what_it_lost() {
    let (mut stderr, backend) = (Stalled::new(), Backend::answering(OK));
    let redirected = format!("2>'{}'", stderr.path.display());
    let mut world = world(&redirected, &backend, &["--log", "info,h2=trace", "--drain-delay", "0"]);
    ask(&world, 1000);
    let lost = world.measured("svcmesh_log_dropped_total{reason=\"queue\"}");
    assert!(lost[0] > 0, "{lost:?}");
    stderr.read_until("lines of the log were lost");
    ask(&world, 100);
    world.signal(Signal::TERM);
    assert!(world.ends_within(Duration::from_secs(5)).success());
}

#[test]
fn the_process_ends_in_its_time_whoever_does_not_read_what_it_writes() {
    for redirected in ["1>", "2>", "1>&2 2>"] {
        let (pipe, backend) = (Stalled::new(), Backend::answering(OK));
        let redirected = format!("{redirected}'{}'", pipe.path.display());
        let arguments = ["--log", "info,h2=trace", "--drain-delay", "0", "--drain-timeout", "2s"];
        let mut world = world(&redirected, &backend, &arguments);
        ask(&world, 1000);
        world.signal(Signal::TERM);
        assert!(world.ends_within(Duration::from_secs(3)).success(), "{redirected}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests run in real time")]
fn the_process_ends_in_its_time_whatever_a_disk_does_and_at_once_when_it_is_told_twice() {
    for (times, drain_timeout, ends_after_ms) in [(1, "1s", 1000), (2, "60s", 0)] {
        let backend = Backend::answering(OK);
        let folder = TempDir::new().expect("the temporary folder is writable");
        let resolv_conf = folder.path().join("resolv.conf");
        fs::write(&resolv_conf, "nameserver 127.0.0.1\n").expect("the folder is ours");
        let mut arguments =
            vec!["--discovery", "manifests,dns", "--resolv-conf", resolv_conf.to_str().expect("text")];
        arguments.extend(["--drain-delay", "0", "--drain-timeout", drain_timeout]);
        let mut world = world("", &backend, &arguments);
        fs::remove_file(&resolv_conf).expect("it is there");
        mkfifo(&resolv_conf); // to open it waits for a writer
        world.signal(Signal::HUP);
        let mut answers = 0;
        until("the control thread hangs", || {
            answers = if get(&world.admin_address(), "/livez").is_some() { 0 } else { answers + 1 };
            (answers > 1).then_some(())
        });
        let begun = std::time::Instant::now();
        for _ in 0..times {
            world.signal(Signal::TERM);
            std::thread::sleep(Duration::from_millis(50));
        }
        let status = world.ends_within(Duration::from_secs(30));
        let took_ms = begun.elapsed().as_millis();
        assert!(took_ms >= ends_after_ms && status.code() == Some(1), "{took_ms} ms, {status}");
    }
}

#[test]
fn what_clients_of_http2_do_is_in_no_line_of_the_log() {
    let backend = Backend::answering(OK);
    let world = world("", &backend, &[]);
    let mut client = world.client();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]); // SETTINGS, RFC 9113 §6.5
    for _ in 0..1000 {
        client.send([0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(10)); // PING ACK, §6.7
    }
    ask(&world, 1);
    let log = world.sidecar_log();
    assert!(log.lines().count() < 20 && !log.contains("h2"), "{log}");
}

#[test]
fn when_clients_hold_all_descriptors_the_admin_port_answers_and_nothing_spins() {
    let backend = Backend::answering(OK);
    let script = "ulimit -n 160; exec \"$0\" \"$@\"";
    let world = World::in_shell(script, &documents("", "http", &[backend.address()]), &[]);
    let held: Vec<_> = (0..400).map(|_| world.socket()).collect();
    let refused = "svcmesh_floods_total{kind=\"connections\"}";
    until("more came than there are descriptors", || {
        (world.measured(refused).iter().sum::<u64>() > 200).then_some(())
    });
    for path in ["/readyz", "/livez", "/metrics"] {
        for _ in 0..20 {
            let answer = get(&world.admin_address(), path);
            assert_eq!(answer.map(|(status, _)| status), Some(200), "{path}");
        }
    }
    assert!(world.sidecar_log().lines().count() < 50, "{}", world.sidecar_log());
    drop(held);
    until("clients are served again", || {
        let mut client = world.client();
        client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
        client.response("GET").ok()
    });
}
