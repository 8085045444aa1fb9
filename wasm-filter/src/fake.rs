//! A host that does as a test says, and remembers what it was asked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use svc_core::time::Now;

use crate::headers::Headers;
use crate::host::{CallId, Host, Http, Level, Meter, MeterId, Plugin, Tcp};

/// Handles of one host: what one is asked, all have heard.
#[derive(Clone, Default)]
pub(crate) struct Fake(Rc<State>);

#[derive(Default)]
struct State {
    now: Cell<Duration>,
    configuration: RefCell<String>,
    environment: RefCell<Vec<(String, String)>>,
    properties: RefCell<BTreeMap<String, String>>,
    log: RefCell<Vec<(Level, String)>>,
    meters: RefCell<Vec<(String, u64)>>,
    downstream: RefCell<Vec<u8>>,
    request: RefCell<Vec<(String, Vec<u8>)>>,
    response: RefCell<BTreeMap<String, String>>,
    replied: RefCell<Option<Reply>>,
    calls: Cell<usize>,
    asked: RefCell<Vec<String>>,
    answer: RefCell<(BTreeMap<String, String>, String)>,
    is_closed: Cell<bool>,
    acts_for: Cell<Option<u32>>,
    closed_for: RefCell<Vec<u32>>,
}

/// What the filter answered itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) proxy_status: String,
    pub(crate) body: String,
}

impl Fake {
    pub(crate) fn configured(json: &str) -> Fake {
        let fake = Fake::default();
        fake.0.configuration.replace(json.into());
        fake
    }

    pub(crate) fn with_property(self, path: &str, value: &str) -> Fake {
        self.0.properties.borrow_mut().insert(path.into(), value.into());
        self
    }

    /// A client sends this; what was there and not taken is still there.
    pub(crate) fn sends(&self, bytes: &[u8]) -> usize {
        self.0.downstream.borrow_mut().extend_from_slice(bytes);
        self.0.downstream.borrow().len()
    }

    /// What goes on to the endpoint, once the filter lets it.
    pub(crate) fn pass_on(&self) -> Vec<u8> {
        self.0.downstream.take()
    }

    pub(crate) fn with_variable(self, name: &str, value: &str) -> Fake {
        self.0.environment.borrow_mut().push((name.into(), value.into()));
        self
    }

    pub(crate) fn set_request(&self, fields: &[(&str, &str)]) {
        let field = |(name, value): &(&str, &str)| (String::from(*name), value.as_bytes().to_vec());
        self.0.request.replace(fields.iter().map(field).collect());
        self.0.calls.set(0);
    }

    /// What goes on to the endpoint, a header a line.
    pub(crate) fn request(&self) -> Vec<String> {
        let line = |(name, value): &(String, Vec<u8>)| format!("{name}: {}", String::from_utf8_lossy(value));
        self.0.request.borrow().iter().map(line).collect()
    }

    pub(crate) fn set_response(&self, fields: &[(&str, &str)]) {
        let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        self.0.response.replace(fields.collect());
    }

    pub(crate) fn response(&self) -> BTreeMap<String, String> {
        self.0.response.borrow().clone()
    }

    pub(crate) fn replied(&self) -> Option<Reply> {
        self.0.replied.take()
    }

    /// How often the host was asked since the request came.
    pub(crate) fn calls(&self) -> usize {
        self.0.calls.get()
    }

    fn called(&self) {
        self.0.calls.set(self.0.calls.get() + 1);
    }

    /// What clusters were asked since: cluster, timeout and head.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.asked.borrow().clone()
    }

    pub(crate) fn set_answer(&self, fields: &[(&str, &str)], body: &str) {
        let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        self.0.answer.replace((fields.collect(), body.into()));
    }

    pub(crate) fn wait(&self, time: Duration) {
        self.0.now.set(self.0.now.get() + time);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed.get()
    }

    /// The contexts whose connections the plugin has closed.
    pub(crate) fn closed_for(&self) -> Vec<u32> {
        self.0.closed_for.borrow().clone()
    }

    pub(crate) fn set_properties(&self) -> BTreeMap<String, String> {
        self.0.properties.borrow().clone()
    }

    pub(crate) fn log(&self) -> Vec<(Level, String)> {
        self.0.log.borrow().clone()
    }

    /// What has been counted, by the names of statistics in order.
    pub(crate) fn counted(&self) -> BTreeMap<String, u64> {
        self.0.meters.borrow().iter().cloned().collect()
    }
}

