//! What the filter adds to a request in Envoy: beside Envoy alone, a filter that does nothing, filters that only make the same calls of the host,
//! and Lua that makes the same edits.
//!
//! One Envoy with one worker has a listener for each variant, so that they take turns within one process.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::backends::{ADDRESSES, H1_PORT};
use super::process::{PROXY_CORE, Process};
use super::scenario::{Figure, wrk};
use crate::clock::now;
use crate::packages::{self, Program};
use crate::wasm::{Module, Toolchain};
use crate::{Result, shell, tools};

/// What stands before the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Alone,
    NoOp,
    PickCalls,
    Pick,
    FullCalls,
    Full,
    Lua,
}

impl Variant {
    const ALL: [Variant; 7] = [
        Variant::Alone,
        Variant::NoOp,
        Variant::PickCalls,
        Variant::Pick,
        Variant::FullCalls,
        Variant::Full,
        Variant::Lua,
    ];

    fn what(self) -> &'static str {
        match self {
            Variant::Alone => "Envoy alone",
            Variant::NoOp => "a Wasm filter that does nothing",
            Variant::PickCalls => "one that makes the pick's calls",
            Variant::Pick => "ours: pick and one header",
            Variant::FullCalls => "one that makes the full set's calls",
            Variant::Full => "ours: the full set",
            Variant::Lua => "Lua: the full set",
        }
    }

    fn port(self) -> u16 {
        8100 + self as u16
    }
}

/// Builds and installs what the namespace of the bench cannot fetch.
pub(super) fn prepare() -> Result<()> {
    packages::ensure(PROGRAMS)?;
    tools::envoy()?;
    filter().map(drop)
}

fn filter() -> Result<PathBuf> {
    Ok(Module::build(Toolchain::find()?, &[])?.path)
}

/// Prints the table.
pub(super) fn run(folder: &Path, rounds: usize, time: Duration) -> Result<()> {
    println!("\nenvoy: HTTP/1.1, {CONNECTIONS} kept-alive connections, 1 KiB, one worker");
    let folder = folder.join("envoy");
    fs::create_dir_all(&folder)?;
    let modules = Modules::prepare(&folder)?;
    let bootstrap = folder.join("bootstrap.yaml");
    fs::write(&bootstrap, configuration(&modules)?)?;
    let arguments = ["-c", &bootstrap.display().to_string(), "--concurrency", "1", "--log-level", "error"];
    let arguments = arguments.into_iter().chain(["--use-dynamic-base-id"]).collect::<Vec<_>>();
    let address = |variant: Variant| format!("127.0.0.1:{}", variant.port());
    let envoy = Process::start(PROXY_CORE, &tools::envoy()?, &arguments, &folder, &address(Variant::Lua))?;
    for variant in Variant::ALL {
        wrk(&format!("http://{}/1", address(variant)), CONNECTIONS, WARM_UP)?;
    }
    let mut figures = Variant::ALL.map(|_| Vec::new());
    for _round in 0..rounds {
        for (variant, figures) in Variant::ALL.into_iter().zip(&mut figures) {
            let url = format!("http://{}/1", address(variant));
            wrk(&url, CONNECTIONS, Duration::from_secs(1))?;
            let (cpu, start) = (envoy.cpu()?, now());
            let requests = wrk(&url, CONNECTIONS, time)?;
            figures.push(Figure::cpu(envoy.cpu()? - cpu, now() - start, requests));
        }
    }
    let medians = figures.map(Figure::median);
    println!("{:36} {:>12} {:>10}     requests/s   busy", "", "µs/request", "+ alone");
    for (variant, figure) in Variant::ALL.into_iter().zip(&medians) {
        let more = figure.cost - medians[0].cost;
        println!("{:36} {:12.2} {more:10.2} {figure}", variant.what(), figure.cost);
    }
    Ok(())
}

/// Ours, and those that it is held against.
struct Modules {
    filter: PathBuf,
    no_op: PathBuf,
    pick_calls: PathBuf,
    full_calls: PathBuf,
}

impl Modules {
    fn prepare(folder: &Path) -> Result<Modules> {
        let assembled = |name: &str, text: &str| assemble(text, &folder.join(name));
        Ok(Modules {
            filter: filter()?,
            no_op: assembled("no_op.wasm", include_str!("no_op.wat"))?,
            pick_calls: assembled("pick_calls.wasm", include_str!("pick_calls.wat"))?,
            full_calls: assembled("full_calls.wasm", include_str!("full_calls.wat"))?,
        })
    }
}

fn assemble(text: &str, module: &Path) -> Result<PathBuf> {
    let source = module.with_extension("wat");
    fs::write(&source, text)?;
    shell::answer(shell::command("wat2wasm", []).arg(&source).arg("-o").arg(module))?;
    Ok(module.to_owned())
}

const CONNECTIONS: usize = 32;

/// V8 and LuaJIT compile in a hurry, and once more what has run some 10,000 times.
const WARM_UP: Duration = Duration::from_secs(10);

/// What writes modules.
pub(super) const PROGRAMS: &[Program] = &[Program { name: "wat2wasm", package: "wabt" }];

