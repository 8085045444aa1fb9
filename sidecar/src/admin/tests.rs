//! Over real sockets, by a client that sends what it is told.

use svc_core::address::ServiceName;
use svc_core::discovery::env::parse;
use svc_core::inventory::{Change, Inventory, Settings};
use svc_core::service::Service;
use svc_core::table::Source;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::config::{self, Config, Surroundings};

/// An admin server whose ready state and table a test can move.
struct Served {
    address: SocketAddr,
    ready: Arc<Ready>,
    table: Arc<ArcSwap<Table>>,
    _server: tokio::task::JoinSet<()>,
}

async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ready = Arc::new(Ready::new([Source::Manifests, Source::Environment]));
    let table = Arc::new(ArcSwap::from(table_of(&["web", "db"])));
    let flags = config::command().get_matches_from(["run"]);
    let admin = Admin {
        ready: ready.clone(),
        table: table.clone(),
        rejections: Arc::new(ArcSwap::from_pointee(vec![Rejection {
            object: "Service \"shop/bad\"".to_owned(),
            file: "bad.yaml".to_owned(),
            reason: "spec.ports: Required value".to_owned(),
        }])),
        ejected: Box::new(BTreeSet::new),
        tags: Tags::default(),
        metrics: Box::new(|format| format!("{format:?}\n")),
        settings: Config::read(&flags, &Surroundings::default()).unwrap().effective,
        bound: Arc::new(ArcSwap::from_pointee(BTreeMap::from([(
            "admin",
            vec!["127.0.0.1:15020".parse().unwrap()],
        )]))),
        token_file: None,
    };
    let mut server = JoinSet::new();
    server.spawn(serve(vec![listener], admin));
    Served { address, ready, table, _server: server }
}

/// A table with these Services, all as the environment would tell of them.
fn table_of(names: &[&str]) -> Arc<Table> {
    let pair = |(index, name): (u32, &&str)| {
        let prefix = name.to_ascii_uppercase();
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0001 + index);
        [
            (format!("{prefix}_SERVICE_HOST"), address.to_string()),
            (format!("{prefix}_SERVICE_PORT"), "80".into()),
        ]
    };
    let variables: Vec<_> = (0..).zip(names).flat_map(pair).collect();
    let found = parse(variables.iter().map(|(name, value)| (&**name, &**value)), &Arc::from("shop"));
    let change = |service: Service| Change::Service(service.name.clone(), Some(Arc::new(service)));
    let changes = found.services.into_iter().map(change).collect();
    let mut inventory =
        Inventory::new(Settings { sources: vec![Source::Environment], ..Settings::default() });
    inventory.apply(Source::Environment, changes).unwrap()
}

/// A response, in parts.
struct Got {
    status: u16,
    head: String,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

async fn send(address: SocketAddr, request: &str) -> Got {
    converse_by(TcpStream::connect(address).await.unwrap(), request).await
}

async fn converse_by(mut stream: TcpStream, request: &str) -> Got {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response).await; // a refusal may be followed by a reset
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Got { status, head: head.to_owned(), body: body.to_owned() }
}

