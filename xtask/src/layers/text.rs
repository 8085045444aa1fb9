//! Rust's tokens, as far as imports need them: words, `::` and punctuation, each with its line. Comments and literals are gone.

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// An identifier or a keyword, and also a number.
    Word(&'a str),
    /// `::`
    PathSeparator,
    Mark(char),
}

/// The tokens of a file.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let skipped = skipped(rest);
        let (length, kind) = match first {
            _ if skipped > 0 => (skipped, None),
            'r' if rest.starts_with("r#") => {
                let word = word(&rest[2..]);
                (2 + word.len(), Some(Kind::Word(word)))
            }
            ':' if rest.starts_with("::") => (2, Some(Kind::PathSeparator)),
            _ if is_in_word(first) => {
                let word = word(rest);
                (word.len(), Some(Kind::Word(word)))
            }
            _ if first.is_whitespace() => (first.len_utf8(), None),
            _ => (first.len_utf8(), Some(Kind::Mark(first))),
        };
        tokens.extend(kind.map(|kind| Token { kind, line }));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

fn word(text: &str) -> &str {
    &text[..text.find(|letter| !is_in_word(letter)).unwrap_or(text.len())]
}

fn is_in_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of the comment, literal or lifetime that `text` begins with; 0 when it begins with none.
fn skipped(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if text.starts_with('\'') {
        return quote(text);
    }
    let prefix = text.len() - text.trim_start_matches(['b', 'c']).len();
    if prefix > 1 {
        return 0;
    }
    let rest = &text[prefix..];
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", &raw[..hashes]);
        return match raw[hashes..].strip_prefix('"') {
            Some(inside) => {
                let begin = text.len() - inside.len();
                inside.find(&end).map_or(text.len(), |at| begin + at + end.len())
            }
            None => 0,
        };
    }
    match rest.strip_prefix('"') {
        Some(inside) => prefix + 1 + to_end(inside, '"'),
        None if prefix == 1 && rest.starts_with('\'') => prefix + quote(rest),
        None => 0,
    }
}

/// Comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let rest = &text[at..];
        let Some(next) = rest.find(['/', '*']) else { return text.len() };
        at += next;
        match text.get(at..at + 2) {
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
}

/// A character, or of a lifetime only the quote.
fn quote(text: &str) -> usize {
    let inside = &text[1..];
    let mut letters = inside.char_indices();
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), _) => 1 + to_end(inside, '\''),
        (Some(_), Some((at, '\''))) => 1 + at + 1,
        _ => 1,
    }
}

/// The length up to and with the first `end` that is not escaped.
fn to_end(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if letter == end && !escaped {
            return at + letter.len_utf8();
        }
        escaped = letter == '\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let words = tokens(text).into_iter().map(|token| match token.kind {
            Kind::Word(word) => word,
            Kind::PathSeparator => "::",
            Kind::Mark(_) => ".",
        });
        words.collect()
    }

    #[test]
    fn comments_and_literals_are_no_tokens() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(words(r##"a "b \" c" d b"e" f r#"g " h"# i c"j" k"##), ["a", "d", "f", "i", "k"]);
        assert_eq!(words(r"a '{' b '\'' c b'}' d 'ä' e"), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_lifetime_is_no_character_and_a_raw_word_no_string() {
        assert_eq!(words("&'a b<'_>"), [".", "a", "b", ".", "_", "."]);
        assert_eq!(words("r#type::read brand"), ["type", "::", "read", "brand"]);
    }

    #[test]
    fn each_token_knows_its_line() {
        let lines: Vec<usize> = tokens("a\n\"\n\"\nb /*\n*/ c").into_iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 4, 5]);
    }
}
