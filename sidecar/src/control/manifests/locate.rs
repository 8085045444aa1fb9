//! A field's path → the line it stands on. Asked only when there is a mistake to tell, so the document is parsed once more.

use std::borrow::Cow;

use serde_saphyr::granit_parser::{Event, Parser, Span};

/// The line, counted from 1, of `field` (`spec.ports[1].name`) or, where the document does not have it, of the innermost field around
/// it that it has.
pub(super) fn line_of(document: &str, field: &str) -> usize {
    let mut events = Parser::new_from_str(document).map_while(Result::ok);
    let mut line = 1;
    while let Some((event, span)) = events.next() {
        if is_collection(&event) || matches!(event, Event::Scalar(..)) {
            line = span.start.line();
            descend(event, &mut events, &steps(field), &mut line);
            break;
        }
    }
    line
}

/// Follows `steps` from the node that `event` starts, and leaves in `line` where they led.
fn descend<'a>(
    event: Event<'a>,
    events: &mut impl Iterator<Item = (Event<'a>, Span)>,
    steps: &[Cow<'_, str>],
    line: &mut usize,
) {
    let Some((step, further)) = steps.split_first() else { return };
    let is_mapping = matches!(event, Event::MappingStart(..));
    if !is_collection(&event) {
        return;
    }
    let mut index = 0;
    while let Some((event, span)) = events.next() {
        if is_end(&event) {
            return;
        }
        let name = if let (true, Event::Scalar(key, ..)) = (is_mapping, &event) {
            key.clone()
        } else {
            Cow::Owned(format!("[{index}]"))
        };
        let value = if is_mapping { next_value(event, events) } else { Some(event) };
        let Some(value) = value else { return };
        if name == *step || (step == "clusterIPs" && name == "clusterIP") {
            *line = span.start.line(); // the API server tells of the list even where only its first was written
            return descend(value, events, further, line);
        }
        skip(&value, events);
        index += 1;
    }
}

/// The value of the key that `key` starts.
fn next_value<'a>(key: Event<'a>, events: &mut impl Iterator<Item = (Event<'a>, Span)>) -> Option<Event<'a>> {
    skip(&key, events);
    events.next().map(|(event, _)| event)
}

/// Passes over the rest of the node that `event` starts.
fn skip<'a>(event: &Event<'a>, events: &mut impl Iterator<Item = (Event<'a>, Span)>) {
    let mut open = usize::from(is_collection(event));
    while open > 0 {
        match events.next() {
            Some((event, _)) if is_collection(&event) => open += 1,
            Some((event, _)) if is_end(&event) => open -= 1,
            Some(_) => {}
            None => return,
        }
    }
}

fn is_collection(event: &Event<'_>) -> bool {
    matches!(event, Event::MappingStart(..) | Event::SequenceStart(..))
}

fn is_end(event: &Event<'_>) -> bool {
    matches!(event, Event::MappingEnd | Event::SequenceEnd)
}

/// `spec.ports[1].name` → `spec`, `ports`, `[1]`, `name`; `labels[a.b/c]` → `labels`, `a.b/c`.
fn steps(field: &str) -> Vec<Cow<'_, str>> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        let (step, after) = match rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
            Some((index, after)) if index.bytes().all(|byte| byte.is_ascii_digit()) => {
                (format!("[{index}]").into(), after)
            }
            Some((key, after)) => (key.into(), after),
            None => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                (rest[..end].into(), &rest[end..])
            }
        };
        steps.push(step);
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# a comment
kind: Service
metadata:
  labels:
    a.b/c: d
spec:
  clusterIP: 10.0.0.1
  ports:
  - {name: a, port: 1}
  - name: b
    port: 2
";

    #[test]
    fn a_field_is_found_where_it_stands() {
        for (field, line) in [
            ("kind", 2),
            ("metadata.labels[a.b/c]", 5),
            ("spec", 6),
            ("spec.clusterIPs", 7),
            ("spec.ports[0].port", 9),
            ("spec.ports[1]", 10),
            ("spec.ports[1].port", 11),
        ] {
            assert_eq!(line_of(DOCUMENT, field), line, "{field}");
        }
    }

    #[test]
    fn a_missing_field_is_found_at_what_should_have_it() {
        for (field, line) in
            [("spec.ports[1].protocol", 10), ("spec.ports[7].name", 8), ("spec.type", 6), ("status.x", 2)]
        {
            assert_eq!(line_of(DOCUMENT, field), line, "{field}");
        }
    }

    #[test]
    fn json_has_lines_too() {
        assert_eq!(line_of("{\"spec\": {\n\"ports\": [\n{}, {\"port\":\n0}]}}", "spec.ports[1].port"), 3);
    }
}
