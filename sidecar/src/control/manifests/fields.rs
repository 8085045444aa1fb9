//! The fields of an object beside those that the API has: unknown ones, and ones that are given twice.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use svc_proto::json::nearest;

use super::schema::Schema;

/// What is odd with a field. `kubectl` and an API server refuse the first and take the last value of the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// The API has no such field; it has one that was probably meant.
    Unknown { field: String, meant: Option<String> },
    /// It is there more than once.
    Repeated { field: String },
}

/// All there are in an object that is JSON.
pub(super) fn oddities(json: &str, schema: Schema) -> Vec<Oddity> {
    let mut walk = Walk { root: schema, path: Vec::new(), found: Vec::new() };
    let mut reader = serde_json::Deserializer::from_str(json);
    // What is not JSON, or of another shape, is told where it is read.
    let _ = Node { schema, walk: &mut walk }.deserialize(&mut reader);
    walk.found
}

struct Walk<'j> {
    root: Schema,
    path: Vec<FieldStep<'j>>,
    found: Vec<Oddity>,
}

enum FieldStep<'j> {
    Field(Cow<'j, str>),
    Index(usize),
}

impl Walk<'_> {
    /// The way to `field` of the object that is looked at, in the spelling of validation.
    fn place(&self, field: &str) -> String {
        let mut place = String::new();
        for step in &self.path {
            match step {
                FieldStep::Field(name) => push(&mut place, name),
                FieldStep::Index(index) => place += &format!("[{index}]"),
            }
        }
        push(&mut place, field);
        place
    }

    fn note_unknown(&mut self, name: &str, siblings: &'static [(&'static str, Schema)]) {
        if self.found.len() >= ODDITIES_MAX {
            return;
        }
        let capitals_aside = siblings.iter().find(|(sibling, _)| sibling.eq_ignore_ascii_case(name));
        let names: Vec<&'static str> = siblings.iter().map(|(name, _)| *name).collect();
        let beside = |sibling: &str| self.place(sibling);
        let meant = capitals_aside.map(|(sibling, _)| beside(sibling));
        let meant = meant.or_else(|| self.root.find(name)).or_else(|| nearest(name, &names).map(beside));
        self.found.push(Oddity::Unknown { field: self.place(name), meant });
    }

    fn note_repeated(&mut self, name: &str) {
        if self.found.len() < ODDITIES_MAX {
            self.found.push(Oddity::Repeated { field: self.place(name) });
        }
    }
}

fn push(place: &mut String, name: &str) {
    match name.contains(['.', '/', '[']) {
        true => *place += &format!("[{name}]"),
        false if place.is_empty() => *place += name,
        false => *place += &format!(".{name}"),
    }
}

/// A value that is read for its fields only.
struct Node<'w, 'j> {
    schema: Schema,
    walk: &'w mut Walk<'j>,
}

impl<'j> DeserializeSeed<'j> for Node<'_, 'j> {
    type Value = ();

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.schema {
            Schema::Leaf => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            Schema::Map | Schema::List(_) | Schema::Object(_) => deserializer.deserialize_any(self),
        }
    }
}