fn configuration(modules: &Modules) -> Result<String> {
    let mut text = "static_resources:\n  listeners:\n".to_owned();
    for variant in Variant::ALL {
        let cluster = match variant {
            Variant::Alone | Variant::NoOp => "backends",
            Variant::PickCalls | Variant::Pick | Variant::FullCalls | Variant::Full | Variant::Lua => {
                "original"
            }
        };
        writeln!(
            text,
            "  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          \"@type\": {EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {variant:?}
          use_remote_address: true
          skip_xff_append: true
          route_config: {{virtual_hosts: [{{name: all, domains: ['*'], routes: [{{match: {{prefix: /}}, route: {{cluster: {cluster}}}}}]}}]}}
          http_filters:
{filters}          - {{name: router, typed_config: {{\"@type\": {EXTENSIONS}.filters.http.router.v3.Router}}}}",
            port = variant.port(),
            filters = filters(variant, modules),
        )?;
    }
    let endpoint = |address| {
        format!(
            "{{endpoint: {{address: {{socket_address: {{address: {address}, port_value: {H1_PORT}}}}}}}}}"
        )
    };
    let endpoints = ADDRESSES.map(endpoint).join(", ");
    writeln!(
        text,
        "  clusters:
  - {{name: backends, type: STATIC, load_assignment: {{cluster_name: backends, endpoints: [{{lb_endpoints: [{endpoints}]}}]}}}}
  - {{name: original, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, original_dst_lb_config: {{use_http_header: true}}}}"
    )?;
    Ok(text)
}

fn filters(variant: Variant, modules: &Modules) -> String {
    let Modules { filter, no_op, pick_calls, full_calls } = modules;
    match variant {
        Variant::Alone => String::new(),
        Variant::NoOp => wasm(no_op, ""),
        Variant::PickCalls => wasm(pick_calls, ""),
        Variant::Pick => {
            wasm(filter, &plugin(r#", "forwardingHeaders": false, "viaHeader": false, "learn": false"#))
        }
        Variant::FullCalls => wasm(full_calls, ""),
        Variant::Full => wasm(filter, &plugin("")),
        Variant::Lua => format!(
            "          - name: lua
            typed_config:
              \"@type\": {EXTENSIONS}.filters.http.lua.v3.Lua
              default_source_code:
                inline_string: |
{}",
            indented(&lua(), 18)
        ),
    }
}

fn wasm(module: &Path, configuration: &str) -> String {
    format!(
        "          - name: wasm
            typed_config:
              \"@type\": {EXTENSIONS}.filters.http.wasm.v3.Wasm
              config:
                configuration: {{\"@type\": type.googleapis.com/google.protobuf.StringValue, value: '{configuration}'}}
                vm_config: {{runtime: envoy.wasm.runtime.v8, code: {{local: {{filename: {}}}}}}}\n",
        module.display()
    )
}

/// The Service that wrk asks for by its address, with round robin over the backends.
fn plugin(fields: &str) -> String {
    let endpoint = |address| {
        format!(
            r#"{{"address": "{address}", "port": {H1_PORT}, "portName": "", "ready": true, "serving": true, "terminating": false}}"#
        )
    };
    let endpoints = ADDRESSES.map(endpoint).join(", ");
    format!(
        r#"{{"service": {{"from": "fixed", "service": "default/web", "port": 80}}{fields}, "services": [{{"namespace": "default", "name": "web", "type": "ClusterIP", "clusterIPs": ["10.96.0.10"], "annotations": {{"svcmesh.dev/load-balancer": "rr"}}, "ports": [{{"name": "", "port": 80, "protocol": "TCP"}}], "endpoints": [{endpoints}]}}]}}"#
    )
}

/// What somebody would write in Lua who needs the same headers.
fn lua() -> String {
    let addresses = ADDRESSES.map(|address| format!("\"{address}:{H1_PORT}\"")).join(", ");
    format!(
        r#"local endpoints = {{{addresses}}}
local turn = 0
function envoy_on_request(handle)
  local headers = handle:headers()
  for _, name in ipairs({{"x-envoy-original-dst-host", "x-svcmesh-endpoint", "x-svcmesh-cluster", "x-forwarded-for", "forwarded", "x-real-ip"}}) do
    headers:remove(name)
  end
  turn = turn % #endpoints + 1
  local peer = handle:streamInfo():downstreamDirectRemoteAddress():match("^(.*):%d+$")
  local host = headers:get(":authority")
  headers:replace("x-forwarded-for", peer)
  headers:replace("x-real-ip", peer)
  headers:replace("x-forwarded-host", host)
  headers:replace("x-forwarded-proto", "http")
  headers:replace("forwarded", "for=" .. peer .. ";host=\"" .. host .. "\";proto=http")
  headers:replace("via", "1.1 lua")
  headers:replace("x-envoy-original-dst-host", endpoints[turn])
end
function envoy_on_response(handle)
  local status = handle:headers():get(":status")
end
"#
    )
}

fn indented(text: &str, columns: usize) -> String {
    text.lines().map(|line| format!("{:columns$}{line}\n", "")).collect()
}

const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";
