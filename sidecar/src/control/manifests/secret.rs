//! A Secret → what TLS can use of it. Nothing that is said about one has a byte of its values in it.

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value};
use svc_core::service::{Invalid, Mistake, Valid};

use crate::certificates::{Material, Part, Source, Unusable};

/// The parts of a `v1` Secret that matter. Values of any type are taken, for the message about a wrong one would quote it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret {
    metadata: Metadata,
    #[serde(rename = "type", default)]
    kind: Value,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    string_data: Value,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    name: Value,
}

/// Reads the certificate, the key and the authorities of a Secret. One of another type than `kubernetes.io/tls` and `Opaque` has none:
/// its entries are not ours to judge.
///
/// # Errors
/// What the API server refuses, and what is no certificate where one should be.
pub(super) fn read(secret: &Secret) -> Result<Valid<Material>, Invalid> {
    let name = secret.metadata.name.as_str().unwrap_or_default();
    let mut entries = Entries { secret, mistakes: Vec::new() };
    if name.is_empty() {
        entries.blame("metadata.name", "Required value: name or generateName is required");
    }
    for (field, map) in [("data", &secret.data), ("stringData", &secret.string_data)] {
        if !matches!(map, Value::Null | Value::Object(_)) {
            entries.blame(field, "Invalid value: must be a map of strings");
        }
    }
    let material = match secret.kind.as_str() {
        Some("kubernetes.io/tls") => entries.material(true),
        None | Some("" | "Opaque") => entries.material(false),
        Some(_) => Material::default(),
    };
    match entries.mistakes.is_empty() {
        true => Ok(Valid { fact: material, warnings: Vec::new() }),
        false => Err(Invalid { kind: "Secret", name: name.to_owned(), mistakes: entries.mistakes }),
    }
}

/// Reads entries, and gathers what is wrong with them.
struct Entries<'a> {
    secret: &'a Secret,
    mistakes: Vec<Mistake>,
}

impl Entries<'_> {
    fn material(&mut self, needs_pair: bool) -> Material {
        let (certificate, key) = (self.entry(CERTIFICATE), self.entry(KEY));
        let authorities = self.entry(AUTHORITIES);
        let needs_pair = needs_pair || certificate.is_some() || key.is_some();
        for (entry, value) in [(CERTIFICATE, &certificate), (KEY, &key)] {
            if needs_pair && value.is_none() && !self.has(entry) {
                self.blame(&format!("data[{entry}]"), "Required value");
            }
        }
        if !self.mistakes.is_empty() {
            return Material::default();
        }
        Material::read(Source { pair: certificate.zip(key), authorities }).unwrap_or_else(|unusable| {
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
                self.blame(&field, "Invalid value: must be a string");
                return None;
            }
        };
        match written {
            None => self.blame(&field, "Invalid value: must be base64"),
            Some(ref bytes) if bytes.len() > ENTRY_BYTES_MAX => {
                self.blame(&field, &format!("Too long: may not be more than {ENTRY_BYTES_MAX} bytes"));
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
        let entry = match unusable.part {
            Part::Certificate => CERTIFICATE,
            Part::Key => KEY,
            Part::Authorities => AUTHORITIES,
        };
        self.blame(&self.field(entry), &format!("Invalid value: {unusable}"));
    }

    fn blame(&mut self, field: &str, problem: &str) {
        self.mistakes.push(Mistake { field: field.to_owned(), problem: problem.to_owned() });
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
