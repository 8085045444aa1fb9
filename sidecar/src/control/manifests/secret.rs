//! A Secret → what TLS can use of it. Nothing that is said about one has a byte of its values in it.

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value};
use svc_core::service::object::Metadata;
use svc_core::service::{FieldError, Invalid, Rules, Valid, check_metadata};

use super::finding::{Finding, Severity};
use crate::certificates::{Material, Part, PemSource, Unusable, Validity, seconds_since_1970};
use crate::clock;

/// The parts of a `v1` Secret that matter. Values of any type are taken, for the message about a wrong one would quote it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret {
    pub(super) metadata: Option<Metadata>,
    #[serde(rename = "type", default)]
    kind: Value,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    string_data: Value,
}

/// Reads the certificate, the key and the authorities of a Secret. One of another type than `kubernetes.io/tls` and `Opaque` has none:
/// its entries are not ours to judge.
///
/// # Errors
/// What the API server refuses, and what is no certificate where one should be.
pub(super) fn read(secret: &Secret, rules: &Rules) -> Result<Valid<Material>, Invalid> {
    let nothing = Metadata::default();
    let metadata = secret.metadata.as_ref().unwrap_or(&nothing);
    let mut entries = Entries { secret, mistakes: check_metadata(metadata, rules) };
    entries.check_maps();
    let material = match secret.kind.as_str() {
        Some("kubernetes.io/tls") => entries.material(true),
        None | Some("" | "Opaque") => entries.material(false),
        Some(_) => Material::default(),
    };
    if !entries.mistakes.is_empty() {
        let name = metadata.name.clone().unwrap_or_default();
        return Err(Invalid { kind: "Secret", name, mistakes: entries.mistakes });
    }
    Ok(Valid { warnings: Vec::new(), fact: material })
}

/// Certificates that do not hold today, or not much longer.
pub(super) fn outdated(secret: &Secret, material: &Material) -> Vec<Finding> {
    let entries = Entries { secret, mistakes: Vec::new() };
    let now = seconds_since_1970(clock::wall());
    let finding = |(part, validity): (Part, Validity)| {
        let text = validity.warning(now)?;
        let severity = if validity.holds(now) { Severity::Warning } else { Severity::Error };
        let field = entries.field(entry_of(part));
        let message = format!("{field}: the certificate {text}");
        Some(Finding::field(severity, &field, text, message))
    };
    material.validities().into_iter().filter_map(finding).collect()
}

/// Reads entries, and gathers what is wrong with them.
struct Entries<'a> {
    secret: &'a Secret,
    mistakes: Vec<FieldError>,
}

impl Entries<'_> {
    /// What the API server asks of entries, whatever is in them.
    fn check_maps(&mut self) {
        let mut bytes = 0;
        for (field, map) in [("data", &self.secret.data), ("stringData", &self.secret.string_data)] {
            match map {
                Value::Null => {}
                Value::Object(entries) => {
                    for (key, value) in entries {
                        let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                        if key.is_empty()
                            || key.len() > KEY_BYTES_MAX
                            || !key.bytes().all(is_key)
                            || key.starts_with("..")
                            || key == "."
                        {
                            self.blame(&format!("{field}[{key}]"), "Invalid value", KEY_EXPECTED);
                        }
                        bytes += value.as_str().map_or(0, str::len) * if field == "data" { 3 } else { 4 } / 4; // base64 is a third longer
                    }
                }
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    self.blame(field, "Invalid value", "must be a map of strings");
                }
            }
        }
        if bytes > ENTRY_BYTES_MAX {
            self.blame("data", "Too long", &format!("may not be more than {ENTRY_BYTES_MAX} bytes"));
        }
    }

    fn material(&mut self, needs_pair: bool) -> Material {
        let (certificate, key) = (self.entry(CERTIFICATE), self.entry(KEY));
        let authorities = self.entry(AUTHORITIES);
        let needs_pair = needs_pair || certificate.is_some() || key.is_some();
        for (entry, value) in [(CERTIFICATE, &certificate), (KEY, &key)] {
            if needs_pair && value.is_none() && !self.has(entry) {
                self.blame(&format!("data[{entry}]"), "Required value", "");
            }
        }
        if !self.mistakes.is_empty() {
            return Material::default();
        }
        Material::read(PemSource { pair: certificate.zip(key), authorities }).unwrap_or_else(|unusable| {
            unusable.iter().for_each(|unusable| self.blame_part(unusable));
            Material::default()
        })
    }

    /// The bytes of an entry: of `stringData` as they stand there, which the API server prefers; else of `data`, from base64.
    fn entry(&mut self, name: &str) -> Option<Vec<u8>> {
        let field = self.field(name);
        let written = match (self.written("stringData", name), self.written("data", name)) {
            (Some(Value::String(plain)), _) => Some(plain.clone().into_bytes()),
            (None, Some(Value::String(encoded))) => decoded(encoded),
            (Some(Value::Null), _) | (None, Some(Value::Null) | None) => return None,
            (Some(_), _) | (None, Some(_)) => {
                self.blame(&field, "Invalid value", "must be a string");
                return None;
            }
        };
        match written {
            None => self.blame(&field, "Invalid value", "must be base64"),
            Some(ref bytes) if bytes.len() > ENTRY_BYTES_MAX => {
                self.blame(&field, "Too long", &format!("may not be more than {ENTRY_BYTES_MAX} bytes"));
            }
            Some(bytes) => return Some(bytes),
        }
        None
    }

    fn has(&self, name: &str) -> bool {
        self.written("stringData", name).or_else(|| self.written("data", name)).is_some()
    }

    fn written(&self, map: &str, name: &str) -> Option<&Value> {
        let map = if map == "data" { &self.secret.data } else { &self.secret.string_data };
        map.as_object().and_then(|map: &Map<_, _>| map.get(name))
    }

    /// Where an entry stands: `data[tls.crt]`.
    fn field(&self, name: &str) -> String {
        let map = if self.written("stringData", name).is_some() { "stringData" } else { "data" };
        format!("{map}[{name}]")
    }

    fn blame_part(&mut self, unusable: &Unusable) {
        self.blame(&self.field(entry_of(unusable.part)), "Invalid value", &unusable.to_string());
    }

    fn blame(&mut self, field: &str, sort: &'static str, expected: &str) {
        self.mistakes.push(FieldError {
            field: field.to_owned(),
            sort,
            value: None,
            expected: expected.to_owned(),
        });
    }
}

fn entry_of(part: Part) -> &'static str {
    match part {
        Part::Certificate => CERTIFICATE,
        Part::Key => KEY,
        Part::Authorities => AUTHORITIES,
    }
}

/// Base64 may have line ends in it, as `base64` writes them and block scalars keep them.
fn decoded(encoded: &str) -> Option<Vec<u8>> {
    let mut encoded = encoded.to_owned();
    encoded.retain(|character| !matches!(character, '\r' | '\n'));
    BASE64.decode(encoded.as_bytes()).ok()
}

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const AUTHORITIES: &str = "ca.crt";

/// What the API server admits for all entries of a Secret together.
const ENTRY_BYTES_MAX: usize = 1 << 20;

/// `IsConfigMapKey`.
const KEY_BYTES_MAX: usize = 253;
const KEY_EXPECTED: &str =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.', and be no path of dots";
