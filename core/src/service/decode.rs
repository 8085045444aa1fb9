//! JSON → Go's values, where serde's own reading is another: `null` inside of lists and maps, and numbers with a fraction of zero.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A list; `null` in it is an item of which nothing is said.
pub(super) fn list<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    let items = Option::<Vec<Option<T>>>::deserialize(deserializer)?;
    Ok(items.map(|items| items.into_iter().map(Option::unwrap_or_default).collect()))
}

/// Labels, annotations, a selector; `null` in it is an empty text.
pub(super) fn texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let texts = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?;
    Ok(texts.map(|texts| texts.into_iter().map(|(key, text)| (key, text.unwrap_or_default())).collect()))
}

/// A whole number of 32 bits, `80.0` among them: `kubectl` writes a float without its fraction before an API server sees it.
pub(super) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    Ok(Option::<Integer>::deserialize(deserializer)?.map(|Integer(number)| number))
}

struct Integer(i32);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Integer, D::Error> {
        match deserializer.deserialize_any(Scalar { expected: "i32" })? {
            IntOrString::Int(number) => Ok(Integer(number)),
            IntOrString::String(text) => Err(Error::invalid_type(Unexpected::Str(&text), &"i32")),
        }
    }
}

/// The API's `IntOrString`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntOrString {
    /// A number.
    Int(i32),
    /// Anything else.
    String(String),
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<IntOrString, D::Error> {
        deserializer.deserialize_any(Scalar { expected: "a number of 32 bits or a string" })
    }
}

struct Scalar {
    expected: &'static str,
}

impl Visitor<'_> for Scalar {
    type Value = IntOrString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<IntOrString, E> {
        let refusal = || E::invalid_value(Unexpected::Signed(number), &self);
        i32::try_from(number).map(IntOrString::Int).map_err(|_| refusal())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<IntOrString, E> {
        let refusal = || E::invalid_value(Unexpected::Unsigned(number), &self);
        i32::try_from(number).map(IntOrString::Int).map_err(|_| refusal())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<IntOrString, E> {
        // Exact for each number of 32 bits, and saturating for the others, which then differ.
        let whole = number as i32;
        match f64::from(whole) == number {
            true => Ok(IntOrString::Int(whole)),
            false => Err(E::invalid_type(Unexpected::Float(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<IntOrString, E> {
        Ok(IntOrString::String(text.into()))
    }
}
