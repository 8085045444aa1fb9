//! What stands on one line: keys, scalars, flow collections.

/// A key and what follows its colon, without comment when that is all; `None` where `text` has no key that is easy to read.
pub(super) fn split_key(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = match text.as_bytes().first()? {
        b'"' | b'\'' => quoted(text)?,
        _ => text.split_at(text.bytes().take_while(is_key_byte).count()),
    };
    let is_name = key.starts_with(|first: char| first.is_ascii_alphabetic()) && !is_null(key);
    if !is_name || !key.bytes().all(|byte| is_key_byte(&byte)) {
        return None; // 1 and 0x1 would be one key, and null is none
    }
    let rest = rest.strip_prefix(':')?;
    match rest.strip_prefix(' ') {
        _ if rest.is_empty() => Some((key, "")),
        Some(value) => Some((key, without_comment_line(value.trim_start_matches(' ')))),
        None => None,
    }
}

fn is_key_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._/-".contains(byte)
}

fn is_null(key: &str) -> bool {
    key.eq_ignore_ascii_case("null")
}

fn without_comment_line(value: &str) -> &str {
    if value.starts_with('#') { "" } else { value }
}

/// Writes the scalar or flow collection that is all of `text`, but for a comment.
pub(super) fn inline(text: &str, json: &mut String) -> Option<()> {
    match text.as_bytes().first()? {
        b'[' | b'{' => {
            let rest = flow(text, json, 0)?;
            ends(rest)
        }
        b'"' | b'\'' => {
            let (content, rest) = quoted(text)?;
            ends(rest)?;
            string(content, json)
        }
        _ => plain(text.split(" #").next()?.trim_end_matches(' '), json),
    }
}

/// Nothing follows but a comment.
fn ends(rest: &str) -> Option<()> {
    let trimmed = rest.trim_start_matches(' ');
    (trimmed.is_empty() || (trimmed.starts_with('#') && trimmed.len() < rest.len())).then_some(())
}

/// The content of a quoted scalar, and what follows it. Declines escapes.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next()?;
    let (content, rest) = text[1..].split_once(quote)?;
    let escaped = match quote {
        '"' => content.contains('\\'),
        _ => rest.starts_with('\''),
    };
    (!escaped).then_some((content, rest))
}

/// A flow collection or a scalar in one; returns what follows it.
fn flow<'a>(text: &'a str, json: &mut String, depth: usize) -> Option<&'a str> {
    if depth > MAX_DEPTH {
        return None;
    }
    match text.as_bytes().first()? {
        b'[' => collection(text, ('[', ']'), json, |text, json| flow(text, json, depth + 1)),
        b'{' => {
            let mut keys = Vec::new();
            collection(text, ('{', '}'), json, |text, json| {
                let (key, value) = split_key(text)?;
                if keys.contains(&key) || value.is_empty() {
                    return None;
                }
                keys.push(key);
                json.push('"');
                json.push_str(key);
                json.push_str("\":");
                flow(value, json, depth + 1)
            })
        }
        b'"' | b'\'' => {
            let (content, rest) = quoted(text)?;
            string(content, json)?;
            Some(rest)
        }
        _ => {
            let (scalar, rest) = text.split_at(text.find([',', ']', '}', '[', '{'])?);
            plain(scalar.trim_end_matches(' '), json)?;
            Some(rest)
        }
    }
}

fn collection<'a>(
    text: &'a str,
    (open, close): (char, char),
    json: &mut String,
    mut item: impl FnMut(&'a str, &mut String) -> Option<&'a str>,
) -> Option<&'a str> {
    let mut rest = text[1..].trim_start_matches(' ');
    json.push(open);
    if let Some(rest) = rest.strip_prefix(close) {
        json.push(close);
        return Some(rest);
    }
    loop {
        rest = item(rest, json)?.trim_start_matches(' ');
        if let Some(rest) = rest.strip_prefix(close) {
            json.push(close);
            return Some(rest);
        }
        rest = rest.strip_prefix(',')?.trim_start_matches(' ');
        json.push(',');
    }
}

/// A scalar without quotes, by what it looks like.
fn plain(text: &str, json: &mut String) -> Option<()> {
    let first = *text.as_bytes().first()?;
    if text.contains(": ") || text.ends_with(':') || text.contains(" #") {
        return None;
    }
    match text {
        "null" | "true" | "false" => {
            json.push_str(text);
            Some(())
        }
        integer if is_integer(integer) => {
            json.push_str(integer);
            Some(())
        }
        number if first.is_ascii_digit() && may_be_number(number) => None,
        word if word.len() <= 5 && is_special(word) => None,
        word if first.is_ascii_alphanumeric() || first == b'/' => string(word, json),
        _ => None,
    }
}

fn string(content: &str, json: &mut String) -> Option<()> {
    if content.contains(['"', '\\']) {
        return None;
    }
    json.push('"');
    json.push_str(content);
    json.push('"');
    Some(())
}

/// The spelling of whole numbers that YAML 1.1, YAML 1.2 and JSON share; small enough for any type.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits == "0" || (!digits.is_empty() && !digits.starts_with('0'));
    canonical && text != "-0" && digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether some version of YAML sees more than a text in one that starts with a digit: a float, hexadecimal, a time. An address
/// (two dots, two colons in a row) and a duration (a unit that is no hexadecimal digit) are texts to all.
fn may_be_number(text: &str) -> bool {
    let dotted = text.bytes().filter(|byte| *byte == b'.').count() >= 2 && !text.contains([':', '_']);
    let unit = text.bytes().any(|byte| matches!(byte, b'g'..=b'n' | b'p'..=b'w' | b'y' | b'z'));
    !(dotted || unit || text.contains("::"))
}

/// The other spellings of null, true and false, and of what is no number.
fn is_special(word: &str) -> bool {
    const SPECIAL: [&str; 12] =
        ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "none"];
    SPECIAL.iter().any(|special| word.eq_ignore_ascii_case(special))
}

const MAX_DEPTH: usize = 16;
