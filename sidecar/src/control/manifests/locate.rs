//! Fields' paths → the lines they stand on. Asked only when there is something to tell, so the document is parsed once more.

use std::borrow::Cow;

use serde_saphyr::granit_parser::{Event, Parser, Span};

/// The lines, counted from 1, of `fields` (`spec.ports[1].name`) or, where the document does not have one, of the innermost field around
/// it that it has. Of a key that is there more than once it is the last, whose value counts.
pub(super) fn lines_of(document: &str, fields: &[String]) -> Vec<usize> {
    let steps: Vec<_> = fields.iter().map(|field| steps(field)).collect();
    let events = Parser::new_from_str(document).map_while(Result::ok);
    let mut search = Search { events, lines: vec![1; fields.len()] };
    while let Some((event, span)) = search.events.next() {
        if is_collection(&event) || matches!(event, Event::Scalar(..)) {
            search.lines.fill(span.start.line());
            let wanted: Vec<_> = steps.iter().enumerate().map(|(index, steps)| (index, &steps[..])).collect();
            search.descend(&event, &wanted);
            break;
        }
    }
    search.lines
}

/// The index of a field, and what is left of the way to it.
type FieldIndex<'s, 'f> = (usize, &'s [Cow<'f, str>]);

struct Search<E> {
    events: E,
    lines: Vec<usize>,
}

impl<'a, E: Iterator<Item = (Event<'a>, Span)>> Search<E> {
    /// Goes through the node that `event` starts, in which `wanted` are.
    fn descend(&mut self, event: &Event<'a>, wanted: &[FieldIndex<'_, '_>]) {
        if wanted.iter().all(|(_, steps)| steps.is_empty()) {
            return self.skip(event);
        }
        if !is_collection(event) {
            return;
        }
        let is_mapping = matches!(event, Event::MappingStart(..));
        let mut index = 0;
        while let Some((event, span)) = self.events.next() {
            if is_end(&event) {
                return;
            }
            let name = if let (true, Event::Scalar(key, ..)) = (is_mapping, &event) {
                key.clone()
            } else {
                Cow::Owned(format!("[{index}]"))
            };
            let value = if is_mapping { self.value_of(&event) } else { Some(event) };
            let Some(value) = value else { return };
            let further = self.follow(&name, span, wanted);
            self.descend(&value, &further);
            index += 1;
        }
    }

    /// Those that lead through the child `name`, which stands at `span`.
    fn follow<'s, 'f>(
        &mut self,
        name: &str,
        span: Span,
        wanted: &[FieldIndex<'s, 'f>],
    ) -> Vec<FieldIndex<'s, 'f>> {
        let mut further = Vec::new();
        for (index, steps) in wanted {
            // The API server tells of the list even where only its first was written.
            if let Some((step, rest)) = steps.split_first()
                && (*step == name || (step == "clusterIPs" && name == "clusterIP"))
            {
                self.lines[*index] = span.start.line();
                further.push((*index, rest));
            }
        }
        further
    }

    /// The value of the key that `key` starts.
    fn value_of(&mut self, key: &Event<'a>) -> Option<Event<'a>> {
        self.skip(key);
        self.events.next().map(|(event, _)| event)
    }

    /// Passes over the rest of the node that `event` starts.
    fn skip(&mut self, event: &Event<'a>) {
        let mut open = usize::from(is_collection(event));
        while open > 0 {
            match self.events.next() {
                Some((event, _)) if is_collection(&event) => open += 1,
                Some((event, _)) if is_end(&event) => open -= 1,
                Some(_) => {}
                None => return,
            }
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

    fn line_of(document: &str, field: &str) -> usize {
        lines_of(document, &[field.to_owned()])[0]
    }

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
    fn many_fields_are_found_in_one_go() {
        let fields = ["spec.ports[1].port", "kind", "spec.ports[0]", "spec.ports[1].port"].map(str::to_owned);
        assert_eq!(lines_of(DOCUMENT, &fields), [11, 2, 9, 11]);
        assert_eq!(lines_of(DOCUMENT, &[]), [0; 0]);
    }

    #[test]
    fn of_a_repeated_key_the_last_is_found() {
        assert_eq!(line_of("a: 1\nb:\n  c: 1\nb:\n  c: 2\n", "b.c"), 5);
    }

    #[test]
    fn json_has_lines_too() {
        assert_eq!(line_of("{\"spec\": {\n\"ports\": [\n{}, {\"port\":\n0}]}}", "spec.ports[1].port"), 3);
    }
}
