//! JSON → the API's type → facts.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use svc_core::service::object::{self, EndpointPort};
use svc_core::service::{
    Interner, Invalid, Rules, Slice, Valid, read_endpoint_slice, read_endpoints, read_service,
};

use super::finding::{Finding, Severity};
use super::head::{ObjectKind, ObjectNames};
use super::objects::ObjectFacts;
use super::secret::{self, Secret};

/// What came of an object.
pub(super) struct ReadObject {
    /// The facts, or why it is refused.
    pub(super) facts: Result<ObjectFacts, String>,
    /// One at least where it is refused.
    pub(super) mistakes: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
    /// Names of the ports of slices, and the fields they stand in.
    pub(super) port_names: Vec<(String, Arc<str>)>,
}

/// Reads an object of `kind`, whose names are known already, for one may have been made.
pub(super) fn read(
    json: &str,
    kind: ObjectKind,
    version: &str,
    names: Option<&ObjectNames>,
    rules: &Rules,
    interner: &mut Interner,
) -> ReadObject {
    let typed = Typed { json, kind, version, names };
    match kind {
        ObjectKind::Service => typed.read(
            |object: &object::Service| read_service(object, rules),
            |service| ObjectFacts::Service(Arc::new(service)),
        ),
        ObjectKind::Endpoints => {
            typed.read(|object: &object::Endpoints| read_endpoints(object, rules, interner), slices)
        }
        ObjectKind::EndpointSlice => {
            typed.read(|object: &object::EndpointSlice| read_endpoint_slice(object, rules, interner), slices)
        }
        ObjectKind::Secret => {
            let mut outdated = Vec::new();
            let mut read = typed.read(
                |object: &Secret| {
                    secret::read(object, rules)
                        .inspect(|valid| outdated = secret::outdated(object, &valid.fact))
                },
                |material| ObjectFacts::Secret(Arc::new(material)),
            );
            read.warnings.append(&mut outdated);
            read
        }
    }
}

fn slices(slices: Vec<Slice>) -> ObjectFacts {
    ObjectFacts::Slices(slices.into_iter().map(Arc::new).collect())
}

struct Typed<'a> {
    json: &'a str,
    kind: ObjectKind,
    version: &'a str,
    names: Option<&'a ObjectNames>,
}

impl Typed<'_> {
    fn read<T: Shape, F>(
        &self,
        read: impl FnOnce(&T) -> Result<Valid<F>, Invalid>,
        into_facts: impl FnOnce(F) -> ObjectFacts,
    ) -> ReadObject {
        let mut object: T = match serde_json::from_str(self.json) {
            Ok(object) => object,
            Err(_) => return self.mistyped::<T>(),
        };
        if let Some(ObjectNames { name, is_generated: true, .. }) = self.names {
            object.set_name(name);
        }
        let port_names = object.port_names();
        match read(&object) {
            Ok(Valid { fact, warnings }) => ReadObject {
                facts: Ok(into_facts(fact)),
                mistakes: Vec::new(),
                warnings: warnings.into_iter().map(Finding::from).collect(),
                port_names,
            },
            Err(invalid) => ReadObject {
                facts: Err(invalid.to_string()),
                mistakes: invalid.mistakes.into_iter().map(Finding::from).collect(),
                warnings: Vec::new(),
                port_names,
            },
        }
    }

    /// As the API server answers what its decoder cannot take. Reads once more, with an eye on the path.
    fn mistyped<T: DeserializeOwned>(&self) -> ReadObject {
        let again =
            serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(self.json));
        let error = again.err().expect("it could not be read a moment ago");
        let field = field(error.path());
        let message = error.into_inner().to_string();
        let message = message.split(" at line ").next().unwrap_or_default(); // a line of JSON, which the file need not be
        let (kind, version) = (self.kind.as_str(), self.version);
        let reason =
            format!("{kind} in version {version:?} cannot be handled as a {kind}: {field}: {message}");
        let mistake =
            Finding::field(Severity::Error, &field, message.to_owned(), format!("{field}: {message}"));
        ReadObject {
            facts: Err(reason),
            mistakes: vec![mistake],
            warnings: Vec::new(),
            port_names: Vec::new(),
        }
    }
}

/// A path in the spelling of validation: `spec.ports[1].name`, `metadata.labels[a.b/c]`.
fn field(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |path, segment| match segment {
        Segment::Seq { index } => format!("{path}[{index}]"),
        Segment::Map { key } if key.contains(['.', '/']) => format!("{path}[{key}]"),
        Segment::Map { key } if path.is_empty() => key.clone(),
        Segment::Map { key } => format!("{path}.{key}"),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

/// What is asked of an object before it is read.
trait Shape: DeserializeOwned {
    /// Gives it the name that was made for it.
    fn set_name(&mut self, name: &str);

    fn port_names(&self) -> Vec<(String, Arc<str>)> {
        Vec::new()
    }
}

fn set_name(metadata: &mut Option<object::Metadata>, name: &str) {
    metadata.get_or_insert_default().name = Some(name.to_owned());
}

fn names_of(ports: Option<&Vec<EndpointPort>>, at: &str) -> Vec<(String, Arc<str>)> {
    let name = |(index, port): (usize, &EndpointPort)| {
        (format!("{at}[{index}].name"), Arc::from(port.name.as_deref().unwrap_or_default()))
    };
    ports.into_iter().flatten().enumerate().map(name).collect()
}

impl Shape for object::Service {
    fn set_name(&mut self, name: &str) {
        set_name(&mut self.metadata, name);
    }
}

impl Shape for object::Endpoints {
    fn set_name(&mut self, name: &str) {
        set_name(&mut self.metadata, name);
    }

    fn port_names(&self) -> Vec<(String, Arc<str>)> {
        let subsets = self.subsets.iter().flatten().enumerate();
        subsets
            .flat_map(|(index, subset)| names_of(subset.ports.as_ref(), &format!("subsets[{index}].ports")))
            .collect()
    }
}

impl Shape for object::EndpointSlice {
    fn set_name(&mut self, name: &str) {
        set_name(&mut self.metadata, name);
    }

    fn port_names(&self) -> Vec<(String, Arc<str>)> {
        names_of(self.ports.as_ref(), "ports")
    }
}

impl Shape for Secret {
    fn set_name(&mut self, name: &str) {
        set_name(&mut self.metadata, name);
    }
}