impl<'j> Visitor<'j> for Node<'_, 'j> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<(), A::Error> {
        let Node { schema, walk } = self;
        let (mut seen, mut keys) = (0_u32, HashSet::new());
        while let Some(FieldKey(key)) = map.next_key()? {
            let known = match schema {
                Schema::Object(fields) => fields.iter().position(|(name, _)| *name == key),
                Schema::Leaf | Schema::Map | Schema::List(_) => None,
            };
            // Known fields have a bit each: endpoints by the million have three maps each.
            let is_repeated = match known {
                Some(index) => {
                    let bit = 1 << index;
                    let had = seen & bit != 0;
                    seen |= bit;
                    had
                }
                None => !keys.insert(key.clone()),
            };
            if is_repeated {
                walk.note_repeated(&key);
            }
            let inner = match (schema, known) {
                (Schema::Object(fields), Some(index)) => fields[index].1,
                (Schema::Object(fields), None) => {
                    walk.note_unknown(&key, fields);
                    Schema::Leaf
                }
                (Schema::Leaf | Schema::Map | Schema::List(_), _) => Schema::Leaf,
            };
            walk.path.push(FieldStep::Field(key));
            map.next_value_seed(Node { schema: inner, walk: &mut *walk })?;
            walk.path.pop();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut items: A) -> Result<(), A::Error> {
        let Node { schema, walk } = self;
        let inner = if let Schema::List(inner) = schema { *inner } else { Schema::Leaf };
        for index in 0.. {
            walk.path.push(FieldStep::Index(index));
            let item = items.next_element_seed(Node { schema: inner, walk: &mut *walk })?;
            walk.path.pop();
            if item.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct FieldKey<'j>(#[serde(borrow)] Cow<'j, str>);

/// More than anybody mends before trying again.
const ODDITIES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::manifests::head::ObjectKind;

    fn check(kind: ObjectKind, json: &str, expected: &[(&str, Option<&str>)]) {
        let found = oddities(json, Schema::of(kind)).into_iter().map(|oddity| match oddity {
            Oddity::Unknown { field, meant } => (field, meant),
            Oddity::Repeated { field } => (field, Some("again".to_owned())),
        });
        let expected = expected.iter().map(|(field, meant)| ((*field).to_owned(), meant.map(str::to_owned)));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{json}");
    }

    #[test]
    fn an_unknown_field_is_told_with_the_one_that_was_meant() {
        check(
            ObjectKind::Service,
            r#"{"apiVersion": "v1", "metadata": {"anotations": {"a": "b"}, "x": 1}, "Spec": {}, "spec": {"prots": [],
                "targetPort": 1, "ports": [{"Port": 1, "targetport": 2, "selector": {}}], "clusterIPS": [], "selectors": {}}}"#,
            &[
                ("metadata.anotations", Some("metadata.annotations")),
                ("metadata.x", None),
                ("Spec", Some("spec")),
                ("spec.prots", Some("spec.ports")),
                ("spec.targetPort", Some("spec.ports[].targetPort")),
                ("spec.ports[0].Port", Some("spec.ports[0].port")),
                ("spec.ports[0].targetport", Some("spec.ports[0].targetPort")),
                ("spec.ports[0].selector", Some("spec.selector")),
                ("spec.clusterIPS", Some("spec.clusterIPs")),
                ("spec.selectors", Some("spec.selector")),
            ],
        );
        check(
            ObjectKind::EndpointSlice,
            r#"{"endpoints": [{"address": ["10.0.0.1"], "ready": true}], "spec": {"ports": []}}"#,
            &[
                ("endpoints[0].address", Some("endpoints[0].addresses")),
                ("endpoints[0].ready", Some("endpoints[].conditions.ready")),
                ("spec", None),
            ],
        );
    }

    #[test]
    fn what_is_given_twice_is_told_wherever_it_is() {
        check(
            ObjectKind::Service,
            r#"{"metadata": {"labels": {"a.b/c": "1", "a.b/c": "2"}}, "spec": {"type": "x", "type": "y"}, "kind": 1, "kind": 2}"#,
            &[
                ("metadata.labels[a.b/c]", Some("again")),
                ("spec.type", Some("again")),
                ("kind", Some("again")),
            ],
        );
    }

    #[test]
    fn every_field_of_an_object_has_a_bit() {
        fn widest(schema: Schema) -> usize {
            match schema {
                Schema::Leaf | Schema::Map => 0,
                Schema::List(items) => widest(*items),
                Schema::Object(fields) => {
                    fields.iter().map(|(_, inner)| widest(*inner)).max().unwrap_or(0).max(fields.len())
                }
            }
        }
        for kind in
            [ObjectKind::Service, ObjectKind::Endpoints, ObjectKind::EndpointSlice, ObjectKind::Secret]
        {
            assert!(widest(Schema::of(kind)) <= 32);
        }
    }

    #[test]
    fn an_object_as_the_api_has_it_is_not_odd() {
        for (kind, json) in [
            (
                ObjectKind::Service,
                r#"{"metadata": {"managedFields": [{"a": {"a": 1}}]}, "spec": null, "status": {"loadBalancer": {}}}"#,
            ),
            (
                ObjectKind::EndpointSlice,
                r#"{"endpoints": [null, {"conditions": {"ready": true}, "targetRef": {"kind": "Pod"}}]}"#,
            ),
            (
                ObjectKind::Endpoints,
                r#"{"subsets": [{"addresses": [{"ip": "10.0.0.1", "nodeName": "a"}], "ports": [{"port": 1}]}]}"#,
            ),
            (ObjectKind::Secret, r#"{"data": {"any": "x"}, "immutable": true, "type": "Opaque"}"#),
            (ObjectKind::Service, r#"{"spec": [1, {"x": 2}], "metadata": "none"}"#),
            (ObjectKind::Service, "not JSON"),
        ] {
            check(kind, json, &[]);
        }
    }
}
