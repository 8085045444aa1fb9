//! The fields of one JSON object, each asked for once; what nobody asked for is a mistake.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

use super::{Mistake, no_such_field};
use crate::values::{Escaped, Expected};

/// The fields of one object, where somebody asks for them.
pub(crate) struct Fields<'v, 'm> {
    place: Place<'m>,
    values: Option<&'v Map<String, Value>>,
    /// Whether something else stands there, which is told: no field can be missed then.
    is_other: bool,
    unknown: UnknownFields,
    asked: Vec<&'static str>,
    mistakes: &'m mut Vec<Mistake>,
}

/// What becomes of fields that nobody asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownFields {
    /// They are mistakes.
    Refused,
    /// Later versions may have them.
    Ignored,
}

/// Where an object stands: becomes text only when there is a mistake to tell.
#[derive(Clone, Copy)]
pub(crate) struct Place<'m> {
    of: Option<&'m Place<'m>>,
    name: &'m str,
    index: Option<usize>,
}

impl Place<'_> {
    /// That of what is read itself.
    pub(crate) const ROOT: Place<'static> = Place::field("");

    /// A field of what is read.
    pub(crate) const fn field(name: &str) -> Place<'_> {
        Place { of: None, name, index: None }
    }

    /// An item of the list there.
    pub(crate) const fn item(self, index: usize) -> Self {
        Place { index: Some(index), ..self }
    }

    /// That of a field there, whose name may hold anything.
    fn path(&self, name: &str) -> String {
        let name = Escaped(name).to_string();
        Place { of: Some(self), name: &name, index: None }.to_string()
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(of) = self.of.filter(|of| !of.name.is_empty()) {
            write!(f, "{of}.")?;
        }
        f.write_str(self.name)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}

impl<'v, 'm> Fields<'v, 'm> {
    /// Those of the object at `place`. Nothing but `null` may stand for one; what else does is told as `whole`, or as the place where that is
    /// empty.
    pub(crate) fn of(
        value: &'v Value,
        (place, whole): (Place<'m>, &str),
        unknown: UnknownFields,
        mistakes: &'m mut Vec<Mistake>,
    ) -> Fields<'v, 'm> {
        let values = value.as_object();
        let is_other = values.is_none() && !value.is_null();
        if is_other {
            let at = if whole.is_empty() { place.to_string() } else { whole.into() };
            mistakes.push(Mistake::new(at, Some(value), "an object"));
        }
        Fields { place, values, is_other, unknown, asked: Vec::new(), mistakes }
    }

    /// Those of the object in field `name`, if there is one.
    pub(crate) fn object(&mut self, name: &'static str) -> Option<Fields<'v, '_>> {
        let value = self.ask(name)?;
        let place = Place { of: Some(&self.place), name, index: None };
        let fields = Fields::of(value, (place, ""), self.unknown, self.mistakes);
        fields.values.is_some().then_some(fields)
    }

    /// What `read` makes of each object of a list.
    pub(crate) fn objects<T>(&mut self, name: &'static str, read: fn(&mut Fields<'v, '_>) -> T) -> Vec<T> {
        let items = self.items(name);
        let mut found = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = Place { of: Some(&self.place), name, index: Some(index) };
            let mut fields = Fields::of(item, (place, ""), self.unknown, self.mistakes);
            found.push(read(&mut fields));
            fields.end();
        }
        found
    }

