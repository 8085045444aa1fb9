//! Cluster DNS from the API, by the Kubernetes DNS specification 1.1.0. Names outside of the cluster's domain do not exist.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, PTR, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::{Result, services};

/// What names are answered from.
pub(crate) trait Zone: Send + Sync + 'static {
    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>>;
    fn services(&self) -> Vec<Arc<Service>>;
    fn slices(&self) -> Vec<Arc<EndpointSlice>>;
}

/// Answers at `address` for ever.
pub(crate) async fn serve(address: SocketAddr, zone: Arc<dyn Zone>, domain: String) -> Result<()> {
    let socket = Arc::new(
        UdpSocket::bind(address).await.map_err(|error| format!("cannot listen at {address}: {error}"))?,
    );
    let listener = TcpListener::bind(address).await?;
    let (streams, own_domain) = (Arc::clone(&zone), domain.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (zone, domain) = (Arc::clone(&streams), own_domain.clone());
            tokio::spawn(async move { stream_of(stream, zone, &domain).await });
        }
    });
    let mut buffer = [0; 4096];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await?;
        let Some((message, size)) = reply(&buffer[..length], &*zone, &domain) else { continue };
        let bytes = message.to_vec()?;
        let bytes = if bytes.len() > size { message.truncate().to_vec()? } else { bytes };
        let _lost = socket.send_to(&bytes, client).await;
    }
}

async fn stream_of(mut stream: TcpStream, zone: Arc<dyn Zone>, domain: &str) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; usize::from(length)];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let Some((message, _)) = reply(&question, &*zone, domain) else { return };
        let Ok(bytes) = message.to_vec() else { return };
        let Ok(length) = u16::try_from(bytes.len()) else { return };
        if stream.write_u16(length).await.is_err() || stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// The answer to a message, and the size that its client takes by UDP.
fn reply(question: &[u8], zone: &dyn Zone, domain: &str) -> Option<(Message, usize)> {
    let asked = Message::from_vec(question).ok()?;
    let mut message = Message::response(asked.metadata.id, asked.metadata.op_code);
    message.metadata.recursion_desired = asked.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    if asked.edns.is_some() {
        message.set_edns(hickory_proto::op::Edns::new());
    }
    let size = usize::from(asked.max_payload()).clamp(512, 4096);
    let Some(query) = asked.queries.first().filter(|_| asked.metadata.op_code == OpCode::Query) else {
        message.metadata.response_code = ResponseCode::NotImp;
        return Some((message, size));
    };
    message.add_query(query.clone());
    let answer = answer(query.name(), query.query_type(), zone, domain);
    message.metadata.authoritative = answer.ours;
    message.metadata.response_code =
        if answer.exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
    if answer.records.is_empty() && answer.ours {
        message.add_authorities(soa(domain));
    }
    message.add_answers(answer.records);
    Some((message, size))
}

/// The answer to a question about one name.
#[derive(Default)]
struct Answer {
    /// It lies in the cluster's domain.
    ours: bool,
    exists: bool,
    records: Vec<Record>,
}

fn answer(name: &Name, kind: RecordType, zone: &dyn Zone, domain: &str) -> Answer {
    let text = name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    if let Some(address) = reverse(&text) {
        let found = find_address(address, zone, domain);
        let records: Vec<Record> =
            found.iter().filter_map(|to| record(name, RData::PTR(PTR(to.parse().ok()?)))).collect();
        return Answer { ours: true, exists: !records.is_empty(), records };
    }
    let Some(rest) = text.strip_suffix(domain).map(|rest| rest.trim_end_matches('.')) else {
        return Answer::default();
    };
    let labels: Vec<&str> = rest.rsplit('.').filter(|label| !label.is_empty()).collect();
    let absent = Answer { ours: true, ..Answer::default() };
    let found = match labels[..] {
        [] | ["svc"] => Found { exists: true, ..Found::default() },
        ["svc", namespace] => Found {
            exists: zone
                .services()
                .iter()
                .any(|service| service.metadata.namespace.as_deref() == Some(namespace)),
            ..Found::default()
        },
        ["svc", namespace, service, ref inner @ ..] => match zone.service(namespace, service) {
            Some(service) => find(&service, inner, zone, domain),
            None => return absent,
        },
        _ => return absent,
    };
    let mut records: Vec<Record> = Vec::new();
    for data in found.data {
        if data.record_type() == kind || data.record_type() == RecordType::CNAME {
            records.extend(record(name, data));
        }
    }
    Answer { ours: true, exists: found.exists, records }
}

#[derive(Default)]
struct Found {
    exists: bool,
    data: Vec<RData>,
}

