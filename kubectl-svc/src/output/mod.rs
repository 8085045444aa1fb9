//! Answers: a text for stdout, and warnings for stderr.

mod table;

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use table::Table;

use crate::error::Error;

/// What a command prints.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) warnings: Vec<String>,
    /// For stderr, where there is nothing to print.
    pub(crate) note: Option<String>,
    /// Whether a check has found errors.
    pub(crate) has_errors: bool,
}

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns
    #[default]
    Table,
    /// More columns
    Wide,
    /// Names only
    Name,
    /// A JSON document
    Json,
    /// The same in YAML
    Yaml,
}

/// A document as JSON or YAML.
pub(crate) fn document(format: Format, value: &impl Serialize) -> Result<String, Error> {
    let text = match format {
        Format::Yaml => serde_saphyr::to_string(value).map_err(|error| error.to_string()),
        Format::Json | Format::Table | Format::Wide | Format::Name => {
            serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| error.to_string())
        }
    };
    text.map_err(|error| Error::new(format!("cannot write the document: {error}")))
}
