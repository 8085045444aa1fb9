//! A host for the built filter: one VM as an Envoy worker has one, with everything that it is told and asks for in the test's hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use wasmi::{Engine, Instance, Module, Store, WasmParams, WasmResults};

use super::fields::{Fields, fields};
use super::imports::{ROOT, linker};
use super::proxy::{Call, Proxy, Reach, Reply, Stream};

/// A VM with the plugin in it.
pub(crate) struct Vm {
    store: Store<Proxy>,
    instance: Instance,
    contexts: u32,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on with these headers.
    Continued(Fields),
    /// The filter has answered it.
    Replied(Reply),
}

/// What becomes of what a connection has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// These bytes go on.
    On(Vec<u8>),
    /// Nothing does, for now.
    Held,
    /// The filter closes the connection.
    Closed,
}

/// A request on its way.
pub(crate) struct Request<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) protocol: &'a str,
    /// The entry of the route's metadata, under the filter's name and its key there.
    pub(crate) metadata: Option<([&'a str; 2], &'a str)>,
    pub(crate) headers: Fields,
}

impl Request<'static> {
    /// `GET /` of that authority, from this machine.
    pub(crate) fn get(authority: &str) -> Request<'static> {
        let pseudo = [(":authority", authority), (":method", "GET"), (":path", "/"), (":scheme", "http")];
        Request {
            peer: SocketAddr::from(([127, 0, 0, 1], 4711)),
            protocol: "HTTP/1.1",
            metadata: None,
            headers: fields(&pseudo),
        }
    }

    /// The same with these headers as well.
    pub(crate) fn with(mut self, headers: &[(&str, &str)]) -> Request<'static> {
        self.headers.extend(fields(headers));
        self
    }
}

impl Vm {
    /// A VM that has been started, and not been configured yet.
    pub(crate) fn start(proxy: Proxy) -> Vm {
        let (engine, module) = &*MODULE;
        let mut store = Store::new(engine, proxy);
        let linker = linker(module).expect("no function has two definitions");
        let instance = linker.instantiate_and_start(&mut store, module).expect("the module can be linked");
        let memory = instance.get_memory(&store, "memory").expect("it exports its memory");
        let allocate = instance.get_typed_func(&store, "proxy_on_memory_allocate");
        store.data_mut().reach = Some(Reach { memory, allocate: allocate.expect("ABI 0.2.1 has it") });
        let mut vm = Vm { store, instance, contexts: ROOT };
        vm.call::<_, ()>(ROOT, "_initialize", ());
        vm.call::<_, ()>(ROOT, "proxy_on_context_create", (ROOT, 0u32));
        assert_eq!(vm.call::<_, u32>(ROOT, "proxy_on_vm_start", (ROOT, 0u32)), 1, "{:?}", vm.log());
        vm
    }

    /// The same, configured.
    ///
    /// # Panics
    /// The plugin does not take that configuration.
    pub(crate) fn running(configuration: &str, proxy: Proxy) -> Vm {
        let mut vm = Vm::start(proxy);
        vm.configure(configuration).unwrap_or_else(|log| panic!("{log:?}"));
        vm
    }

    /// Hands the plugin its configuration; what it logs when it does not take it.
    pub(crate) fn configure(&mut self, json: &str) -> Result<(), Vec<String>> {
        self.proxy().configuration = json.into();
        let size = json.len() as u32;
        match self.call(ROOT, "proxy_on_configure", (ROOT, size)) {
            1u32 => Ok(()),
            _ => Err(self.take_log()),
        }
    }

    /// Sends a request up to the filter and on: its stream and what became of it.
    pub(crate) fn request(&mut self, request: Request<'_>) -> (u32, Outcome) {
        let protocol = ("request\0protocol", request.protocol);
        let mut stream = stream(request.peer, DESTINATION, protocol);
        if let Some(([filter, key], value)) = request.metadata {
            let path = ["xds", "route_metadata", "filter_metadata", filter, key].join("\0");
            stream.properties.insert(path.into(), value.into());
        }
        let count = request.headers.len() as u32;
        let id = self.create(Stream { request: request.headers, ..stream });
        let action: u32 = self.call(id, "proxy_on_request_headers", (id, count, 1u32));
        let stream = self.stream(id);
        let outcome = match &stream.reply {
            Some(reply) => Outcome::Replied(reply.clone()),
            None => {
                assert_eq!(action, CONTINUE, "a request that is not answered goes on");
                Outcome::Continued(stream.request.clone())
            }
        };
        (id, outcome)
    }

