//! Keys that a mapping has more than once.

use std::collections::HashSet;

use serde_saphyr::granit_parser::{Event, Parser};

/// A key that a mapping has had before.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::control::manifests) struct Repeated {
    /// The line on which it stands again, counted from 1 at the start of the document.
    pub(in crate::control::manifests) line: usize,
    /// Where: `spec.ports[0].name`.
    pub(in crate::control::manifests) field: String,
}

/// All there are in a document that was read.
pub(in crate::control::manifests) fn repeated(document: &str) -> Vec<Repeated> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for (event, span) in Parser::new_from_str(document).map_while(Result::ok) {
        if let Event::Scalar(text, ..) = &event {
            if let Some(field) = place(open.last_mut(), Some(text)).repeated {
                found.push(Repeated { line: span.start.line(), field });
            }
        } else if matches!(event, Event::Alias(..)) {
            place(open.last_mut(), None);
        } else if matches!(event, Event::MappingStart(..)) {
            let path = place(open.last_mut(), None).path;
            open.push(OpenCollection { path, of: Of::Mapping { keys: HashSet::new(), key: None } });
        } else if matches!(event, Event::SequenceStart(..)) {
            let path = place(open.last_mut(), None).path;
            open.push(OpenCollection { path, of: Of::Sequence { next: 0 } });
        } else if matches!(event, Event::MappingEnd | Event::SequenceEnd) {
            open.pop();
        }
    }
    found
}

/// A collection that has begun.
struct OpenCollection {
    path: String,
    of: Of,
}

enum Of {
    /// The keys that it has had, and that whose value comes next.
    Mapping {
        keys: HashSet<String>,
        key: Option<String>,
    },
    Sequence {
        next: usize,
    },
}

#[derive(Default)]
struct KeyPlace {
    path: String,
    repeated: Option<String>,
}

/// Where the next node of `parent` stands; `scalar` is what it says, if it is one.
fn place(parent: Option<&mut OpenCollection>, scalar: Option<&str>) -> KeyPlace {
    let Some(OpenCollection { path, of }) = parent else { return KeyPlace::default() };
    match of {
        Of::Sequence { next } => {
            let path = format!("{path}[{next}]");
            *next += 1;
            KeyPlace { path, repeated: None }
        }
        Of::Mapping { keys, key } => match key.take() {
            Some(key) => KeyPlace { path: field(path, &key), repeated: None },
            None => {
                let name = scalar.unwrap_or("?"); // a key that is a collection
                let is_known = scalar.is_some() && name != MERGE && !keys.insert(name.to_owned());
                *key = Some(name.to_owned());
                KeyPlace { path: field(path, name), repeated: is_known.then(|| field(path, name)) }
            }
        },
    }
}

/// In the spelling of validation.
fn field(path: &str, key: &str) -> String {
    match (path, key.contains(['.', '/', '['])) {
        (path, true) => format!("{path}[{key}]"),
        ("", false) => key.to_owned(),
        (path, false) => format!("{path}.{key}"),
    }
}

/// Several may stand in one mapping.
const MERGE: &str = "<<";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_where_it_stands_again() {
        let document = "kind: Service\nmetadata:\n  labels: {a.b/c: d, a.b/c: e}\nspec:\n  ports:\n  - name: a\n    port: 1\n    \
                        name: b\nkind: Service\n";
        let found: Vec<_> =
            repeated(document).into_iter().map(|Repeated { line, field }| (line, field)).collect();
        let expected = [(3, "metadata.labels[a.b/c]"), (8, "spec.ports[0].name"), (9, "kind")];
        assert_eq!(found, expected.map(|(line, field)| (line, field.to_owned())));
    }

    #[test]
    fn keys_of_different_mappings_and_merges_are_not_repeated() {
        for document in [
            "a: {b: 1}\nb: {b: 2}",
            "- a: 1\n- a: 2",
            "a: &x {b: 1}\nc: {<<: *x, <<: *x}",
            "? [a]\n: 1\n? [a]\n: 2",
        ] {
            assert_eq!(repeated(document), [], "{document}");
        }
    }
}
