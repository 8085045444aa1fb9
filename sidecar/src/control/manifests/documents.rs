//! A text → its documents.

use super::encoding::{MARK, line_at, offset, without_mark};

/// One document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileDocument<'a> {
    /// The line of the file, counted from 1, on which `text` starts.
    pub(super) line: usize,
    /// What stands between two markers.
    pub(super) text: &'a str,
}

/// Cuts `text` at its lines of `---` and `...`. YAML lets nothing else, not even a block scalar, have these at the start of a line (YAML
/// 1.2.2 §9.1.2, `c-forbidden`), and JSON has no lines inside of texts, so no parser is needed to find them. What is wrong in one document
/// is so in that one only. Documents of blanks, comments and directives are left out.
pub(super) fn split(text: &str) -> impl Iterator<Item = FileDocument<'_>> {
    let mut rest = Some(FileDocument { line: 1, text: without_mark(text) });
    core::iter::from_fn(move || {
        let current = rest.take()?;
        let Some(marker) = marker(current.text) else { return Some(current) };
        let (text, after) = current.text.split_at(marker);
        let line = current.line + text.bytes().filter(|byte| *byte == b'\n').count();
        rest = Some(FileDocument { line, text: &after[MARKER_BYTES..] }); // what follows on that line belongs to the document
        Some(FileDocument { line: current.line, text: text.strip_suffix(MARK).unwrap_or(text) })
    })
    .map(FileDocument::without_mark)
    .filter(|document| !document.is_void())
}

impl<'a> FileDocument<'a> {
    /// Files that were put one behind the other have a byte order mark each.
    fn without_mark(self) -> FileDocument<'a> {
        let start = self.text.trim_start();
        let unmarked = without_mark(start);
        match unmarked.len() == start.len() {
            true => self,
            false => self.from(offset(self.text, unmarked)),
        }
    }

    /// What follows its first bytes.
    pub(super) fn from(self, start: usize) -> FileDocument<'a> {
        FileDocument { line: self.line + line_at(self.text, start) - 1, text: &self.text[start..] }
    }

    /// Its first bytes.
    pub(super) fn to(self, end: usize) -> FileDocument<'a> {
        FileDocument { text: &self.text[..end], ..self }
    }

    fn is_void(&self) -> bool {
        self.text
            .lines()
            .all(|line| line.starts_with('%') || matches!(line.trim_start().chars().next(), None | Some('#')))
    }
}

/// Where the first line starts that is a marker.
fn marker(text: &str) -> Option<usize> {
    let is_marker = |start: &usize| {
        let line = &text.as_bytes()[*start..];
        let after = line.get(MARKER_BYTES);
        (line.starts_with(b"---") || line.starts_with(b"..."))
            && matches!(after, None | Some(b' ' | b'\t' | b'\r' | b'\n'))
    };
    let starts = [0].into_iter().chain(text.match_indices('\n').map(|(end, _)| end + 1));
    starts.map(|start| start + text[start..].len() - without_mark(&text[start..]).len()).find(is_marker)
}

const MARKER_BYTES: usize = 3;

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
        check("---\na: 1\n---\nb: 2\n---", &[(1, "\na: 1\n"), (3, "\nb: 2\n")]);
        check("--- {a: 1}\r\n--- # x\r\n", &[(1, " {a: 1}\r\n")]);
    }

    #[test]
    fn three_dots_end_one_too_and_directives_are_none() {
        check("a: 1\n...\nb: 2\n", &[(1, "a: 1\n"), (2, "\nb: 2\n")]);
        check("%YAML 1.2\n---\na: 1\n...\n# end\n", &[(2, "\na: 1\n")]);
    }

    #[test]
    fn dashes_elsewhere_do_not() {
        for text in ["a: ---\n", "----\n", "a: |\n  ---\n", "---a\n", "a: b---\n", "....\n", "a: |\n  ...\n"]
        {
            check(text, &[(1, text)]);
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_content_in_any_document() {
        check("\u{feff}a: 1", &[(1, "a: 1")]);
        check("\u{feff}---\na: 1\n\u{feff}---\nb: 2\n", &[(1, "\na: 1\n"), (3, "\nb: 2\n")]);
        check("a: 1\n---\n\u{feff}b: 2\n", &[(1, "a: 1\n"), (3, "b: 2\n")]);
    }
}
