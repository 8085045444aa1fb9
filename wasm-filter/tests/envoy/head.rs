//! The head of a request or of a response, as it came over the wire.

use std::collections::BTreeMap;

/// A first line, and fields in their order.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) first: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// Reads what stands before the blank line.
    pub(crate) fn parse(text: &str) -> Head {
        let mut lines = text.trim_end().lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line}"));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Head { first, fields: fields.collect() }
    }

    /// The value of the only field `name`; none when there is none.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values =
            self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice: {self:?}");
        value
    }

    /// All fields, with the values of one name joined, as stories have them.
    pub(crate) fn joined(&self) -> BTreeMap<&str, String> {
        let mut joined: BTreeMap<&str, String> = BTreeMap::new();
        for (name, value) in &self.fields {
            let values = joined.entry(name).and_modify(|values| values.push_str(", ")).or_default();
            values.push_str(value);
        }
        joined
    }

    /// The second word of a response's first line.
    pub(crate) fn status(&self) -> u16 {
        let status = self.first.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no response: {}", self.first))
    }

    /// How many bytes follow.
    pub(crate) fn length(&self) -> usize {
        self.field("content-length").map_or(0, |length| length.parse().expect("a length is a number"))
    }
}
