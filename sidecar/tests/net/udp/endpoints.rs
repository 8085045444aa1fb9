//! Endpoints that leave, refuse, or are not there: where their flows go.

use super::*;

#[test]
fn flows_of_an_endpoint_that_leaves_move_with_their_next_datagram_and_no_others() {
    isolated(|| {
        let pod = Pod::here();
        let _echoes = [1, 2, 3].map(|number| Echo::start(&pod, number));
        let arguments = [VIP, &["--workers", "2"]].concat();
        let sidecar = Sidecar::start(Manifests::of(&[documents([1, 2, 3])]), &arguments);
        let clients: Vec<Client> = (0..60).map(|_| Client::new()).collect();
        let before: Vec<u8> = clients.iter().map(Client::ask).collect();
        assert!((1..=3).all(|number| before.contains(&number)));
        replace(&sidecar, &documents([1, 3]));
        let after: Vec<u8> = clients.iter().map(Client::ask).collect();
        for (before, after) in before.iter().zip(&after) {
            assert!(*after != 2 && (after == before || *before == 2), "{before} became {after}");
        }
        assert!(clients.iter().map(Client::ask).eq(after));
        assert_eq!((flows(&sidecar), datagrams(&sidecar, "dropped", "to_upstream")), (60, 0));
    });
}

#[test]
fn a_service_scaled_to_zero_and_back_answers_the_same_client() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 2);
        let sidecar = Sidecar::start(Manifests::of(&[documents([1])]), VIP);
        replace(&sidecar, &documents([2]));
        let client = Client::new();
        assert_eq!(client.ask(), 2);
        replace(&sidecar, &documents([]));
        for count in 1..=2 {
            client.send(b"?");
            until("it is dropped", || (dropped(&sidecar, "no-endpoints") == count).then_some(()));
        }
        assert_eq!(flows(&sidecar), 0);
        assert_eq!(sidecar.failures("MN"), 2);
        assert_eq!(codes(&sidecar, 1), ["MN"], "the flow has a record, the datagram that began none has not");
        replace(&sidecar, &documents([2]));
        assert_eq!(client.ask(), 2);
    });
}

#[test]
fn flows_end_with_their_service() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let sidecar = Sidecar::start(Manifests::of(&[documents([1])]), VIP);
        let client = Client::new();
        assert_eq!(client.ask(), 1);
        let other =
            [udp_service("other", "10.96.0.8", 8), udp_slice("other", &["10.1.1.1"], 7)].join("---\n");
        sidecar.manifests().write("test.yaml", &other);
        until("its flows are over", || (flows(&sidecar) == 0).then_some(()));
        until("nobody listens there any more", || client.try_ask().err());
        assert_eq!(codes(&sidecar, 1), [serde_json::Value::Null]);
    });
}

#[test]
fn an_endpoint_that_refuses_loses_its_flows_and_is_ejected() {
    isolated(|| {
        let pod = Pod::here();
        let (_staying, leaving) = (Echo::start(&pod, 1), Echo::start(&pod, 2));
        let sidecar = Sidecar::start(Manifests::of(&[documents([1, 2])]), VIP);
        let clients: Vec<Client> = (0..20).map(|_| Client::new()).collect();
        let moving = clients.iter().map(Client::ask).filter(|answer| *answer == 2).count();
        assert_eq!(moving, 10);
        drop(leaving);
        for client in &clients {
            assert_eq!(client.ask_until_answered(), 1);
        }
        let ejections = "svcmesh_ejections_total{service=\"default/echo\",reason=\"consecutive\"}";
        assert_eq!(sidecar.measured(ejections), [1]);
        // Five refusals eject it. The flows that had it by then leave without having been refused; each one's way there was lost once at most.
        let refused = sidecar.measured("svcmesh_retries_total{reason=\"UR\"}")[0];
        assert!((5..=10).contains(&refused), "{refused} flows were refused");
        assert_eq!(flows(&sidecar), 20);

        let _again = Echo::start(&pod, 2);
        let both = until("somebody finds out that it is back, and others follow", || {
            let answers: Vec<u8> = (0..10).map(|_| Client::new().ask()).collect();
            answers
                .contains(&1)
                .then_some(answers.iter().filter(|answer| **answer == 2).count())
                .filter(|n| *n > 2)
        });
        assert!(both <= 5, "{both} of 10 in turn");
    });
}