    /// What `parse` makes of each member of the object in field `name`, whatever they are called.
    pub(crate) fn members<T>(
        &mut self,
        name: &'static str,
        parse: fn(&'v Value) -> Result<T, Expected>,
    ) -> Vec<(Cow<'v, str>, T)> {
        let Some(Fields { place, values: Some(values), mistakes, .. }) = self.object(name) else {
            return Vec::new();
        };
        let mut read = Vec::new();
        for (name, value) in values {
            match parse(value) {
                Ok(value) => read.push((Cow::Borrowed(name.as_str()), value)),
                Err(expected) => mistakes.push(Mistake::new(place.path(name), Some(value), expected)),
            }
        }
        read
    }

    /// What `parse` makes of a field; `None` where it is absent or wrong.
    pub(crate) fn read<T>(
        &mut self,
        name: &'static str,
        parse: fn(&'v Value) -> Result<T, Expected>,
    ) -> Option<T> {
        let value = self.ask(name)?;
        parse(value).map_err(|expected| self.note(name, Some(value), expected)).ok()
    }

    /// The same, where an empty text is as good as none.
    pub(crate) fn read_filled<T>(
        &mut self,
        name: &'static str,
        parse: fn(&'v Value) -> Result<T, Expected>,
    ) -> Option<T> {
        match self.ask(name)?.as_str() {
            Some("") => None,
            Some(_) | None => self.read(name, parse),
        }
    }

    /// The same, of a value that is not for logs.
    pub(crate) fn read_hidden<T>(
        &mut self,
        name: &'static str,
        parse: fn(&'v Value) -> Result<T, Expected>,
    ) -> Option<T> {
        let value = self.ask(name)?;
        parse(value).map_err(|expected| self.note(name, None, expected)).ok()
    }

    /// The same, of a field that must be there.
    pub(crate) fn require<T>(
        &mut self,
        name: &'static str,
        parse: fn(&'v Value) -> Result<T, Expected>,
    ) -> Option<T> {
        if self.ask(name).is_none() && !self.is_other {
            let expected = parse(&Value::Null).err().unwrap_or_default();
            self.note(name, None, expected);
        }
        self.read(name, parse)
    }

    /// The same, of a field that has a meaning only `if` something holds, which needs `otherwise`.
    pub(crate) fn only_if<T>(
        &mut self,
        holds: bool,
        name: &'static str,
        otherwise: &'static str,
        parse: fn(&'v Value) -> Result<T, Expected>,
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
    pub(crate) fn each<T>(
        &mut self,
        name: &'static str,
        parse: fn(&'v Value) -> Result<T, Expected>,
    ) -> Vec<T> {
        let mut read = Vec::new();
        for (index, item) in self.items(name).iter().enumerate() {
            match parse(item) {
                Ok(item) => read.push(item),
                Err(expected) => self.note_item(name, index, item, expected),
            }
        }
        read
    }

    /// The items of a list as they are.
    pub(crate) fn items(&mut self, name: &'static str) -> &'v [Value] {
        match self.ask(name) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.note(name, Some(other), "a list".into());
                &[]
            }
        }
    }

    /// Notes that a field does not go together with the rest.
    pub(crate) fn refuse(&mut self, name: &'static str, expected: &'static str) {
        let value = self.ask(name);
        self.note(name, value, expected.into());
    }

    /// Notes that a field is not there, if it is not.
    pub(crate) fn miss(&mut self, name: &'static str, expected: &'static str) {
        if !self.have(name) {
            self.note(name, None, expected.into());
        }
    }

    /// Whether somebody wrote a field.
    pub(crate) fn have(&mut self, name: &'static str) -> bool {
        self.ask(name).is_some()
    }

    /// Where what nothing above can see is noted.
    pub(crate) fn mistakes(&mut self) -> &mut Vec<Mistake> {
        self.mistakes
    }

    /// Notes the fields that nobody has asked for. Their values are not shown: one may be a token under a misspelt name.
    pub(crate) fn end(self) {
        let Some(values) = self.values.filter(|_| self.unknown == UnknownFields::Refused) else { return };
        for (name, _) in values.iter().filter(|(name, _)| !self.asked.contains(&name.as_str())) {
            let at = self.path(name);
            self.mistakes.push(Mistake::new(at, None, no_such_field(nearest(name, &self.asked))));
        }
    }

    fn ask(&mut self, name: &'static str) -> Option<&'v Value> {
        if self.unknown == UnknownFields::Refused && !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.values?.get(name).filter(|value| !value.is_null())
    }

    fn note(&mut self, name: &str, value: Option<&Value>, expected: Expected) {
        let at = self.path(name);
        self.mistakes.push(Mistake::new(at, value, expected));
    }

    fn note_item(&mut self, name: &str, index: usize, item: &Value, expected: Expected) {
        let at = Place { of: Some(&self.place), name, index: Some(index) }.to_string();
        self.mistakes.push(Mistake::new(at, Some(item), expected));
    }

    fn path(&self, name: &str) -> String {
        self.place.path(name)
    }
}

/// The name that was probably meant: the same but for capitals, or with one letter in three wrong, two at most.
pub fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let distances = known.iter().map(|known| (distance(name, known), *known));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (nearest.len() / 3).min(2)).then_some(nearest)
}

/// How many letters must be put in, left out, replaced or exchanged with the next to make one of the other, capitals aside.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > other.len() + 2 {
        return one.len(); // not worth the work
    }
    let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b);
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut above: Vec<usize> = (0..=other.len()).collect();
    let mut before = above.clone();
    for (i, &letter) in one.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(i + 1);
        for (j, &wanted) in other.iter().enumerate() {
            let replaced = above[j] + usize::from(!same(letter, wanted));
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && same(letter, other[j - 1]) && same(one[i - 1], wanted) {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = core::mem::replace(&mut above, row);
    }
    above[other.len()]
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
            ("prots", "ports", 1),
            ("ab", "ba", 1),
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