    /// The endpoint, or Envoy in its stead, answers that request; the headers that the client gets.
    pub(crate) fn respond(&mut self, id: u32, status: u16, headers: &[(&str, &str)]) -> Fields {
        let status = status.to_string();
        let all = [&[(":status", &*status)], headers].concat();
        self.stream(id).response = fields(&all);
        let action: u32 = self.call(id, "proxy_on_response_headers", (id, all.len() as u32, 1u32));
        assert_eq!(action, CONTINUE, "no answer is held");
        self.stream(id).response.clone()
    }

    /// The stream is over.
    pub(crate) fn end(&mut self, id: u32) {
        self.call::<_, ()>(id, "proxy_on_delete", id);
        self.proxy().streams.remove(&id);
    }

    /// A whole exchange that goes well wherever it goes: what became of the request.
    pub(crate) fn exchange(&mut self, request: Request<'_>) -> Outcome {
        let (id, outcome) = self.request(request);
        let status = match &outcome {
            Outcome::Continued(_) => 200,
            Outcome::Replied(reply) => reply.status as u16,
        };
        self.respond(id, status, &[]);
        self.end(id);
        outcome
    }

    /// A client connects: the connection, and whether anything may go on.
    pub(crate) fn connect(&mut self, peer: &str, destination: &str) -> (u32, Passed) {
        let address = |text: &str| text.parse().expect("an address with its port");
        let id = self.create(stream(address(peer), address(destination), ("connection\0id", "1")));
        let action = self.call(id, "proxy_on_new_connection", id);
        (id, self.passed(id, action))
    }

    /// The client sends `bytes`; `ended` with its last.
    pub(crate) fn data(&mut self, id: u32, bytes: &[u8], ended: bool) -> Passed {
        self.stream(id).received.extend(bytes);
        let size = self.stream(id).received.len() as u32;
        let action = self.call(id, "proxy_on_downstream_data", (id, size, u32::from(ended)));
        self.passed(id, action)
    }

    /// The endpoint sends `bytes`.
    pub(crate) fn answer_data(&mut self, id: u32, bytes: &[u8]) {
        self.stream(id).sent_back = bytes.to_vec();
        let size = bytes.len() as u32;
        let action: u32 = self.call(id, "proxy_on_upstream_data", (id, size, 0u32));
        assert_eq!(action, CONTINUE, "no answer is held");
    }

    /// The connection closes.
    pub(crate) fn hang_up(&mut self, id: u32) {
        const REMOTE: u32 = 2;
        self.call::<_, ()>(id, "proxy_on_downstream_connection_close", (id, REMOTE));
        self.end(id);
    }

    /// Whether the filter has asked for the connection to be closed.
    pub(crate) fn is_closed(&mut self, id: u32) -> bool {
        self.stream(id).closed
    }

    fn passed(&mut self, id: u32, action: u32) -> Passed {
        let stream = self.stream(id);
        match action {
            _ if stream.closed => Passed::Closed,
            CONTINUE => Passed::On(std::mem::take(&mut stream.received)),
            _ => Passed::Held,
        }
    }