async fn get(address: SocketAddr, path: &str) -> Got {
    send(address, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await
}

#[tokio::test]
async fn it_is_live_as_soon_as_it_answers() {
    let got = get(served().await.address, "/livez").await;
    assert_eq!((got.status, got.body.as_str()), (200, "ok\n"));
}

#[tokio::test]
async fn it_is_ready_once_nothing_is_missing_and_until_it_drains() {
    let served = served().await;
    let ready = async || {
        let got = get(served.address, "/readyz").await;
        (got.status, got.body)
    };
    let missing = "listeners: not bound yet\nsource manifests: no answer yet\nsource env: no answer yet\n";
    assert_eq!(ready().await, (503, missing.to_owned()));
    served.ready.listeners_bound();
    served.ready.source_answered(Source::Environment);
    assert_eq!(ready().await, (503, "source manifests: no answer yet\n".to_owned()));
    served.ready.source_answered(Source::Manifests);
    assert_eq!(ready().await, (200, "ok\n".to_owned()));
    served.ready.drain();
    assert_eq!(ready().await, (503, "draining: the sidecar ends\n".to_owned()));
}

#[tokio::test]
async fn a_source_that_never_answers_is_waited_for_no_longer_than_its_deadline() {
    let served = served().await;
    served.ready.listeners_bound();
    assert_eq!(get(served.address, "/readyz").await.status, 503);
    tokio::time::pause(); // jumps to the next deadline whenever everybody waits
    sleep(SOURCES_DEADLINE + Duration::from_millis(1)).await;
    tokio::time::resume();
    assert_eq!(get(served.address, "/readyz").await.status, 200);
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let served = served().await;
    for (accept, content_type, body) in [
        ("", "text/plain; version=0.0.4; charset=utf-8", "Text\n"),
        ("accept: */*\r\n", "text/plain; version=0.0.4; charset=utf-8", "Text\n"),
        (
            "accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "OpenMetrics\n",
        ),
    ] {
        let request = format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\n{accept}\r\n");
        let got = send(served.address, &request).await;
        assert_eq!(
            (got.header("content-type"), got.header("vary"), got.body.as_str()),
            (Some(content_type), Some("accept"), body),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn a_foreign_name_that_leads_here_opens_nothing_that_is_not_for_everybody() {
    let served = served().await;
    let ask = async |path: &str, host: &str| {
        send(served.address, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await.status
    };
    for own in ["localhost:15020", "127.0.0.1:15020", "[::1]:15020"] {
        assert_eq!(ask("/config", own).await, 200, "{own}");
    }
    for foreign in ["evil.example", "evil.example:15020", "localhost.evil.example", ""] {
        assert_eq!(ask("/config", foreign).await, 403, "{foreign}");
        assert_eq!(ask("/metrics", foreign).await, 200, "{foreign}");
    }
}

fn names(body: &str) -> Vec<ServiceName> {
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    let services = document["services"].as_array().unwrap().iter();
    services
        .map(|service| {
            ServiceName::new(service["namespace"].as_str().unwrap(), service["name"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn services_are_told_whole_or_in_part() {
    let served = served().await;
    let address = served.address;
    let all = get(address, "/services").await;
    assert_eq!(all.header("content-type"), Some("application/json"));
    assert_eq!(all.header("content-length"), Some(all.body.len().to_string().as_str()));
    assert_eq!(names(&all.body), [ServiceName::new("shop", "db"), ServiceName::new("shop", "web")]);
    assert!(all.body.contains("spec.ports: Required value"));
    assert_eq!(
        names(&get(address, "/services?namespace=shop&name=web").await.body),
        [ServiceName::new("shop", "web")]
    );
    assert_eq!(names(&get(address, "/services?namespace=&name=").await.body).len(), 2);
    assert_eq!(names(&get(address, "/services?namespace=other").await.body), []);
}

#[tokio::test]
async fn a_parameter_that_does_not_exist_is_named() {
    let got = get(served().await.address, "/services?nmae=web").await;
    assert_eq!(
        (got.status, got.body.as_str()),
        (400, "unknown parameter `nmae`: there are `namespace` and `name`\n")
    );
}

#[tokio::test]
async fn services_are_not_sent_again_while_nothing_changes() {
    let served = served().await;
    let first = get(served.address, "/services").await;
    let tag = first.header("etag").unwrap();
    let again = async |known: &str| {
        send(
            served.address,
            &format!("GET /services HTTP/1.1\r\nhost: localhost\r\nif-none-match: {known}\r\n\r\n"),
        )
        .await
    };
    for known in [tag, "*", &format!("\"other\", W/{tag}")] {
        let got = again(known).await;
        assert_eq!((got.status, got.body.as_str(), got.header("etag")), (304, "", Some(tag)), "{known}");
    }
    assert_eq!(again("\"other\"").await.status, 200);
    served.table.store(table_of(&["web", "db"])); // equal, though not the same
    assert_eq!(again(tag).await.status, 304);
    served.table.store(table_of(&["web"]));
    assert_eq!(again(tag).await.status, 200);
    assert_ne!(get(served.address, "/services?name=web").await.header("etag"), Some(tag));
}

#[tokio::test]
async fn a_document_of_many_chunks_arrives_whole() {
    let served = served().await;
    let names_told: Vec<String> = (0..2000).map(|index| format!("s{index}")).collect();
    served.table.store(table_of(&names_told.iter().map(String::as_str).collect::<Vec<_>>()));
    let got = get(served.address, "/services").await;
    assert!(got.body.len() > 10 * 64 * 1024, "{}", got.body.len());
    assert_eq!(names(&got.body).len(), 2000);
}

#[tokio::test]
async fn config_tells_the_pod_what_holds_and_what_was_bound() {
    let got = get(served().await.address, "/config").await;
    let config: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(
        config["settings"]["connect-timeout"],
        serde_json::json!({ "value": "1s", "from": "default" })
    );
    assert_eq!(config["bound"]["admin"][0], "127.0.0.1:15020");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let served = served().await;
    for path in ["/livez", "/readyz", "/metrics", "/services", "/config"] {
        let get = get(served.address, path).await;
        let head = send(served.address, &format!("HEAD {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        for name in ["content-length", "content-type", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn other_methods_and_other_paths_are_refused() {
    let served = served().await;
    let address = served.address;
    let post = send(address, "POST /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\nhi").await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(get(address, "/").await.status, 404);
    assert_eq!(get(address, "/livez/").await.status, 404);
    assert_eq!(send(address, "POST /x HTTP/1.1\r\nhost: localhost\r\n\r\n").await.status, 404);
}

#[tokio::test]
async fn a_request_that_is_too_long_or_none_is_refused() {
    let served = served().await;
    let address = served.address;
    let long = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(HEAD_BYTES_MAX));
    assert_eq!(send(address, &long).await.status, 431);
    assert_eq!(send(address, "\u{16}\u{3}\u{1}\r\n\r\n").await.status, 400);
}

#[tokio::test]
async fn a_fifth_address_is_served_while_four_hold_every_seat_in_silence() {
    let served = served().await;
    let connect = async |source: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
        socket.connect(served.address).await.unwrap()
    };
    let mut silent = Vec::new();
    for source in ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"] {
        for _ in 0..seats::CONNECTIONS_PER_PEER_MAX {
            silent.push(connect(source).await);
        }
    }
    assert_eq!(silent.len(), seats::CONNECTIONS_MAX);
    for _ in 0..20 {
        let got =
            converse_by(connect("127.0.0.6").await, "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(got.status, 200);
    }
    assert_eq!(silent[0].read(&mut [0]).await.unwrap(), 0, "who came first gave way");
}

#[tokio::test]
async fn peers_that_say_nothing_keep_nobody_else_out_and_lose_their_seats() {
    let served = served().await;
    let mut silent = Vec::new();
    for _ in 0..seats::CONNECTIONS_PER_PEER_MAX {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    let mut further = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(further.read(&mut [0]).await.unwrap(), 0);
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let other = other.connect(served.address).await.unwrap();
    assert_eq!(converse_by(other, "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.status, 200);
    tokio::time::pause();
    sleep(HEADER_DEADLINE + Duration::from_millis(1)).await;
    tokio::time::resume();
    silent[0].read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(get(served.address, "/livez").await.status, 200);
}
