//! Envoy as the [`host`](crate::host): the filter's types in the clothes of proxy-wasm's.
//!
//! The calls of `proxy_wasm::traits` panic where the host says no; those of `proxy_wasm::hostcalls`, used here, say so.

use std::env;
use std::ffi::OsString;
use std::panic;
use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType, MetricType, PeerType};
use svc_core::time::Now;
use svc_proto::plugin::Filter;

use crate::clock;
use crate::headers::Headers;
use crate::host::{CallId, Flow, Host, Http, Level, Meter, MeterId, Plugin, Tcp};
use crate::http_stream::HttpStream;
use crate::root::Root;
use crate::tcp_stream::TcpStream;

mod raw;

proxy_wasm::main! {{
    panic::set_hook(Box::new(|panicked| {
        let _unheard = hostcalls::log(LogLevel::Critical, &panicked.to_string());
    }));
    proxy_wasm::set_root_context(|context| Box::new(Root::new(Envoy, context)));
}}

/// The proxy that this VM belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Envoy;

impl Host for Envoy {
    fn now(&self) -> Now {
        clock::now()
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let _unheard = hostcalls::log(level, message);
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        hostcalls::get_property(path.to_vec()).ok().flatten()
    }

    fn set_property(&self, path: &[&str], value: &[u8]) {
        let _unset = hostcalls::set_property(path.to_vec(), Some(value));
    }

    fn define(&self, kind: Meter, name: &str) -> Option<MeterId> {
        let kind = match kind {
            Meter::Counter => MetricType::Counter,
            Meter::Gauge => MetricType::Gauge,
        };
        hostcalls::define_metric(kind, name).ok().map(MeterId)
    }

    fn add(&self, id: MeterId, count: u64) {
        let _uncounted = hostcalls::increment_metric(id.0, i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn set(&self, id: MeterId, value: u64) {
        let _unset = hostcalls::record_metric(id.0, value);
    }
}

impl Plugin for Envoy {
    fn configuration(&self) -> Vec<u8> {
        let found = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
        found.ok().flatten().unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn environment(&self) -> Vec<(String, String)> {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        env::vars_os().filter_map(text).collect()
    }

    fn chance(&self) -> u64 {
        let mut bytes = [0; 8];
        let _predictable = getrandom::fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn tick_every(&self, period: Duration) {
        let _never = hostcalls::set_tick_period(period);
    }

    fn call(&self, cluster: &str, head: &[(&str, &str)], timeout: Duration) -> Option<CallId> {
        let timeout = timeout.min(CALL_TIMEOUT_MAX);
        hostcalls::dispatch_http_call(cluster, head.to_vec(), None, Vec::new(), timeout).ok().map(CallId)
    }

    fn answer_header(&self, name: &str) -> Option<Vec<u8>> {
        hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name).ok().flatten()
    }

    fn answer_body(&self, bytes_max: usize) -> Vec<u8> {
        let found = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, bytes_max);
        found.ok().flatten().unwrap_or_default()
    }

    fn act_for(&self, context: u32) -> bool {
        hostcalls::set_effective_context(context).is_ok()
    }

    fn close_downstream(&self) {
        let _closed_already = hostcalls::close_downstream();
    }
}

impl Http for Envoy {
    fn request_headers(&self) -> Headers {
        raw::headers(MapType::HttpRequestHeaders)
    }

    fn set_request_header(&self, name: &str, value: Option<&[u8]>) {
        let _unset = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, value);
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name).ok().flatten()
    }

    fn response_trailer(&self, name: &str) -> Option<Vec<u8>> {
        hostcalls::get_map_value_bytes(MapType::HttpResponseTrailers, name).ok().flatten()
    }

    fn set_response_header(&self, name: &str, value: &[u8]) {
        let _unset = hostcalls::set_map_value_bytes(MapType::HttpResponseHeaders, name, Some(value));
    }

    fn unix_seconds(&self) -> u64 {
        let since = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        since.unwrap_or_default().as_secs()
    }

    fn reply(&self, status: u16, head: Vec<(&str, &[u8])>, body: &[u8]) {
        let head: Vec<(&str, &str)> =
            head.into_iter().filter_map(|(name, value)| Some((name, str::from_utf8(value).ok()?))).collect();
        let _gone = hostcalls::send_http_response(status.into(), head, Some(body));
    }
}

impl Tcp for Envoy {
    fn downstream_data(&self, bytes_max: usize) -> Vec<u8> {
        let found = hostcalls::get_buffer(BufferType::DownstreamData, 0, bytes_max);
        found.ok().flatten().unwrap_or_default()
    }

    fn drop_downstream_data(&self, bytes: usize) {
        let _undone = hostcalls::set_buffer(BufferType::DownstreamData, 0, bytes, b"");
    }

    fn close_downstream(&self) {
        let _closed_already = hostcalls::close_downstream();
    }
}

impl Context for Root<Envoy> {
    fn on_http_call_response(&mut self, token_id: u32, _headers: usize, body_size: usize, _trailers: usize) {
        self.answered(CallId(token_id), body_size);
    }
}

impl RootContext for Root<Envoy> {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.configure()
    }

    fn on_tick(&mut self) {
        self.tick();
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(HttpStream::new(Envoy, self.vm()?)))
    }

    fn create_stream_context(&self, context_id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(TcpStream::new(Envoy, context_id, self.vm()?)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(match self.filter() {
            Filter::Http => ContextType::HttpContext,
            Filter::Tcp => ContextType::StreamContext,
        })
    }
}

impl Context for HttpStream<Envoy> {}

impl HttpContext for HttpStream<Envoy> {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        #[cfg(feature = "trap")]
        trap_if_asked();
        action(self.begin())
    }

    fn on_http_response_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        self.answered();
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _trailers: usize) -> Action {
        self.answered_in_full();
        Action::Continue
    }
}

impl Context for TcpStream<Envoy> {}

impl StreamContext for TcpStream<Envoy> {
    fn on_new_connection(&mut self) -> Action {
        action(self.begin())
    }

    fn on_downstream_data(&mut self, data_size: usize, end_of_stream: bool) -> Action {
        action(self.receive(data_size, end_of_stream))
    }

    fn on_upstream_data(&mut self, data_size: usize, _end_of_stream: bool) -> Action {
        self.answer(data_size);
        Action::Continue
    }

    fn on_downstream_close(&mut self, _peer_type: PeerType) {
        self.end();
    }
}

/// The ABI has milliseconds in 32 bits, and Envoy reads them with a sign: of 25 days and more it makes a mistake of the caller's, and nobody
/// would ever be asked.
const CALL_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// Ends the VM where a request says so, for the tests of what Envoy does then.
#[cfg(feature = "trap")]
#[expect(clippy::panic, reason = "a panic is what it is to show")]
fn trap_if_asked() {
    let asked = hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, "x-svcmesh-test-trap");
    if matches!(asked, Ok(Some(_))) {
        panic!("a test asks for it");
    }
}

fn action(flow: Flow) -> Action {
    match flow {
        Flow::Continue => Action::Continue,
        Flow::Pause => Action::Pause,
    }
}
