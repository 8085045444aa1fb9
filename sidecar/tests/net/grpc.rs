//! gRPC: one channel, many calls; and streams that outlive everything around them.

use std::fmt::Write as _;
use std::time::Duration;

use crate::support::*;

#[test]
fn the_calls_of_one_channel_spread_over_all_endpoints() {
    isolated(|| {
        let pod = Pod::here();
        let _servers = three_servers(&pod);
        let _sidecar = Sidecar::start(echo(), VIP);
        assert_eq!(grpc_client("127.66.0.1:50051", &["unary", "30"]), "a=10 b=10 c=10");
    });
}

#[test]
fn a_status_in_the_trailers_reaches_the_client() {
    isolated(|| {
        let pod = Pod::here();
        let _servers = three_servers(&pod);
        let _sidecar = Sidecar::start(echo(), VIP);
        let said = grpc_client("127.66.0.1:50051", &["fail"]);
        assert!(["a", "b", "c"].iter().any(|name| said == format!("RESOURCE_EXHAUSTED {name}")), "{said}");
    });
}

#[test]
fn a_stream_survives_whatever_changes_elsewhere() {
    isolated(|| {
        let pod = Pod::here();
        let _servers = three_servers(&pod);
        let sidecar = Sidecar::start(echo(), VIP);
        let mut stream = grpc_chat("127.66.0.1:50051", MESSAGES);
        let equal = text();
        for round in 0..1000 {
            sidecar.manifests().write("test.yaml", &equal);
            if round % 10 == 0 {
                let address = format!("10.96.1.{}", round / 10 + 1);
                sidecar.manifests().write("other.yaml", &service("other", &[&address], 80, "http"));
            }
        }
        assert!(stream.is_running(), "the changes came too late to show anything");
        stream.wait(Duration::from_secs(120));
        assert_eq!(stream.output().lines().last(), Some(MESSAGES), "{}", stream.log());
    });
}

const MESSAGES: &str = "100000";

/// Makes `echo` listen at 127.66.0.1.
const VIP: &[&str] = &["--loopback-vips", "echo.default=127.66.0.1"];

fn echo() -> Manifests {
    Manifests::of(&[text()])
}

fn text() -> String {
    let addresses = [1, 2, 3].map(Pod::backend_v4);
    let addresses = addresses.each_ref().map(String::as_str);
    let mut text = service("echo", &["10.96.0.40"], 50051, "grpc");
    text = text.replacen("name: echo", &format!("name: echo, {IN_TURN}"), 1);
    write!(text, "---\n{}", slice("echo", &addresses, 50051)).expect("a string takes any text");
    text
}

fn three_servers(pod: &Pod) -> [GrpcServer; 3] {
    [("a", 1), ("b", 2), ("c", 3)].map(|(name, number)| {
        pod.node.enter(|| GrpcServer::start(name, &format!("{}:50051", Pod::backend_v4(number))))
    })
}
