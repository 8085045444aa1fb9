//! How Envoy learns of the endpoint.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::header_name;
use crate::json::{Fields, one_of, text};
use crate::names::header;
use crate::values::Expected;

/// How Envoy learns of the endpoint: by a header, whose name is lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandOff {
    /// A cluster of the type `ORIGINAL_DST` goes to the address in this header (`use_http_header`).
    OriginalDestination {
        /// Its name.
        header: String,
    },
    /// The policy `override_host` of any cluster goes to the address in this header, if the cluster knows it.
    OverrideHost {
        /// Its name.
        header: String,
    },
    /// The route goes to the cluster in this header (`cluster_header`), whose own policy chooses.
    ClusterHeader {
        /// Its name.
        header: String,
        /// What the cluster of a Service port is called.
        cluster: ClusterName,
    },
    /// Not at all: the filter sets headers and counts.
    None,
}

impl HandOff {
    /// The header's name, where there is one.
    pub fn header(&self) -> Option<&str> {
        match self {
            HandOff::OriginalDestination { header }
            | HandOff::OverrideHost { header }
            | HandOff::ClusterHeader { header, .. } => Some(header),
            HandOff::None => None,
        }
    }
}

/// What the Envoy cluster of a Service port is called: a text with `{name}`, `{namespace}` and `{port}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterName(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Name,
    Namespace,
    Port,
}

impl ClusterName {
    /// Reads a text with placeholders.
    ///
    /// # Errors
    /// It is empty, or has braces around or without anything else.
    pub fn parse(raw: &str) -> Result<ClusterName, Expected> {
        let mut pieces = Vec::new();
        let mut rest = raw;
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, after) = after.split_once('}').ok_or(EXPECTED)?;
            pieces.extend(plain(before)?);
            pieces.push(match placeholder {
                "name" => Piece::Name,
                "namespace" => Piece::Namespace,
                "port" => Piece::Port,
                _ => return Err(EXPECTED.into()),
            });
            rest = after;
        }
        pieces.extend(plain(rest)?);
        if pieces.is_empty() { Err(EXPECTED.into()) } else { Ok(ClusterName(pieces)) }
    }

    /// The cluster of this port of this Service.
    pub fn of(&self, namespace: &str, name: &str, port: u16) -> String {
        let mut cluster = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => cluster.push_str(text),
                Piece::Name => cluster.push_str(name),
                Piece::Namespace => cluster.push_str(namespace),
                Piece::Port => cluster.push_str(&format!("{port}")),
            }
        }
        cluster
    }
}

fn plain(text: &str) -> Result<Option<Piece>, Expected> {
    match text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'}') {
        true => Ok((!text.is_empty()).then(|| Piece::Text(text.into()))),
        false => Err(EXPECTED.into()),
    }
}

pub(super) fn read(fields: &mut Fields<'_, '_>) -> HandOff {
    let usual = || HandOff::OriginalDestination { header: header::ORIGINAL_DST_HOST.into() };
    let Some(mut fields) = fields.object("handOff") else { return usual() };
    let by = fields.read("by", |value| one_of(value, &BY));
    let by = match by {
        None if fields.have("by") => None, // wrong, so that anything may be right
        by => Some(by.unwrap_or(By::OriginalDestination)),
    };
    let needs_header = by != Some(By::None);
    let header =
        fields.only_if(needs_header, "header", "another `by` than `none`", |value| text(value, header_name));
    let needs_cluster = by.is_none_or(|by| by == By::ClusterHeader);
    let cluster = fields.only_if(needs_cluster, "cluster", "`by: cluster-header` beside it", |value| {
        text(value, ClusterName::parse)
    });
    fields.end();
    let named = |usual: &str| header.unwrap_or_else(|| usual.into());
    match by {
        Some(By::OriginalDestination) => {
            HandOff::OriginalDestination { header: named(header::ORIGINAL_DST_HOST) }
        }
        Some(By::OverrideHost) => HandOff::OverrideHost { header: named(header::OVERRIDE_HOST) },
        Some(By::ClusterHeader) => HandOff::ClusterHeader {
            header: named(header::CLUSTER),
            cluster: cluster.unwrap_or_else(usual_cluster),
        },
        Some(By::None) | None => HandOff::None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    OriginalDestination,
    OverrideHost,
    ClusterHeader,
    None,
}

const BY: [(&str, By); 4] = [
    ("original-destination", By::OriginalDestination),
    ("override-host", By::OverrideHost),
    ("cluster-header", By::ClusterHeader),
    ("none", By::None),
];

/// `{name}.{namespace}:{port}`
fn usual_cluster() -> ClusterName {
    let text = |text: &str| Piece::Text(text.into());
    ClusterName([Piece::Name, text("."), Piece::Namespace, text(":"), Piece::Port].into())
}

const EXPECTED: &str =
    "the name of a cluster, in which `{name}`, `{namespace}` and `{port}` stand for a Service's";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_after_its_service() {
        for (template, named) in [
            ("{name}.{namespace}:{port}", "web.shop:80"),
            (
                "outbound|{port}||{name}.{namespace}.svc.cluster.local",
                "outbound|80||web.shop.svc.cluster.local",
            ),
            ("{name}{name}", "webweb"),
            ("all", "all"),
        ] {
            assert_eq!(ClusterName::parse(template).unwrap().of("shop", "web", 80), named, "{template}");
        }
        assert_eq!(ClusterName::parse("{name}.{namespace}:{port}"), Ok(usual_cluster()));
    }

    #[test]
    fn a_cluster_has_no_other_braces() {
        for template in ["", "{", "}", "{}", "{Name}", "{name", "name}", "{ name }", "{name}}", "a b"] {
            assert!(ClusterName::parse(template).is_err(), "{template}");
        }
    }
}
