//! Requests that are refused: told why, and recorded with what can be read of them, whoever has found out.

use hyper::Request;

use super::backend::Backend;
use super::http2::{answer_of, connect};
use super::table::OK;
use super::world::World;

#[test]
fn every_refusal_says_whose_it_is_and_has_a_record() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let long = "a".repeat(70 * 1024);
    let many = "X: a\r\n".repeat(300);
    // What is sent; status, code, method, path and host of the record.
    let rows: [(String, [&str; 5]); 10] = [
        ("GET /1?a HTTP/1.2\r\nHost: web\r\n\r\n".into(), ["400", "CR", "GET", "/1?a", "web"]),
        ("GET /2 HTTP/1.1\r\nHost: web\r\nX : a\r\n\r\n".into(), ["400", "CR", "GET", "/2", "web"]),
        ("POST /3 HTTP/1.1\nHost: web\n\n".into(), ["400", "CR", "POST", "/3", "web"]),
        (
            "GET /4 HTTP/1.1\r\nHost: web\r\nContent-Length: x\r\n\r\n".into(),
            ["400", "CR", "GET", "/4", "web"],
        ),
        (format!("GET /5 HTTP/1.1\r\nHost: web\r\nX: {long}\r\n\r\n"), ["431", "CB", "GET", "/5", "web"]),
        (format!("GET /6 HTTP/1.1\r\nHost: web\r\n{many}\r\n"), ["431", "CB", "GET", "/6", "web"]),
        ("\x01\x02\r\n\r\n".into(), ["400", "CR", "-", "-", "-"]),
        ("GET /8 HTTP/1.1\r\n\r\n".into(), ["400", "CR", "GET", "/8", ""]),
        ("GET /9 HTTP/1.1\r\nHost: user:secret@web\r\n\r\n".into(), ["400", "CR", "GET", "/9", "web"]),
        (
            "GET http://user:secret@web/10 HTTP/1.1\r\nHost: web\r\n\r\n".into(),
            ["400", "CR", "GET", "/10", "web"],
        ),
    ];
    for (number, (sent, expected)) in rows.iter().enumerate() {
        let mut client = world.client();
        client.send(sent);
        let shown: String = sent.chars().take(60).collect();
        let response = client.response("GET").unwrap_or_else(|broken| panic!("{shown:?}: {broken:?}"));
        assert_eq!(response.status().to_string(), expected[0], "{shown:?}");
        let proxy_status = response.header("proxy-status").unwrap_or_default();
        assert!(
            proxy_status.starts_with("svcmesh; error=http_request_error; details="),
            "{shown:?}: {response:?}"
        );
        assert_eq!(response.header("connection").as_deref(), Some("close"), "{shown:?}");
        assert!(client.is_closed(), "{shown:?}");
        let log = world.logged(number + 1);
        let text = |name: &str| log[number][name].as_str().unwrap_or("-").to_owned();
        let logged = ["failure.code", "request.method", "request.path", "request.host"].map(text);
        assert_eq!(logged, expected[1..], "{shown:?}: {}", log[number]);
    }
    world.counts("svcmesh_failures_total{service=\"\",code=\"CB\"} 2");
    world.counts("svcmesh_floods_total{kind=\"long-head\"} 2");
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_large_head_over_http2_is_refused_as_over_http1() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = connect(&world).await;
    let request = Request::get("http://web/a?b").header("x", "a".repeat(70 * 1024)).body(());
    let (response, text, _) = answer_of(&mut client, request.expect("a request")).await;
    assert_eq!(response.status(), 431, "{text}");
    let proxy_status = response.headers().get("proxy-status").map(|status| status.as_bytes().escape_ascii());
    let proxy_status = proxy_status.map(|status| status.to_string()).unwrap_or_default();
    assert!(proxy_status.starts_with("svcmesh; error=http_request_error; details="), "{response:?}");
    let log = world.logged(1);
    let logged = ["failure.code", "request.method", "request.path", "request.host"]
        .map(|name| log[0][name].as_str().unwrap_or("-").to_owned());
    assert_eq!(logged, ["CB", "GET", "/a?b", "web"]);
    world.counts("svcmesh_floods_total{kind=\"long-head\"} 1");
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_refusal_comes_in_its_turn() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("GET /1 HTTP/1.1\r\nHost: web\r\n\r\nPOST /2 HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nokGET /3 HTTP/1.1\nHost: web\n\nGET /4 HTTP/1.1\r\nHost: web\r\n\r\n");
    let statuses = [(); 3].map(|()| client.response("GET").map(|response| response.status()));
    assert_eq!(statuses, [Ok(200), Ok(200), Ok(400)]);
    assert!(client.is_closed());
    assert_eq!(backend.take_requests().len(), 2);
    world.records(&["-", "-", "CR"]);
}

#[test]
fn the_refusal_of_head_has_no_body() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("HEAD / HTTP/1.1\r\nHost : web\r\n\r\n");
    assert_eq!(client.response("HEAD").map(|response| response.status()), Ok(400));
    assert!(client.is_closed());
}

#[test]
fn an_interim_response_is_counted_where_no_client_is_told_of_it() {
    let backend = Backend::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    );
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    assert_eq!(
        client.response("GET").map(|response| response.to_string()).as_deref(),
        Ok("HTTP/1.1 200 OK | content-length: 2 | ok")
    );
    world.counts("svcmesh_interim_responses_dropped_total 2");
    world.counts("svcmesh_bare_line_feeds_total 1");
}
