//! Real name servers behind a UDP Service, asked by real clients.

use std::fs;

use super::sockets::{kernel_drops, kernel_drops_at};
use super::*;

#[test]
fn a_resolver_asks_three_name_servers_by_one_address() {
    isolated(|| {
        let pod = Pod::here();
        let servers = [1, 2, 3].map(|number| name_server(&pod, number, &[]));
        servers.iter().for_each(|server| server.know(&[("web.test", &["10.9.9.9"])]));
        let sidecar = Sidecar::start(Manifests::of(&dns([1, 2, 3])), DNS_VIP);
        for _ in 0..9 {
            assert_eq!(kdig(&["web.test", "+short"]), "10.9.9.9\n");
        }
        for server in &servers {
            assert_eq!(server.queries("web.test"), 3);
        }
        assert_eq!(flows(&sidecar), 9, "each question is one");
        until_answered(&sidecar, 9);
    });
}

#[test]
fn a_long_answer_comes_whole_and_one_over_tcp_by_the_same_port() {
    isolated(|| {
        let pod = Pod::here();
        let server = name_server(&pod, 1, &["--edns-packet-max=65000"]);
        let addresses: Vec<String> = (0..200).map(|last| format!("10.9.9.{last}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        server.know(&[("many.test", &addresses)]);
        let _sidecar = Sidecar::start(Manifests::of(&dns([1])), DNS_VIP);
        let count = |options: &[&str]| kdig(&[&["many.test", "+short"], options].concat()).lines().count();
        assert_eq!(count(&["+bufsize=65000", "+ignore"]), 200, "3 KiB in fragments");
        assert_eq!(count(&["+tcp"]), 200);
    });
}

/// 30 s at 10,000 questions a second, if the machine has that to give: what is held here are counts, whatever the pace. No more than 200
/// questions are open at a time, so that a pause of ours stops the client before it fills a buffer.
#[test]
fn dnsperf_loses_nothing() {
    isolated(|| {
        let pod = Pod::here();
        let answer = ["--address=/perf.test/10.9.9.9"];
        let _servers = [1, 2, 3].map(|number| quiet_name_server(&pod, number, &answer));
        let mut sidecar = Sidecar::start(Manifests::of(&dns([1, 2, 3])), DNS_VIP);
        let questions = sidecar.process().folder().join("questions");
        fs::write(&questions, (0..100).map(|name| format!("{name}.perf.test A\n")).collect::<String>())
            .expect("the folder is ours");
        let questions = questions.to_str().expect("our folders have plain names");
        let pace = ["-Q", "10000", "-l", "30", "-q", "200", "-c", "40"];
        let report = output_of("dnsperf", &[&["-s", "127.66.0.53", "-d", questions][..], &pace].concat());
        let (sent, completed) = (figure(&report, "Queries sent:"), figure(&report, "Queries completed:"));
        until_answered(&sidecar, datagrams(&sidecar, "received", "to_client"));
        let (kernel, unheard) = (kernel_drops(), kernel_drops_at(DNS));
        let counts = |flow| ["received", "forwarded", "dropped"].map(|what| datagrams(&sidecar, what, flow));
        let (up, down) = (counts("to_upstream"), counts("to_client"));
        println!(
            "dnsperf sent {sent}, completed {completed}; to servers {up:?}, back {down:?}, kernel drops {kernel}"
        );
        println!("{} KiB of memory at most", sidecar.process().peak_rss_kib());
        assert!(sent > 0 && kernel * 10_000 <= sent, "{kernel} drops");
        assert_eq!(up, [sent - unheard, sent - unheard, 0]);
        assert_eq!((down[0], down[2]), (down[1], 0));
        assert!(down[1] >= completed && completed + completed / 1000 >= sent, "{report}");
        assert_eq!(flows(&sidecar), 40);
    });
}

/// The Service `dns` over these addresses of the node, at both transports.
fn dns(endpoints: impl IntoIterator<Item = u8>) -> [String; 2] {
    let addresses: Vec<String> = endpoints.into_iter().map(Pod::backend_v4).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let both = "{ name: udp, port: 53, protocol: UDP }, { name: tcp, port: 53, appProtocol: tcp }";
    let documents = [udp_service("dns", "10.96.0.53", 53), udp_slice("dns", &addresses, 53)];
    documents.map(|document| document.replace("{ port: 53, protocol: UDP }", both))
}

const DNS_VIP: &[&str] = &["--loopback-vips", "dns.default=127.66.0.53"];

const DNS: &str = "127.66.0.53:53";

fn name_server(pod: &Pod, number: u8, options: &[&str]) -> Dnsmasq {
    pod.node.enter(|| Dnsmasq::start(&Pod::backend_v4(number), 60, options))
}

fn quiet_name_server(pod: &Pod, number: u8, options: &[&str]) -> Dnsmasq {
    pod.node.enter(|| Dnsmasq::start_quiet(&Pod::backend_v4(number), 60, options))
}

fn kdig(arguments: &[&str]) -> String {
    output_of("kdig", &[&["@127.66.0.53"], arguments].concat())
}

/// The number after `label` in what dnsperf printed.
fn figure(report: &str, label: &str) -> u64 {
    let line = report.lines().find_map(|line| line.trim_start().strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no `{label}` in: {report}"))
}
