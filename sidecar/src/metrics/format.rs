//! In which format `/metrics` answers: the one that the client wants more (RFC 9110 §12.5.1), Prometheus's own where it does not say.

use hyper::HeaderMap;
use hyper::header::ACCEPT;

/// A format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus's text format 0.0.4, which every tool reads.
    Text,
}

impl Format {
    /// What a client accepts. Who accepts neither gets the text: a scraper that asks for something new is served nevertheless.
    pub(crate) fn accepted(headers: &HeaderMap) -> Format {
        let values = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let (mut open_metrics, mut text) = (Wish::default(), Wish::default());
        for range in values.flat_map(|value| value.split(',')).filter_map(MediaRange::parse) {
            open_metrics.hear(&range, "application", "openmetrics-text", &["1.0.0", "0.0.1"]);
            text.hear(&range, "text", "plain", &["0.0.4"]);
        }
        let is_tie = open_metrics == text && open_metrics.exactness == EXACT;
        match open_metrics.weight > 0 && (open_metrics > text || is_tie) {
            true => Format::OpenMetrics,
            false => Format::Text,
        }
    }

    /// Its media type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// How much something is wanted: by its weight in thousandths, then by how exactly it was named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Wish {
    weight: u16,
    exactness: u8,
}

impl Wish {
    /// The range that names it most exactly counts, among equal ones the one with the greatest weight.
    fn hear(&mut self, range: &MediaRange<'_>, kind: &str, subtype: &str, versions: &[&str]) {
        let exactness = match (range.kind, range.subtype) {
            ("*", "*") => 1,
            (known, "*") if known.eq_ignore_ascii_case(kind) => 2,
            (known, name) if known.eq_ignore_ascii_case(kind) && name.eq_ignore_ascii_case(subtype) => EXACT,
            _ => return,
        };
        let is_known = range.version.is_none_or(|version| versions.contains(&version));
        if is_known && (exactness, range.weight) > (self.exactness, self.weight) {
            (self.exactness, self.weight) = (exactness, range.weight);
        }
    }
}

const EXACT: u8 = 3;

/// `text/plain;version=0.0.4;q=0.3`
struct MediaRange<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    weight: u16,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Option<MediaRange<'a>> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut range = MediaRange { kind, subtype, version: None, weight: 1000 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            if name.eq_ignore_ascii_case("version") {
                range.version = Some(value.trim_matches('"'));
            } else if name.eq_ignore_ascii_case("q") {
                let weight = value.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
                range.weight = (weight * 1000.0) as u16;
            }
        }
        Some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(values: &[&'static str]) -> Format {
        let headers = values.iter().map(|value| (ACCEPT, value.parse().unwrap()));
        Format::accepted(&headers.collect())
    }

    #[test]
    fn scrapers_get_what_they_want_most() {
        for open_metrics in [
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", // Prometheus 3
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", // Prometheus 2.5
            "text/plain, Application/OpenMetrics-Text",
            "application/*",
            "text/plain;q=0, */*",
        ] {
            assert_eq!(accepted(&[open_metrics]), Format::OpenMetrics, "{open_metrics}");
        }
        for text in [
            "*/*",
            "text/plain",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", // a browser
            "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.8",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/json",
            "nonsense, ;q=7",
            "application/openmetrics-text;q=7",
        ] {
            assert_eq!(accepted(&[text]), Format::Text, "{text}");
        }
        assert_eq!(accepted(&[]), Format::Text);
        assert_eq!(accepted(&["text/plain;q=0.1", "application/openmetrics-text"]), Format::OpenMetrics);
    }
}
