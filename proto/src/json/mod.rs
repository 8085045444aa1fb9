//! The fields of JSON objects, each held to what is expected of it, and every mistake told with its place.

mod fields;
mod mistake;
mod values;

pub use fields::nearest;
pub(crate) use fields::{Fields, Place, UnknownFields};
pub use mistake::Mistake;
pub(crate) use mistake::no_such_field;
pub(crate) use values::{boolean, number, one_of, port, text};
