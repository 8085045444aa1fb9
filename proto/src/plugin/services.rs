//! `services`: Services that the configuration itself tells, in the words of the document at `/services`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::fields::{Fields, strangers};
use super::mistakes::Mistakes;
use crate::services::{Endpoint, Port, Service};

/// The JSON of each Service. Here is told what is not the document's language; whether it can serve as it is, core finds out.
pub(super) fn read(fields: &mut Fields<'_>) -> Vec<String> {
    let mut read = Vec::new();
    for (at, item) in fields.items("services") {
        let mistakes = fields.mistakes();
        let before = mistakes.0.len();
        parts(item, &at, mistakes);
        let json = item.to_string();
        if mistakes.0.len() == before
            && let Err(error) = serde_json::from_str::<Service<'_>>(&json)
        {
            mistakes.add(&at, Some(item), wording("a Service", &error));
        }
        read.push(json);
    }
    read
}

/// Looks into the parts first, so that what is wrong with one is told where it stands.
fn parts(service: &Value, at: &str, mistakes: &mut Mistakes) {
    let Some(service) = service.as_object() else { return };
    strangers(service, &Service::FIELDS, &format!("{at}."), mistakes);
    for (at, port) in items(service, at, "ports") {
        strangers_in(port, &Port::FIELDS, &at, mistakes);
        if let Err(error) = serde_json::from_str::<Port<'_>>(&port.to_string()) {
            mistakes.add(&at, Some(port), wording("a port", &error));
        }
    }
    for (at, endpoint) in items(service, at, "endpoints") {
        strangers_in(endpoint, &Endpoint::FIELDS, &at, mistakes);
        if let Err(error) = serde_json::from_str::<Endpoint<'_>>(&endpoint.to_string()) {
            mistakes.add(&at, Some(endpoint), wording("an endpoint", &error));
        }
    }
}

fn items<'a>(service: &'a Map<String, Value>, at: &str, field: &str) -> Vec<(String, &'a Value)> {
    let items = service.get(field).and_then(Value::as_array).into_iter().flatten();
    items.enumerate().map(|(index, item)| (format!("{at}.{field}[{index}]"), item)).collect()
}

fn strangers_in(value: &Value, known: &[&'static str], at: &str, mistakes: &mut Mistakes) {
    if let Some(object) = value.as_object() {
        strangers(object, known, &format!("{at}."), mistakes);
    }
}

/// Without the line, which is of no text that anybody wrote.
fn wording(what: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    format!("{what} as `/services` tells it: {message}")
}
