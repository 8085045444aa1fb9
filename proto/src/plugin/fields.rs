//! The fields of one JSON object, each asked for once; what nobody asked for is a mistake.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::mistakes::{Mistakes, WHOLE, no_such_field};
use crate::values::Expected;

pub(super) struct Fields<'a> {
    /// What stands before the name of a field in messages: `handOff.`
    at: String,
    values: Option<&'a Map<String, Value>>,
    asked: Vec<&'static str>,
    mistakes: &'a mut Mistakes,
}

impl<'a> Fields<'a> {
    /// Those of the whole configuration.
    pub(super) fn of_all(value: &'a Value, mistakes: &'a mut Mistakes) -> Fields<'a> {
        let values = object(value, WHOLE, mistakes);
        Fields { at: String::new(), values, asked: Vec::new(), mistakes }
    }

    /// Those of the object in field `name`, if there is one.
    pub(super) fn object(&mut self, name: &'static str) -> Option<Fields<'_>> {
        let value = self.ask(name)?;
        let at = self.path(name);
        let values = object(value, &at, self.mistakes)?;
        Some(Fields { at: at + ".", values: Some(values), asked: Vec::new(), mistakes: self.mistakes })
    }

    /// What `parse` makes of a field; `None` where it is absent or wrong.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        parse: fn(&Value) -> Result<T, Expected>,
    ) -> Option<T> {
        let value = self.ask(name)?;
        parse(value).map_err(|expected| self.note(name, Some(value), expected)).ok()
    }

    /// The same, where an empty text is as good as none.
    pub(super) fn read_filled<T>(
        &mut self,
        name: &'static str,
        parse: fn(&Value) -> Result<T, Expected>,
    ) -> Option<T> {
        match self.ask(name)?.as_str() {
            Some("") => None,
            Some(_) | None => self.read(name, parse),
        }
    }

    /// The same, of a value that is not for logs.
    pub(super) fn read_hidden<T>(
        &mut self,
        name: &'static str,
        parse: fn(&Value) -> Result<T, Expected>,
    ) -> Option<T> {
        let value = self.ask(name)?;
        parse(value).map_err(|expected| self.note(name, None, expected)).ok()
    }

    /// The same, of a field that must be there.
    pub(super) fn require<T>(
        &mut self,
        name: &'static str,
        parse: fn(&Value) -> Result<T, Expected>,
    ) -> Option<T> {
        if self.ask(name).is_none() {
            let expected = parse(&Value::Null).err().unwrap_or_default();
            self.note(name, None, expected);
        }
        self.read(name, parse)
    }

    /// The same, of a field that has a meaning only `if` something holds, which needs `otherwise`.
    pub(super) fn only_if<T>(
        &mut self,
        holds: bool,
        name: &'static str,
        otherwise: &'static str,
        parse: fn(&Value) -> Result<T, Expected>,
    ) -> Option<T> {
        if !holds {
            if let Some(value) = self.ask(name) {
                self.note(name, Some(value), otherwise.into());
            }
            return None;
        }
        self.read(name, parse)
    }

    /// The items of a list, those that are right.
    pub(super) fn each<T>(&mut self, name: &'static str, parse: fn(&Value) -> Result<T, Expected>) -> Vec<T> {
        let mut read = Vec::new();
        for (at, item) in self.items(name) {
            match parse(item) {
                Ok(item) => read.push(item),
                Err(expected) => self.mistakes.add(&at, Some(item), expected),
            }
        }
        read
    }

    /// The items of a list as they are, with their places.
    pub(super) fn items(&mut self, name: &'static str) -> Vec<(String, &'a Value)> {
        match self.ask(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                let at = self.path(name);
                items.iter().enumerate().map(|(index, item)| (format!("{at}[{index}]"), item)).collect()
            }
            Some(other) => {
                self.note(name, Some(other), "a list".into());
                Vec::new()
            }
        }
    }

    /// Notes that a field does not go together with the rest.
    pub(super) fn refuse(&mut self, name: &'static str, expected: &'static str) {
        let value = self.ask(name);
        self.note(name, value, expected.into());
    }

    /// Notes that a field is not there, if it is not.
    pub(super) fn miss(&mut self, name: &'static str, expected: &'static str) {
        if !self.have(name) {
            self.note(name, None, expected.into());
        }
    }

    /// Whether somebody wrote a field.
    pub(super) fn have(&mut self, name: &'static str) -> bool {
        self.ask(name).is_some()
    }

    /// Where what nothing above can see is noted.
    pub(super) fn mistakes(&mut self) -> &mut Mistakes {
        self.mistakes
    }

    /// Notes the fields that nobody has asked for.
    pub(super) fn end(self) {
        let Some(values) = self.values else { return };
        strangers(values, &self.asked, &self.at, self.mistakes);
    }

    fn ask(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.values?.get(name).filter(|value| !value.is_null())
    }

    fn note(&mut self, name: &str, value: Option<&Value>, expected: Expected) {
        let at = self.path(name);
        self.mistakes.add(&at, value, expected);
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.at)
    }
}

/// Notes the fields that are none of `known`. Their values are not shown: one may be a token under a misspelt name.
pub(super) fn strangers(
    values: &Map<String, Value>,
    known: &[&'static str],
    at: &str,
    mistakes: &mut Mistakes,
) {
    for name in values.keys().filter(|name| !known.contains(&name.as_str())) {
        mistakes.add(&format!("{at}{}", name.escape_debug()), None, no_such_field(nearest(name, known)));
    }
}

/// Nothing but `null` may stand for an object.
fn object<'a>(value: &'a Value, at: &str, mistakes: &mut Mistakes) -> Option<&'a Map<String, Value>> {
    if !value.is_object() && !value.is_null() {
        mistakes.add(at, Some(value), "an object");
    }
    value.as_object()
}

/// The name that was probably meant: the same but for capitals, or with one letter in three wrong, two at most.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let distances = known.iter().map(|known| (distance(name, known), *known));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (nearest.len() / 3).min(2)).then_some(nearest)
}

/// How many letters must be put in, left out or replaced to make one of the other, capitals aside.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > other.len() + 2 {
        return one.len(); // not worth the work
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.bytes().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, wanted) in row.iter_mut().skip(1).zip(other.bytes()) {
            let replaced = diagonal + usize::from(!letter.eq_ignore_ascii_case(&wanted));
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        row[0] = above + 1;
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted_that_make_one_name_of_another() {
        for (one, other, letters) in [
            ("", "", 0),
            ("handOff", "handoff", 0),
            ("handOf", "handOff", 1),
            ("kitten", "sitting", 3),
            ("", "key", 3),
            ("key", "", 3),
        ] {
            assert_eq!(distance(one, other), letters, "{one} {other}");
        }
    }

    #[test]
    fn only_what_is_near_is_taken_for_a_slip() {
        let known = ["namespace", "node", "zone", "by"];
        for (name, meant) in [
            ("nameSpace", Some("namespace")),
            ("namespce", Some("namespace")),
            ("nodes", Some("node")),
            ("bye", None),
            ("timeout", None),
            ("a-name-that-is-longer-than-all", None),
        ] {
            assert_eq!(nearest(name, &known), meant, "{name}");
        }
    }
}
