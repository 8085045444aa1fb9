//! The YAML of machines and of most people: block mappings and sequences, whose values stand on one line.

use super::scalar;

/// Reads one document into JSON, or declines: tags, anchors, block scalars, escapes, texts over several lines, and everything else
/// that takes thought is left to [`super::general`]. Never wrong about what it does not decline.
pub fn to_json(document: &str) -> Option<String> {
    let mut reader =
        PlainReader { lines: lines(document)?, next: 0, keys: Vec::new(), depth: 0, json: String::new() };
    reader.json.reserve(document.len());
    let first = reader.peek()?;
    reader.node(first.indent)?;
    reader.peek().is_none().then_some(reader.json)
}

/// A line that says something.
#[derive(Clone, Copy)]
struct PlainLine<'a> {
    indent: usize,
    text: &'a str,
}

fn lines(document: &str) -> Option<Vec<PlainLine<'_>>> {
    let mut lines = Vec::with_capacity(document.len() / 24); // typical of manifests
    for line in document.lines() {
        let text = line.trim_start_matches(' ');
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return None; // tabs take thought, and a lone CR ends a line, even one of comment
        }
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let indent = line.len() - text.len();
        if indent == 0 && (text.starts_with("---") || text.starts_with("...") || text.starts_with('%')) {
            return None;
        }
        lines.push(PlainLine { indent, text: text.trim_end_matches(' ') });
    }
    Some(lines)
}

struct PlainReader<'a> {
    lines: Vec<PlainLine<'a>>,
    next: usize,
    /// The keys of all mappings that are open, the innermost last.
    keys: Vec<&'a str>,
    depth: usize,
    json: String,
}

impl<'a> PlainReader<'a> {
    fn peek(&self) -> Option<PlainLine<'a>> {
        self.lines.get(self.next).copied()
    }

    /// The node that starts at the next line, whose indentation is `indent`.
    fn node(&mut self, indent: usize) -> Option<()> {
        let line = self.peek()?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        if is_entry(line.text) {
            self.sequence(indent)?;
        } else if scalar::split_key(line.text).is_some() {
            self.mapping(indent)?;
        } else {
            self.next += 1;
            self.inline(line.text, indent)?;
        }
        self.depth -= 1;
        Some(())
    }

    fn sequence(&mut self, indent: usize) -> Option<()> {
        let mut opener = '[';
        while let Some(line) = self.peek().filter(|line| line.indent == indent && is_entry(line.text)) {
            self.json.push(opener);
            opener = ',';
            let rest = line.text[1..].trim_start_matches(' ');
            if rest.is_empty() || rest.starts_with('#') {
                self.next += 1;
                self.deeper_or_null(indent)?;
            } else {
                // What follows the dash is a line of its own, further in.
                let indent = indent + (line.text.len() - rest.len());
                self.lines[self.next] = PlainLine { indent, text: rest };
                self.node(indent)?;
            }
        }
        self.json.push(']');
        self.nothing_deeper(indent)
    }

    fn mapping(&mut self, indent: usize) -> Option<()> {
        let (mut opener, outer_keys) = ('{', self.keys.len());
        while let Some(line) = self.peek().filter(|line| line.indent == indent && !is_entry(line.text)) {
            let (key, value) = scalar::split_key(line.text)?;
            if self.keys[outer_keys..].contains(&key) {
                return None;
            }
            self.keys.push(key);
            self.json.extend([opener, '"']);
            self.json.push_str(key);
            self.json.push_str("\":");
            opener = ',';
            self.next += 1;
            match value {
                "" => self.block_value(indent)?,
                value => self.inline(value, indent)?,
            }
        }
        self.keys.truncate(outer_keys);
        self.json.push('}');
        self.nothing_deeper(indent)
    }

    /// The value of a key with nothing behind it. A sequence may stand as far out as its key.
    fn block_value(&mut self, indent: usize) -> Option<()> {
        match self.peek() {
            Some(line) if line.indent == indent && is_entry(line.text) => self.node(indent),
            Some(_) | None => self.deeper_or_null(indent),
        }
    }

    fn deeper_or_null(&mut self, indent: usize) -> Option<()> {
        match self.peek() {
            Some(line) if line.indent > indent => self.node(line.indent),
            Some(_) | None => {
                self.json.push_str("null");
                Some(())
            }
        }
    }

    /// A scalar or a flow collection, which ends with its line.
    fn inline(&mut self, text: &'a str, indent: usize) -> Option<()> {
        scalar::inline(text, &mut self.json)?;
        self.nothing_deeper(indent)
    }

    fn nothing_deeper(&self, indent: usize) -> Option<()> {
        self.peek().is_none_or(|line| line.indent <= indent).then_some(())
    }
}

fn is_entry(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// Deeper than any object of the API, and shallow for our stack.
const MAX_DEPTH: usize = 48;
