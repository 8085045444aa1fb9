//! The tour: lines to type, in an order that tells a story, and what each must show.

use super::claims::OutputClaim;
use super::ports::DemoPorts;
use super::process::Vips;

/// One stop of the tour.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    pub(super) title: &'static str,
    /// Lines for a shell, from the first to the last.
    pub(super) lines: Vec<String>,
    pub(super) claims: Vec<OutputClaim>,
}

/// Every stop, for these ports and addresses.
pub(super) fn stops(ports: &DemoPorts, vips: &Vips) -> Vec<Stop> {
    let DemoPorts { http, admin, lines, forward_proxy, pages, .. } = ports;
    let vip = |service: &str| vips.get(service).map(ToString::to_string).unwrap_or_default();
    let (shop, search, greeter) = (vip("shop"), vip("search"), vip("greeter"));
    let proxy = format!("http://127.0.0.1:{forward_proxy}");
    let pages = format!("http://127.0.0.1:{pages}");
    let ask_search = format!("curl -sS 'http://{search}:{http}/[1-6]' | cut -d: -f1 | sort | uniq -c");
    vec![
        stop(
            "A Service at its loopback address; the pod tells what it saw",
            [format!("curl -sS http://{shop}:{http}/cart")],
            &[(1, "GET /cart at port http"), (1, "X-Forwarded-For 127.0.0.1")],
        ),
        stop(
            "Thirty requests over one connection: ten for each pod",
            [
                format!("curl -sS -w 'sent from port %{{local_port}}\\n' 'http://{shop}:{http}/[1-30]' \\"),
                "  | cut -d: -f1 | sort | uniq -c".to_owned(),
            ],
            &[(1, "10 pod-a"), (1, "10 pod-b"), (1, "10 pod-c"), (1, "30 sent from port")],
        ),
        stop(
            "Its second port: `targetPort: admin` is the port that the pods call so",
            [format!("curl -sS http://{shop}:{admin}/health")],
            &[(1, "GET /health at port admin")],
        ),
        stop(
            "A Service without selector, by its name through the forward proxy; forged headers are dropped",
            [format!("curl -sS -x {proxy} -H 'X-Forwarded-For: 203.0.113.6' http://orders:{http}/new")],
            &[(1, "GET /new"), (1, "X-Forwarded-For 127.0.0.1"), (0, "203.0.113.6"), (0, "pod-c")],
        ),
        stop(
            "A tunnel (CONNECT) to a Service: its bytes are the client's own",
            [format!("curl -sS -p -x {proxy} http://shop.demo.svc.cluster.local:{http}/tunnel")],
            &[(1, "GET /tunnel"), (1, "X-Forwarded-For none")],
        ),
        stop(
            "Not HTTP, and the server speaks first",
            [format!("printf 'hello\\nbye\\n' | curl -sS telnet://{greeter}:{lines}")],
            &[(1, "greeter: say something"), (1, "greeter: you said hello"), (1, "greeter: you said bye")],
        ),
        stop(
            "A Service with two EndpointSlices: its endpoints are merged",
            [ask_search.clone()],
            &[(1, "2 pod-a"), (1, "2 pod-b"), (1, "2 pod-c")],
        ),
        stop(
            "A live change: one endpoint is not ready any more, and a second later it gets nothing",
            [
                "sed -i 's/ready: true/ready: false/' manifests/search-2.yaml; sleep 1".to_owned(),
                ask_search.clone(),
            ],
            &[(1, "3 pod-a"), (1, "3 pod-b"), (0, "pod-c")],
        ),
        stop(
            "It is back",
            ["sed -i 's/ready: false/ready: true/' manifests/search-2.yaml; sleep 1".to_owned(), ask_search],
            &[(1, "2 pod-a"), (1, "2 pod-b"), (1, "2 pod-c")],
        ),
        stop(
            "A broken manifest is refused in the API server's words; the others serve",
            [
                format!("sed 's/: orders/: broken/; s/port: {http}/port: 0/' manifests/orders.yaml \\"),
                "  > manifests/broken.yaml; sleep 1".to_owned(),
                "grep -o 'file=.*' sidecar.log".to_owned(),
                format!("curl -sS -x {proxy} http://orders:{http}/still-there; rm manifests/broken.yaml"),
            ],
            &[
                (1, "broken.yaml:"),
                (1, "spec.ports[0].port: Invalid value: 0: must be"),
                (1, "GET /still-there"),
            ],
        ),
        stop(
            "A name that is no Service gets a clear answer",
            [format!("curl -sS -w 'status %{{http_code}}\\n' -x {proxy} http://basket:{http}/")],
            &[(1, "svcmesh: "), (1, "status 502")],
        ),
        stop(
            "What the sidecar knows",
            [format!("curl -sS '{pages}/services?name=orders' | grep -o '\"address\":[^:]*:[0-9]*'")],
            &[(2, "\"address\""), (1, "127.0.0.11"), (1, "127.0.0.12")],
        ),
        stop(
            "What it counted",
            [format!("curl -sS {pages}/metrics | grep 'requests_total.*search' | cut -d, -f3-")],
            &[(3, "code=\"200\","), (1, "127.0.0.11"), (1, "127.0.0.12"), (1, "127.0.0.13")],
        ),
    ]
}

fn stop<const N: usize>(title: &'static str, lines: [String; N], claims: &[(usize, &'static str)]) -> Stop {
    let claims = claims.iter().map(|&(lines, text)| OutputClaim { lines, text }).collect();
    Stop { title, lines: lines.into(), claims }
}