/// What lies at a Service's name, or below it.
fn find(service: &Service, inner: &[&str], zone: &dyn Zone, domain: &str) -> Found {
    let Some(spec) = &service.spec else { return Found::default() };
    if spec.type_.as_deref() == Some("ExternalName") {
        let name = spec.external_name.as_deref().map(|name| format!("{}.", name.trim_end_matches('.')));
        let name = name.and_then(|name| name.parse().ok()).filter(|_| inner.is_empty());
        return Found {
            exists: inner.is_empty(),
            data: name.map(|name| RData::CNAME(CNAME(name))).into_iter().collect(),
        };
    }
    let ips = services::cluster_ips(service);
    let all = zone.slices();
    let slices = services::slices(service, all.iter().map(|slice| &**slice));
    let own = name_of(service, domain);
    match inner {
        [] if ips.is_empty() => {
            let data: Vec<RData> =
                endpoints(service, &slices).into_iter().map(|(address, _)| data(address)).collect();
            Found { exists: !data.is_empty(), data }
        }
        [] => Found { exists: true, data: ips.into_iter().map(data).collect() },
        [protocol @ ("_tcp" | "_udp")] => {
            let has = spec
                .ports
                .iter()
                .flatten()
                .any(|port| format!("_{}", protocol_of(port.protocol.as_ref())) == **protocol);
            Found { exists: has, data: Vec::new() }
        }
        [protocol, name] if name.starts_with('_') => {
            let mut data = Vec::new();
            for port in spec.ports.iter().flatten() {
                let named = port.name.as_deref() == Some(&name[1..]);
                if !named || format!("_{}", protocol_of(port.protocol.as_ref())) != **protocol {
                    continue;
                }
                if ips.is_empty() {
                    data.extend(headless_srv(service, port, &slices, &own));
                } else if let (Ok(number), Ok(target)) = (u16::try_from(port.port), format!("{own}.").parse())
                {
                    data.push(RData::SRV(SRV::new(0, 100, number, target)));
                }
            }
            Found { exists: !data.is_empty(), data }
        }
        [host] => {
            let matching = endpoints(service, &slices).into_iter().filter(|(_, name)| name == host);
            let data: Vec<RData> = matching.map(|(address, _)| data(address)).collect();
            Found { exists: !data.is_empty(), data }
        }
        _ => Found::default(),
    }
}

fn headless_srv(
    service: &Service,
    port: &k8s_openapi::api::core::v1::ServicePort,
    slices: &[&EndpointSlice],
    own: &str,
) -> Vec<RData> {
    let names = endpoints(service, slices);
    let targets = [false, true].into_iter().flat_map(|v6| services::targets(port, v6, slices));
    targets
        .filter_map(|(address, number)| {
            let (_, host) = names.iter().find(|(known, _)| *known == address)?;
            Some(RData::SRV(SRV::new(0, 100, number, format!("{host}.{own}.").parse().ok()?)))
        })
        .collect()
}

/// The ready endpoints of a Service with their host names: their own, else one made of the address.
fn endpoints(service: &Service, slices: &[&EndpointSlice]) -> Vec<(IpAddr, String)> {
    let all = service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    let mut found: Vec<(IpAddr, String)> = Vec::new();
    for endpoint in slices.iter().flat_map(|slice| &slice.endpoints) {
        if !all && !services::is_ready(endpoint) {
            continue;
        }
        for address in endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok()) {
            let own = endpoint.hostname.clone().filter(|name| !name.is_empty());
            found.push((address, own.unwrap_or_else(|| address.to_string().replace(['.', ':'], "-"))));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The names that an address has: of its Service, or of its endpoint with a host name.
fn find_address(address: IpAddr, zone: &dyn Zone, domain: &str) -> Vec<String> {
    let mut names = Vec::new();
    let slices = zone.slices();
    for service in zone.services() {
        let own = name_of(&service, domain);
        if services::cluster_ips(&service).contains(&address) {
            names.push(format!("{own}."));
        } else if services::cluster_ips(&service).is_empty() {
            let slices = services::slices(&service, slices.iter().map(|slice| &**slice));
            let named = endpoints(&service, &slices).into_iter().filter(|(known, _)| *known == address);
            names.extend(named.map(|(_, host)| format!("{host}.{own}.")));
        }
    }
    names
}

/// `7.0.96.10.in-addr.arpa` → 10.96.0.7.
fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let parts: Vec<u8> = digits.rsplit('.').map_while(|part| part.parse().ok()).collect();
        return Some(IpAddr::from(<[u8; 4]>::try_from(parts).ok()?));
    }
    let digits = name.strip_suffix(".ip6.arpa")?;
    let digits: String = digits.rsplit('.').collect();
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some(IpAddr::from(number.to_be_bytes()))
}

fn name_of(service: &Service, domain: &str) -> String {
    let (name, namespace) = (service.metadata.name.as_deref(), service.metadata.namespace.as_deref());
    format!("{}.{}.svc.{domain}", name.unwrap_or_default(), namespace.unwrap_or("default"))
}

fn protocol_of(protocol: Option<&String>) -> String {
    protocol.map_or("tcp".to_owned(), |protocol| protocol.to_ascii_lowercase())
}

fn data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

fn record(name: &Name, data: RData) -> Option<Record> {
    Some(Record::from_rdata(name.clone(), TTL, data))
}

/// As CoreDNS has it, in seconds.
const TTL: u32 = 5;