impl Host for Fake {
    fn now(&self) -> Now {
        self.called();
        Now(self.0.now.get())
    }

    fn log(&self, level: Level, message: &str) {
        self.0.log.borrow_mut().push((level, message.into()));
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.called();
        self.0.properties.borrow().get(&path.join(".")).map(|value| value.clone().into_bytes())
    }

    fn set_property(&self, path: &[&str], value: &[u8]) {
        let value = String::from_utf8(value.to_vec()).unwrap();
        self.0.properties.borrow_mut().insert(path.join("."), value);
    }

    fn define(&self, _kind: Meter, name: &str) -> Option<MeterId> {
        let mut meters = self.0.meters.borrow_mut();
        meters.push((name.into(), 0));
        Some(MeterId(meters.len() as u32 - 1))
    }

    fn add(&self, id: MeterId, count: u64) {
        self.0.meters.borrow_mut()[id.0 as usize].1 += count;
    }

    fn set(&self, id: MeterId, value: u64) {
        self.0.meters.borrow_mut()[id.0 as usize].1 = value;
    }
}

impl Plugin for Fake {
    fn configuration(&self) -> Vec<u8> {
        self.0.configuration.borrow().clone().into_bytes()
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.0.environment.borrow().clone()
    }

    fn chance(&self) -> u64 {
        7
    }

    fn tick_every(&self, _period: Duration) {}

    fn call(&self, cluster: &str, head: &[(&str, &str)], timeout: Duration) -> Option<CallId> {
        let head: Vec<String> = head.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let mut asked = self.0.asked.borrow_mut();
        asked.push(format!("{cluster} {timeout:?} {}", head.join(", ")));
        (cluster != "nowhere").then_some(CallId(asked.len() as u32))
    }

    fn answer_header(&self, name: &str) -> Option<Vec<u8>> {
        self.0.answer.borrow().0.get(name).map(|value| value.clone().into_bytes())
    }

    fn answer_body(&self, bytes_max: usize) -> Vec<u8> {
        let answer = self.0.answer.borrow();
        answer.1.as_bytes()[..answer.1.len().min(bytes_max)].to_vec()
    }

    fn act_for(&self, context: u32) -> bool {
        self.0.acts_for.set(Some(context));
        true
    }

    fn close_downstream(&self) {
        self.0.closed_for.borrow_mut().extend(self.0.acts_for.get());
    }
}

impl Tcp for Fake {
    fn downstream_data(&self, bytes_max: usize) -> Vec<u8> {
        let data = self.0.downstream.borrow();
        data[..data.len().min(bytes_max)].to_vec()
    }

    fn drop_downstream_data(&self, bytes: usize) {
        self.0.downstream.borrow_mut().drain(..bytes);
    }

    fn close_downstream(&self) {
        self.0.is_closed.set(true);
    }
}

impl Http for Fake {
    fn request_headers(&self) -> Headers {
        self.called();
        self.0.request.borrow().iter().map(|(name, value)| (name, value)).collect()
    }

    fn set_request_header(&self, name: &str, value: Option<&[u8]>) {
        self.called();
        let mut request = self.0.request.borrow_mut();
        request.retain(|(known, _)| known != name);
        request.extend(value.map(|value| (name.into(), value.to_vec())));
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        self.0.response.borrow().get(name).map(|value| value.clone().into_bytes())
    }

    fn response_trailer(&self, name: &str) -> Option<Vec<u8>> {
        self.response_header(name)
    }

    fn set_response_header(&self, name: &str, value: &[u8]) {
        let value = String::from_utf8(value.to_vec()).unwrap();
        self.0.response.borrow_mut().insert(name.into(), value);
    }

    fn unix_seconds(&self) -> u64 {
        1_800_000_000
    }

    fn reply(&self, status: u16, head: Vec<(&str, &[u8])>, body: &[u8]) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let proxy_status = head.iter().find(|(name, _)| *name == "proxy-status");
        let proxy_status = proxy_status.map(|(_, value)| text(value)).unwrap_or_default();
        self.0.replied.replace(Some(Reply { status, proxy_status, body: text(body) }));
    }
}
