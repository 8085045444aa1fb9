//! Decides about requests, so that callgrind can count the instructions: `dispatches pick|all REQUESTS`. `pick` tells endpoints nothing,
//! `all` all there is to tell.
//!
//! What comes before the first request does not depend on their number, so it cancels out between two runs.

use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use svc_core::address::{ServiceName, Transport};
use svc_core::dispatch::{DispatchSettings, Memo, Request, ServiceRef, dispatch};
use svc_core::draws::Draws;
use svc_core::forwarding::{HttpVersion, Telling};
use svc_core::inventory::{self, Change, Inventory, SliceKey};
use svc_core::port::{Pinning, WorkerPorts};
use svc_core::service::{Port, Service, Slice, SliceEndpoint, SlicePort};
use svc_core::table::{Source, Table};
use svc_core::time::Now;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, telling, requests] = arguments.as_slice() else {
        return Err("usage: dispatches pick|all REQUESTS".into());
    };
    let telling = match telling.as_str() {
        "pick" => Telling { provenance: false, via: false },
        "all" => Telling { provenance: true, via: true },
        other => return Err(format!("unknown telling `{other}`").into()),
    };
    let (table, requests): (Arc<Table>, u32) = (table().ok_or("there is no Service")?, requests.parse()?);
    let mut ports = WorkerPorts::new(Pinning { entries_max: 8_192, seed: 7 });
    let mut memo = Memo::default();
    let (draws, now) = (Draws::new(1), Now(Duration::from_secs(1)));
    let settings = DispatchSettings { trusted_proxies: &[], telling };
    for _ in 0..requests {
        let request = black_box(Request { fields: FIELDS, ..GET });
        let target = memo.resolve(ServiceRef::Authority(request.authority), &table)?;
        let dispatched = dispatch(target, &mut ports, &request, settings, now, || draws.draw())?;
        black_box(&dispatched);
        dispatched.attempt.end(now, || draws.draw());
    }
    Ok(())
}

type Fields = [(&'static str, &'static str)];

const GET: Request<'static, Fields> = Request {
    method: "GET",
    authority: "web.shop.svc.cluster.local:8080",
    scheme: "http",
    version: HttpVersion::Http11,
    peer: IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)),
    fields: FIELDS,
};

/// What a request has at the filter, pseudo-headers included.
const FIELDS: &Fields = &[
    (":authority", "web.shop.svc.cluster.local:8080"),
    (":path", "/api/v1/things?limit=10"),
    (":method", "GET"),
    (":scheme", "http"),
    ("user-agent", "client/1.0"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip"),
    ("x-forwarded-proto", "http"),
    ("x-request-id", "2b1b5b8e-3d5c-4a6e-9f0a-7d8f6a3c1e52"),
];

/// One Service of eight endpoints.
fn table() -> Option<Arc<Table>> {
    let name = ServiceName::new("shop", "web");
    let service = Service::plain(name.clone(), [Port::unnamed(8080)].into());
    let key = SliceKey { namespace: "shop".into(), name: "web".into(), part: 0, from_endpoints: false };
    let port = SlicePort { name: "".into(), port: 8080, transport: Transport::Tcp, app_protocol: None };
    let slice = Slice {
        name: "web".into(),
        service: name.clone(),
        from_endpoints: false,
        weights: None,
        ports: [port].into(),
        endpoints: (1..=8).map(endpoint).collect(),
    };
    let settings = inventory::Settings { sources: [Source::Manifests].into(), ..Default::default() };
    let changes = [Change::Service(name, Some(Arc::new(service))), Change::Slice(key, Some(Arc::new(slice)))];
    Inventory::new(settings).apply(Source::Manifests, changes.into())
}

fn endpoint(number: u8) -> SliceEndpoint {
    SliceEndpoint {
        address: Ipv4Addr::new(10, 0, 0, number).into(),
        ready: true,
        serving: true,
        terminating: false,
        weight: None,
        hostname: None,
        place: None,
        pod: None,
    }
}
