//! The peers themselves, without a sidecar between them: what these tests show, the others may build on.

use std::net::TcpStream;
use std::time::Duration;

use crate::support::*;

#[test]
fn nginx_answers_with_its_name_and_counts() {
    isolated(|| {
        let nginx = Nginx::named("a", "127.0.0.1:80");
        let answer = curl(&["http://127.0.0.1/[1-30]"]);
        assert_eq!((answer.status, answer.connections), (200, 1));
        assert_eq!(answer.body, "a\n".repeat(30));
        assert_eq!(nginx.requests(), 30);
    });
}

#[test]
fn a_killed_nginx_refuses_and_a_stalled_one_is_silent() {
    isolated(|| {
        let mut nginx = Nginx::named("a", "127.0.0.1:80");
        nginx.process().stall();
        assert!(TcpStream::connect(nginx.address()).is_ok(), "the kernel still accepts for it");
        assert_eq!(curl(&["--max-time", "1", "http://127.0.0.1/"]).status, 0);
        nginx.process().resume();
        assert_eq!(curl(&["http://127.0.0.1/"]).status, 200);
        nginx.process().kill();
        assert!(TcpStream::connect(nginx.address()).is_err());
    });
}

#[test]
fn load_generators_agree_with_the_server() {
    isolated(|| {
        let nginx = Nginx::serving("h2", "127.0.0.1:80 http2", "location / { return 200 x; }");
        assert_eq!(h2load("http://127.0.0.1/", 500, 2, 10), Load { responses: 500, refused: 0, broken: 0 });
        assert_eq!(nginx.requests(), 500);
    });
    isolated(|| {
        let _nginx = Nginx::serving("h1", "127.0.0.1:80", "location / { return 503; }");
        let load = wrk("http://127.0.0.1/", 8, Duration::from_secs(1));
        assert_eq!((load.refused, load.broken), (load.responses, 0));
        assert!(load.responses > 0);
    });
}

#[test]
fn a_namespace_keeps_its_ports_to_itself() {
    isolated(|| {
        let _nginx = Nginx::named("a", "127.0.0.1:80");
        isolated(|| assert!(TcpStream::connect("127.0.0.1:80").is_err()));
        assert!(TcpStream::connect("127.0.0.1:80").is_ok());
    });
}

#[test]
fn a_pod_reaches_the_backends_of_its_node() {
    isolated(|| {
        let pod = Pod::here();
        let (v4, v6) = (Pod::backend_v4(1), Pod::backend_v6(2));
        let _four = pod.node.enter(|| Nginx::named("four", &format!("{v4}:80")));
        let _six = pod.node.enter(|| Nginx::named("six", &format!("[{v6}]:80")));
        assert_eq!(curl(&[&format!("http://{v4}/")]).body, "four\n");
        assert_eq!(curl(&[&format!("http://[{v6}]/")]).body, "six\n");
    });
}

#[test]
fn captured_connections_of_both_families_arrive_at_the_outbound_port() {
    isolated(|| {
        let _pod = Pod::here();
        let _four = Nginx::named("captured 4", "127.0.0.1:15001");
        let _six = Nginx::named("captured 6", "[::1]:15001");
        capture_output();
        assert_eq!(curl(&["http://10.96.0.1:8080/"]).body, "captured 4\n");
        assert_eq!(curl(&["http://[fd00:10:96::1]:8080/"]).body, "captured 6\n");
    });
}

#[test]
fn redis_and_postgresql_answer_their_own_clients() {
    isolated(|| {
        let _redis = Redis::start("127.0.0.1", 6379);
        assert_eq!(Redis::ask("127.0.0.1", 6379, &["SET", "k", "v"]), "OK");
        assert_eq!(Redis::ask("127.0.0.1", 6379, &["GET", "k"]), "v");
        let _postgres = Postgres::start("127.0.0.1", 5432);
        assert_eq!(Postgres::ask("127.0.0.1", 5432, "select 6 * 7"), "42");
    });
}

#[test]
fn grpc_streams_and_fails_as_told() {
    isolated(|| {
        let _server = GrpcServer::start("a", "127.0.0.1:50051");
        assert_eq!(grpc_client("127.0.0.1:50051", &["unary", "5"]), "a=5");
        assert_eq!(grpc_client("127.0.0.1:50051", &["count", "1000"]), "1000");
        assert_eq!(grpc_client("127.0.0.1:50051", &["chat", "100"]), "begun\n100");
        assert_eq!(grpc_client("127.0.0.1:50051", &["fail"]), "RESOURCE_EXHAUSTED a");
    });
}

#[test]
fn websocket_messages_come_back() {
    isolated(|| {
        let _server = WebSocketServer::start("127.0.0.1", 8080);
        assert_eq!(websocket_client("ws://127.0.0.1:8080/", &["50"]), "50");
    });
}

#[test]
fn the_recorder_keeps_every_byte() {
    isolated(|| {
        let recorder = Recorder::start("127.0.0.1:80", "HTTP/1.1 204 No Content\r\n\r\n");
        let answer = curl(&["http://127.0.0.1/a", "http://127.0.0.1/b", "-A", "me"]);
        assert_eq!((answer.status, answer.connections), (204, 1));
        let request = |path| {
            format!("GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: me\r\nAccept: */*\r\n\r\n")
        };
        assert_eq!(recorder.received(), [request("a") + &request("b")]);
    });
}
