//! JSON (RFC 8259), read into a tree that borrows from its text, and the fields of its objects.
//!
//! serde_json reads and writes whatever there is; for the Wasm filter, which reads two documents and writes none, it and what it brings
//! along were 130 kB. This reads what serde_json reads as a value; of numbers it keeps the digits, so that whoever wants one says of which size.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

mod fields;
mod mistake;
mod reader;
mod values;

#[cfg(test)]
mod tests;

pub use fields::nearest;
pub(crate) use fields::{Fields, Place, Strangers};
pub use mistake::Mistake;
pub(crate) use mistake::no_such_field;
use reader::Reader;
pub(crate) use values::{boolean, one_of, port, text};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it is written.
    Number(&'a str),
    /// A string without its escapes.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Value<'a>>),
    /// An object.
    Object(Object<'a>),
    /// The text of an array or object that lies deeper than was asked for.
    Unread(&'a str),
}

/// The members of an object, in the order written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Value<'a> {
    /// Reads a text that is one value, with arrays and objects inside of each other down to `depth`: what lies deeper is looked through
    /// all the same.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(json: &'a [u8], depth: usize) -> Result<Value<'a>, Malformed> {
        let text = str::from_utf8(json)
            .map_err(|error| Malformed::at(json, error.valid_up_to(), "a byte is no UTF-8"))?;
        Reader::new(text).whole(depth)
    }

    /// Whether it says nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text that it is.
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// The object that it is.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        if let Value::Object(object) = self { Some(object) } else { None }
    }

    /// The items of the list that it is.
    pub fn as_list(&self) -> Option<&[Value<'a>]> {
        if let Value::List(items) = self { Some(items) } else { None }
    }

    /// The text of what was not read because it lies too deep.
    pub fn as_unread(&self) -> Option<&'a str> {
        if let Value::Unread(text) = self { Some(text) } else { None }
    }

    /// The number that it is, where that is a whole one that fits.
    pub fn as_number<T: FromStr>(&self) -> Option<T> {
        if let Value::Number(digits) = self { digits.parse().ok() } else { None }
    }
}

impl<'a> Object<'a> {
    /// The value of a member; of several with one name, that of the last.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All members.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

/// How deep a text may be read: as deep as serde_json reads.
pub const NESTING_MAX: usize = 127;

/// Why a text is no JSON. Shows nothing of it: a token may be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong there.
    problem: &'static str,
    /// Counts from 1.
    line: usize,
    /// In bytes, from 1.
    column: usize,
}

impl Malformed {
    fn at(json: &[u8], index: usize, problem: &'static str) -> Malformed {
        let before = json.get(..index).unwrap_or(json);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Malformed { problem, line, column }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Malformed { problem, line, column } = self;
        write!(f, "{problem} at line {line}, column {column}")
    }
}

impl core::error::Error for Malformed {}