    /// Lets time go by, with the ticks that belong to it.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.proxy().now + time;
        loop {
            let period = self.proxy().tick_period;
            let next = (period.as_nanos() > 0).then(|| next_multiple(self.proxy().now, period));
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.proxy().now = next;
            self.tick();
        }
        self.proxy().now = until;
    }

    pub(crate) fn tick(&mut self) {
        self.call::<_, ()>(ROOT, "proxy_on_tick", ROOT);
    }

    /// The requests to clusters that wait for their answers.
    pub(crate) fn calls(&mut self) -> Vec<(u32, Call)> {
        self.proxy().calls.iter().map(|(id, call)| (*id, call.clone())).collect()
    }

    /// Answers one of them.
    pub(crate) fn answer_call(&mut self, id: u32, status: u16, headers: &[(&str, &str)], body: &str) {
        let status = status.to_string();
        self.end_call(id, (fields(&[&[(":status", &*status)], headers].concat()), body.into()));
    }

    /// Lets one of them fail, by its timeout or otherwise: Envoy tells that by an answer without headers.
    pub(crate) fn fail_call(&mut self, id: u32) {
        self.end_call(id, <(Fields, Vec<u8>)>::default());
    }

    fn end_call(&mut self, id: u32, answer: (Fields, Vec<u8>)) {
        assert!(self.proxy().calls.remove(&id).is_some(), "nobody waits for that");
        let (headers, body) = (answer.0.len() as u32, answer.1.len() as u32);
        self.proxy().answer = answer;
        self.call::<_, ()>(ROOT, "proxy_on_http_call_response", (ROOT, id, headers, body, 0u32));
        self.proxy().answer = Default::default();
    }

    /// The statistics by their names.
    pub(crate) fn counters(&mut self) -> BTreeMap<String, i64> {
        self.proxy().statistics.iter().cloned().collect()
    }

    /// What has been logged since the last look, each with its level.
    pub(crate) fn take_log(&mut self) -> Vec<String> {
        let levels = ["trace", "debug", "info", "warn", "error", "critical"];
        let log = std::mem::take(&mut self.proxy().log);
        let level = |level: u32| levels.get(level as usize).copied().unwrap_or("?");
        log.into_iter().map(|(number, text)| format!("{}: {text}", level(number))).collect()
    }

    fn log(&mut self) -> &[(u32, String)] {
        &self.proxy().log
    }

    /// How much memory the VM has, in bytes; it never gives any back.
    pub(crate) fn memory_bytes(&self) -> usize {
        let reach = self.store.data().reach.expect("it has been there since the start");
        reach.memory.data_size(&self.store)
    }

    /// What the proxy around the VM knows.
    pub(crate) fn proxy(&mut self) -> &mut Proxy {
        self.store.data_mut()
    }

    /// A property that the stream has, or the filter has left there.
    pub(crate) fn property(&mut self, id: u32, path: &[&str]) -> Option<String> {
        let value = self.stream(id).properties.get(path.join("\0").as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    fn stream(&mut self, id: u32) -> &mut Stream {
        self.proxy().streams.get_mut(&id).expect("the test has not ended it")
    }

    fn create(&mut self, stream: Stream) -> u32 {
        self.contexts += 1;
        let id = self.contexts;
        self.proxy().streams.insert(id, stream);
        self.call::<_, ()>(id, "proxy_on_context_create", (id, ROOT));
        id
    }

    /// Calls an exported function on behalf of a context. Nothing of ours may trap.
    fn call<P: WasmParams, R: WasmResults>(&mut self, context: u32, name: &str, parameters: P) -> R {
        self.proxy().effective = context;
        let function = self.instance.get_typed_func::<P, R>(&self.store, name);
        let function = function.unwrap_or_else(|error| panic!("{name}: {error}"));
        let returned = function.call(&mut self.store, parameters);
        returned.unwrap_or_else(|trap| panic!("{name}: {trap}\n{}", self.take_log().join("\n")))
    }
}

fn stream(peer: SocketAddr, destination: SocketAddr, other: (&str, &str)) -> Stream {
    let texts = [
        ("source\0address", peer.to_string()),
        ("destination\0address", destination.to_string()),
        (other.0, other.1.to_owned()),
    ];
    let properties = texts.into_iter().map(|(path, value)| (path.into(), value.into())).collect();
    Stream { properties, ..Stream::default() }
}

/// The first multiple of `period` after `now`.
fn next_multiple(now: Duration, period: Duration) -> Duration {
    let periods = now.as_nanos() / period.as_nanos() + 1;
    Duration::from_nanos((periods * period.as_nanos()) as u64)
}

/// Where Envoy listens.
const DESTINATION: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1)), 10000);

/// `proxy_action_t`.
const CONTINUE: u32 = 0;

/// The filter as it was built, translated once for all tests.
static MODULE: LazyLock<(Engine, Module)> = LazyLock::new(|| {
    let path = filter();
    let wasm = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let engine = Engine::default();
    let module = Module::new(&engine, &wasm).unwrap_or_else(|error| panic!("{path}: {error}"));
    (engine, module)
});

#[expect(clippy::disallowed_methods, reason = "the one place where these tests read the environment")]
fn filter() -> String {
    std::env::var(FILTER).unwrap_or_else(|_| panic!("{FILTER} is not set: run `cargo xtask test envoy`"))
}

/// Whether there is time for all that the filter is held to.
#[expect(clippy::disallowed_methods, reason = "as above")]
pub(crate) fn is_long() -> bool {
    std::env::var_os("SVCMESH_TEST_LONG").is_some()
}

/// Names the built filter; `cargo xtask test envoy` sets it.
const FILTER: &str = "SVCMESH_TEST_WASM";
