//! The bytes of a file → its text, whatever editor wrote it (YAML 1.2.2 §5.2).

use std::ops::Deref;

/// A text, and where its bytes were none.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// What is no text in the file is U+FFFD here.
    text: String,
    /// Where these stand, as offsets into `text`, in order.
    broken: Vec<usize>,
}

impl Text {
    /// Takes UTF-8, and UTF-16 of either order, with a byte order mark or without.
    pub(crate) fn decode(bytes: Vec<u8>) -> Text {
        match *bytes {
            [0xff, 0xfe, ..] => Text::of_utf16(&bytes[2..], u16::from_le_bytes),
            [0xfe, 0xff, ..] => Text::of_utf16(&bytes[2..], u16::from_be_bytes),
            [first, 0, ..] if first != 0 => Text::of_utf16(&bytes, u16::from_le_bytes),
            [0, second, ..] if second != 0 => Text::of_utf16(&bytes, u16::from_be_bytes),
            _ => match String::from_utf8(bytes) {
                Ok(text) => Text { text, broken: Vec::new() },
                Err(error) => Text::of_broken(error.as_bytes()),
            },
        }
    }

    fn of_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Text {
        let mut read = Text { text: String::with_capacity(bytes.len() / 2), broken: Vec::new() };
        let (units, rest) = bytes.as_chunks::<2>();
        for character in char::decode_utf16(units.iter().map(|bytes| unit(*bytes))) {
            match character {
                Ok(character) => read.text.push(character),
                Err(_) => read.push_broken(),
            }
        }
        if !rest.is_empty() {
            read.push_broken();
        }
        read
    }

    fn of_broken(bytes: &[u8]) -> Text {
        let mut read = Text { text: String::with_capacity(bytes.len()), broken: Vec::new() };
        for chunk in bytes.utf8_chunks() {
            read.text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                read.push_broken();
            }
        }
        read
    }

    fn push_broken(&mut self) {
        self.broken.push(self.text.len());
        self.text.push(char::REPLACEMENT_CHARACTER);
    }

    /// Where `part`, which is a part of the text, has what is none: the offset into it.
    pub(super) fn broken_in(&self, part: &str) -> Option<usize> {
        let start = offset(&self.text, part);
        let first = self.broken.partition_point(|broken| *broken < start);
        let broken = *self.broken.get(first)?;
        (broken < start + part.len()).then(|| broken - start)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text { text: text.into(), broken: Vec::new() }
    }
}

/// Where `part` starts in `whole`, of which it is a part.
pub(super) fn offset(whole: &str, part: &str) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

/// The number of the line, counted from 1, on which `offset` of `text` stands.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Without the byte order mark that each document may start with.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

pub(super) const MARK: char = '\u{feff}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_read_in_either_order_with_a_mark_and_without() {
        let text = "kind: Ä\n𝄞";
        let units = |mark: bool| mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        for mark in [true, false] {
            let little: Vec<u8> = units(mark).flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = units(mark).flat_map(u16::to_be_bytes).collect();
            assert_eq!(Text::decode(little).text, text);
            assert_eq!(Text::decode(big).text, text);
        }
    }

    #[test]
    fn what_is_no_text_is_found_where_it_stands() {
        let read = Text::decode(b"a: 1\nb: \xff\xfe2\nc: \xc3".to_vec());
        assert_eq!(read.text, "a: 1\nb: \u{fffd}\u{fffd}2\nc: \u{fffd}");
        assert_eq!(read.broken_in(&read.text), Some(8));
        assert_eq!(read.broken_in(&read.text[..5]), None);
        assert_eq!(line_at(&read.text, 8), 2);
        let lone = Text::decode(vec![0xff, 0xfe, b'a', 0, 0, 0xd8, b'b']);
        assert_eq!((lone.text.as_str(), lone.broken.len()), ("a\u{fffd}\u{fffd}", 2));
    }
}