fn soa(domain: &str) -> Option<Record> {
    let zone: Name = format!("{domain}.").parse().ok()?;
    let server = format!("ns.dns.{domain}.").parse().ok()?;
    let mail = format!("hostmaster.{domain}.").parse().ok()?;
    record(&zone, RData::SOA(SOA::new(server, mail, 1, 7200, 1800, 86400, TTL)))
}

#[cfg(test)]
mod tests {
    use super::services::samples::{service, slice};
    use super::*;
    use hickory_proto::op::Query;
    use serde_json::json;

    struct Sample(Vec<Arc<Service>>, Vec<Arc<EndpointSlice>>);

    impl Zone for Sample {
        fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
            let is = |service: &&Arc<Service>| {
                service.metadata.name.as_deref() == Some(name)
                    && service.metadata.namespace.as_deref() == Some(namespace)
            };
            self.0.iter().find(is).cloned()
        }
        fn services(&self) -> Vec<Arc<Service>> {
            self.0.clone()
        }
        fn slices(&self) -> Vec<Arc<EndpointSlice>> {
            self.1.clone()
        }
    }

    fn zone() -> Sample {
        let ports = json!([{ "name": "pg", "port": 5432 }]);
        let services = [
            service(
                "web",
                json!({ "clusterIPs": ["10.96.0.7", "fd00::7"], "ports": [{ "name": "http", "port": 80 }] }),
            ),
            service("db", json!({ "clusterIP": "None", "ports": ports })),
            service("far", json!({ "type": "ExternalName", "externalName": "example.org" })),
        ];
        let slices = [slice(
            "db",
            "IPv4",
            json!([{ "name": "pg", "port": 5432, "protocol": "TCP" }]),
            json!([
                { "addresses": ["10.244.0.2"], "hostname": "db-0", "conditions": { "ready": true } },
                { "addresses": ["10.244.0.3"], "conditions": { "ready": true } },
                { "addresses": ["10.244.0.4"], "conditions": { "ready": false } },
            ]),
        )];
        Sample(services.map(Arc::new).into(), slices.map(Arc::new).into())
    }

    /// `CODE` or the answers, as text.
    fn told(name: &str, kind: RecordType) -> Vec<String> {
        let mut asked = Message::query();
        asked.add_query(Query::query(name.parse().unwrap(), kind));
        let (message, _) = reply(&asked.to_vec().unwrap(), &zone(), "cluster.local").unwrap();
        if message.metadata.response_code != ResponseCode::NoError {
            return vec![message.metadata.response_code.to_string()];
        }
        message.answers.iter().map(|record| record.data.to_string()).collect()
    }

    #[test]
    fn a_service_has_its_cluster_ips() {
        assert_eq!(told("web.shop.svc.cluster.local.", RecordType::A), ["10.96.0.7"]);
        assert_eq!(told("WEB.shop.svc.cluster.local.", RecordType::AAAA), ["fd00::7"]);
        assert_eq!(told("web.shop.svc.cluster.local.", RecordType::TXT), [""; 0]);
        assert_eq!(
            told("_http._tcp.web.shop.svc.cluster.local.", RecordType::SRV),
            ["0 100 80 web.shop.svc.cluster.local."]
        );
    }

    #[test]
    fn a_headless_service_has_its_ready_endpoints_and_their_names() {
        assert_eq!(told("db.shop.svc.cluster.local.", RecordType::A), ["10.244.0.2", "10.244.0.3"]);
        assert_eq!(told("db-0.db.shop.svc.cluster.local.", RecordType::A), ["10.244.0.2"]);
        assert_eq!(
            told("_pg._tcp.db.shop.svc.cluster.local.", RecordType::SRV),
            [
                "0 100 5432 db-0.db.shop.svc.cluster.local.",
                "0 100 5432 10-244-0-3.db.shop.svc.cluster.local."
            ]
        );
    }

    #[test]
    fn an_external_name_is_an_alias() {
        assert_eq!(told("far.shop.svc.cluster.local.", RecordType::A), ["example.org."]);
    }

    #[test]
    fn addresses_have_names() {
        assert_eq!(told("7.0.96.10.in-addr.arpa.", RecordType::PTR), ["web.shop.svc.cluster.local."]);
        assert_eq!(told("2.0.244.10.in-addr.arpa.", RecordType::PTR), ["db-0.db.shop.svc.cluster.local."]);
    }

    #[test]
    fn other_names_do_not_exist() {
        for name in [
            "none.shop.svc.cluster.local.",
            "web.none.svc.cluster.local.",
            "x.web.shop.svc.cluster.local.",
            "example.org.",
            "9.0.96.10.in-addr.arpa.",
        ] {
            assert_eq!(told(name, RecordType::A), ["Non-Existent Domain"], "{name}");
        }
    }

    #[test]
    fn a_name_that_does_not_exist_comes_with_the_authority() {
        let mut asked = Message::query();
        asked.add_query(Query::query("none.shop.svc.cluster.local.".parse().unwrap(), RecordType::A));
        let (message, _) = reply(&asked.to_vec().unwrap(), &zone(), "cluster.local").unwrap();
        assert_eq!(message.authorities.len(), 1);
        assert!(message.metadata.authoritative);
    }
}