#[test]
fn an_ejected_endpoint_that_takes_datagrams_and_answers_none_is_used_again() {
    isolated(|| {
        let pod = Pod::here();
        let _other = Echo::start(&pod, 1);
        let sidecar = Sidecar::start(Manifests::of(&[documents([1, 2])]), VIP);
        let ejected =
            || sidecar.measured("svcmesh_endpoints{service=\"default/echo\",state=\"ejected\"}") == [1];
        until("nobody listens there", || {
            Client::new().try_ask_for(Duration::from_millis(20));
            ejected().then_some(())
        });
        let deaf = pod.node.enter(|| UdpSocket::bind((Pod::backend_v4(2).as_str(), 7))).expect("it is free");
        let mut clients = Vec::new();
        until("a new client has found out", || {
            clients.push(Client::new());
            clients.iter().for_each(|client| client.send(b"log this"));
            (!ejected()).then_some(())
        });
        let (length, _from) = deaf.recv_from(&mut [0; 8]).expect("datagrams have come");
        assert_eq!(length, 8);
    });
}

#[test]
fn the_only_endpoint_may_refuse_and_come_back() {
    isolated(|| {
        let pod = Pod::here();
        let sidecar = Sidecar::start(Manifests::of(&[annotated("idle-timeout: 3s", [1])]), VIP);
        let (patient, other) = (Client::new(), Client::new());
        for _ in 0..5 {
            patient.send(b"?");
            until("it is refused", || (sidecar.measured("svcmesh_udp_flows ") == [1]).then_some(()));
        }
        other.send(b"?");
        let record = until("who gave up is recorded", || {
            patient.send(b"?");
            records(&sidecar).into_iter().next()
        });
        assert_eq!((&record["failure.code"], &record["bytes.out"]), (&"UR".into(), &0.into()), "{record}");
        assert_eq!(record["client.address"], other.addr().to_string());
        let _echo = Echo::start(&pod, 1);
        assert_eq!(patient.ask_until_answered(), 1);
    });
}

#[test]
fn an_endpoint_to_which_there_is_no_way_is_passed_over() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let no_way = ["route", "add", "unreachable", "10.1.1.3/32"];
        assert_eq!(output_of("ip", &no_way), "");
        let sidecar = Sidecar::start(Manifests::of(&[documents([1, 3])]), VIP);
        let clients: Vec<Client> = (0..10).map(|_| Client::new()).collect();
        assert!(clients.iter().all(|client| client.ask() == 1), "not even the first datagram is lost");
        assert_eq!(datagrams(&sidecar, "dropped", "to_upstream"), 0);
        assert!(sidecar.measured("svcmesh_retries_total{reason=\"UC\"}")[0] >= 5);
    });
}

#[test]
fn an_endpoint_that_leads_back_to_us_is_not_sent_anything() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let itself = documents([1]).replace("10.1.1.1", "127.66.0.7");
        let arguments = [VIP, &["--allow-loopback-endpoints"]].concat();
        let sidecar = Sidecar::start(Manifests::of(&[itself]), &arguments);
        Client::new().send(b"?");
        until("it is dropped", || (dropped(&sidecar, "unreachable") == 1).then_some(()));
        assert_eq!(datagrams(&sidecar, "received", "to_upstream"), 1);
        assert_eq!(sidecar.failures("MO"), 1);
    });
}

/// Puts other manifests in place, and waits until they are in force.
fn replace(sidecar: &Sidecar, documents: &str) {
    let applied =
        || sidecar.measured("svcmesh_discovery_updates_total{source=\"manifests\",result=\"applied\"}")[0];
    let before = applied();
    sidecar.manifests().write("test.yaml", documents);
    until("the file has been read", || (applied() > before).then_some(()));
}
