//! A Service that is another name of one elsewhere: what its endpoints are asked for, and what clients hear of them.

use hyper::Request;
use hyper::header::HOST;

use super::backend::Backend;
use super::world::{PORT, World, ours};
use crate::http2::{Does, answer_of, connect, speaks_http2};

#[test]
fn an_endpoint_is_asked_by_its_own_name_and_told_the_clients() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let world = external("", "http", &backend);
    let address = world.address();
    for (request, asked) in [
        ("GET / HTTP/1.1\r\nHost: web\r\n\r\n", "web"),
        ("GET http://web.default:8080/ HTTP/1.1\r\nHost: other\r\n\r\n", "web.default:8080"),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &*address),
        ("GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "web"),
    ] {
        let mut client = world.client();
        client.send(request);
        assert_eq!(client.response("GET").map(|answer| answer.status()), Ok(200), "{request}");
        let seen = backend.take_requests().remove(0);
        assert!(seen.start.starts_with("GET / "), "{}", seen.start);
        let told = ["host", "x-forwarded-host"].map(|name| seen.header(name).unwrap_or_default());
        assert_eq!(told, [NAME, asked], "{request}");
        let forwarded = seen.header("forwarded").unwrap_or_default().replace('"', "");
        assert_eq!(forwarded, format!("for=127.0.0.1;host={asked};proto=http"), "{request}");
    }
}

#[tokio::test]
async fn so_is_one_that_speaks_http2_whatever_its_client_speaks() {
    let backend = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Answer));
    let world = external("", "grpc", &backend);
    let mut client = connect(&world).await;
    let request =
        Request::get("http://web/a?b").header(HOST, "web").header("content-type", "application/grpc");
    let (response, _, status) = answer_of(&mut client, request.body(()).unwrap()).await;
    assert_eq!((response.status().as_u16(), status.as_deref()), (200, Some("0")));
    let mut client = world.client();
    client.send("GET /a?b HTTP/1.1\r\nHost: web\r\n\r\n");
    assert_eq!(client.response("GET").map(|answer| answer.status()), Ok(200));
    for seen in backend.take_requests() {
        assert_eq!(seen.start, format!("GET http://{NAME}/a?b"));
        assert_eq!((seen.header("host"), seen.header("x-forwarded-host").as_deref()), (None, Some("web")));
    }
}

#[test]
fn answers_are_turned_back_to_the_clients_name_when_that_is_asked_for() {
    for (asks, location, cookie) in [
        ("rewrite-location: true", "http://web:99/next?a", "a=1; Path=/"),
        ("rewrite-location: false", LOCATION, COOKIE),
    ] {
        let backend = Backend::answering(MOVED);
        let world = external(asks, "http", &backend);
        for upgrade in ["", "Connection: upgrade\r\nUpgrade: websocket\r\n"] {
            let mut client = world.client();
            client.send(format!("GET / HTTP/1.1\r\nHost: web:99\r\n{upgrade}\r\n"));
            let answer = client.response("GET").expect("it is answered");
            let told = ["location", "set-cookie"].map(|name| answer.header(name).unwrap_or_default());
            assert_eq!(
                told,
                [location, &format!("{cookie} + b=2; Domain=elsewhere.test")],
                "{asks} {upgrade}"
            );
        }
    }
}

#[test]
fn what_a_service_asks_for_later_holds_for_the_next_request_and_cuts_none() {
    let backend = Backend::answering(MOVED);
    let world = external("", "http", &backend);
    let mut client = world.client();
    let mut ask = || {
        client.send("GET / HTTP/1.1\r\nHost: web:99\r\n\r\n");
        let answer = client.response("GET").expect("the connection goes on");
        (answer.header("location"), backend.take_requests().remove(0).header("host"))
    };
    assert_eq!(ask(), (Some(LOCATION.into()), Some(NAME.into())));
    world.replace(&documents("rewrite-location: true", "http", &backend));
    assert_eq!(ask(), (Some("http://web:99/next?a".into()), Some(NAME.into())));
    let own = super::world::documents("", "http", &[backend.address()]);
    world.replace(&own); // a selector instead of a name
    assert_eq!(ask(), (Some(LOCATION.into()), Some("web:99".into())));
}

/// `web`, another name of the Service `pods`, with these of our annotations.
fn external(annotations: &str, app_protocol: &str, backend: &Backend) -> World {
    World::over(&documents(annotations, app_protocol, backend), &[])
}

fn documents(annotations: &str, app_protocol: &str, backend: &Backend) -> Vec<String> {
    let mut documents = super::world::documents("", app_protocol, &[backend.address()]);
    for document in &mut documents {
        *document =
            document.replace("name: web", "name: pods").replace("service-name: web", "service-name: pods");
    }
    documents.push(format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: web, annotations: {{ {} }} }}\nspec:\n  type: ExternalName\n  \
         externalName: pods.default.svc.cluster.local\n  ports: [{{ port: {PORT}, appProtocol: {app_protocol} }}]\n",
        ours(annotations)
    ));
    documents
}

const NAME: &str = "pods.default.svc.cluster.local:8080";
const LOCATION: &str = "http://pods.default.svc.cluster.local:8080/next?a";
const COOKIE: &str = "a=1; Domain=svc.cluster.local; Path=/";
const MOVED: &str = "HTTP/1.1 302 Found\r\nLocation: http://pods.default.svc.cluster.local:8080/next?a\r\n\
                     Set-Cookie: a=1; Domain=svc.cluster.local; Path=/\r\nSet-Cookie: b=2; Domain=elsewhere.test\r\n\
                     Content-Length: 0\r\n\r\n";
