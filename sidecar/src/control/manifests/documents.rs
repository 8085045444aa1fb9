//! A text → its documents.

/// One document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// The line of the file, counted from 1, on which `text` starts.
    pub(super) line: usize,
    /// What stands between two markers.
    pub(super) text: &'a str,
}

/// Cuts `text` at its `---` lines. YAML lets nothing else, not even a block scalar, have `---` at the start of a line (YAML 1.2.2
/// §9.1.2, `c-forbidden`), and JSON has no lines inside of texts, so no parser is needed to find them.
pub(super) fn split(text: &str) -> impl Iterator<Item = Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rest = Some(Document { line: 1, text });
    core::iter::from_fn(move || {
        let current = rest.take()?;
        let Some(marker) = marker(current.text) else { return Some(current) };
        let (text, after) = current.text.split_at(marker);
        let line = current.line + text.bytes().filter(|byte| *byte == b'\n').count();
        rest = Some(Document { line, text: &after[MARKER.len()..] }); // what follows on that line belongs to the document
        Some(Document { line: current.line, text })
    })
}

/// Where the first line starts that is a marker.
fn marker(text: &str) -> Option<usize> {
    let is_marker = |start: &usize| {
        let at_line_start = *start == 0 || text.as_bytes()[start - 1] == b'\n';
        let after = text.as_bytes().get(start + MARKER.len());
        at_line_start && matches!(after, None | Some(b' ' | b'\t' | b'\r' | b'\n'))
    };
    text.match_indices(MARKER).map(|(start, _)| start).find(is_marker)
}

const MARKER: &str = "---";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        let documents: Vec<_> = split(text).map(|document| (document.line, document.text)).collect();
        assert_eq!(documents, expected);
    }

    #[test]
    fn a_line_of_three_dashes_ends_a_document() {
        check("a: 1\n", &[(1, "a: 1\n")]);
        check("---\na: 1\n---\nb: 2\n---", &[(1, ""), (1, "\na: 1\n"), (3, "\nb: 2\n"), (5, "")]);
        check("--- {a: 1}\r\n--- # x\r\n", &[(1, ""), (1, " {a: 1}\r\n"), (2, " # x\r\n")]);
    }

    #[test]
    fn dashes_elsewhere_do_not() {
        for text in ["a: ---\n", "----\n", "a: |\n  ---\n", "---a\n", "a: b---\n"] {
            check(text, &[(1, text)]);
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_content() {
        check("\u{feff}a: 1", &[(1, "a: 1")]);
    }
}
