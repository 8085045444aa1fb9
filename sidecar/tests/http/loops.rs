//! Ways that lead back to us: they end at their first turn.

use std::net::SocketAddr;

use super::backend::Backend;
use super::wire::Ending;
use super::world::{World, documents};

#[test]
fn a_service_whose_endpoint_is_its_own_address_is_one_failure_and_not_a_thousand() {
    for app_protocol in ["http", "tcp", ""] {
        let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let world = World::at(app_protocol, &[backend.address()], &[]);
        let own: SocketAddr = world.address().parse().expect("an address of ours");
        world.replace(&documents("", app_protocol, &[own]));
        let mut client = world.client();
        match app_protocol {
            "tcp" => {
                client.send("x");
                assert_eq!(client.until_it_ends(), (String::new(), Ending::Reset));
            }
            _ => {
                client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
                let response = client.response("GET").expect("an answer");
                let told = response.header("proxy-status").unwrap_or_default();
                assert!(response.status() == 502 && told.contains("proxy_loop_detected"), "{response}");
            }
        }
        world.records(&["MO"]);
    }
}
