//! Text → values, from the left to the right.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Malformed, NESTING_MAX, Object, Value};

pub(super) struct Reader<'a> {
    text: &'a str,
    /// Of the next byte.
    at: usize,
    /// How many arrays and objects are open.
    open: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0, open: 0 }
    }

    /// The one value that the text is.
    pub(super) fn whole(mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        let value = self.value(depth)?;
        match self.next_is_not_space() {
            None => Ok(value),
            Some(_) => Err(self.wrong("there is more than one value")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        match self.next_is_not_space() {
            Some(b'{' | b'[') => self.nested(depth),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(_) | None => Err(self.wrong(NO_VALUE)),
        }
    }

    fn nested(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        if self.open == NESTING_MAX {
            return Err(self.wrong("it is nested too deep"));
        }
        self.open += 1;
        let start = self.at;
        let is_object = self.next() == Some(b'{');
        self.at += 1;
        let read = if is_object { self.members(depth)? } else { self.items(depth)? };
        self.open -= 1;
        Ok(match depth {
            0 => Value::Unread(self.since(start)),
            _ => read,
        })
    }

    /// What follows the brace. Nothing is kept of what lies too deep.
    fn members(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        let mut members = Vec::new();
        if self.eat(b'}') {
            return Ok(Value::Object(Object(members)));
        }
        loop {
            if self.next_is_not_space() != Some(b'"') {
                return Err(self.wrong("the name of a member is missing"));
            }
            let name = self.string()?;
            if !self.eat(b':') {
                return Err(self.wrong("`:` is missing"));
            }
            let value = self.value(depth.saturating_sub(1))?;
            if depth > 0 {
                members.push((name, value));
            }
            if self.eat(b'}') {
                return Ok(Value::Object(Object(members)));
            }
            if !self.eat(b',') {
                return Err(self.wrong("`,` or `}` is missing"));
            }
        }
    }

    /// The same of an array.
    fn items(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::List(items));
        }
        loop {
            let item = self.value(depth.saturating_sub(1))?;
            if depth > 0 {
                items.push(item);
            }
            if self.eat(b']') {
                return Ok(Value::List(items));
            }
            if !self.eat(b',') {
                return Err(self.wrong("`,` or `]` is missing"));
            }
        }
    }

    /// A string, which begins here. Copied only where something in it is escaped.
    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.at += 1;
        let mut start = self.at;
        let mut unescaped = String::new();
        loop {
            match self.next() {
                Some(b'"') => {
                    let rest = self.since(start);
                    self.at += 1;
                    return Ok(match unescaped.is_empty() {
                        true => Cow::Borrowed(rest),
                        false => Cow::Owned(unescaped + rest),
                    });
                }
                Some(b'\\') => {
                    unescaped.push_str(self.since(start));
                    self.at += 1;
                    unescaped.push(self.escape()?);
                    start = self.at;
                }
                Some(b' '..) => self.at += 1,
                Some(_) => return Err(self.wrong("a character that must be escaped is not")),
                None => return Err(self.wrong("the end of a string is missing")),
            }
        }
    }

    /// What follows the backslash, RFC 8259 §7.
    fn escape(&mut self) -> Result<char, Malformed> {
        let escaped = match self.next() {
            Some(b'u') => return self.unicode(),
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(_) | None => return Err(self.wrong(NO_ESCAPE)),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// One code point; beyond the first 65536 in two escapes, as UTF-16 writes it.
    fn unicode(&mut self) -> Result<char, Malformed> {
        let first = self.unit()?;
        let code = match first {
            0xd800..0xdc00 if self.next() == Some(b'\\') => {
                self.at += 1;
                match self.unit()? {
                    second @ 0xdc00..0xe000 => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => first, // no code point
                }
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| self.wrong(NO_ESCAPE))
    }

    /// `uXXXX`
    fn unit(&mut self) -> Result<u32, Malformed> {
        let written = self.text.get(self.at..self.at + 5).and_then(|text| text.strip_prefix('u'));
        let digits = written.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.wrong(NO_ESCAPE))?;
        self.at += 5;
        Ok(unit)
    }

    /// RFC 8259 §6.
    fn number(&mut self) -> Result<Value<'a>, Malformed> {
        let start = self.at;
        self.skip(b"-");
        if !self.skip(b"0") {
            self.digits()?;
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        Ok(Value::Number(self.since(start)))
    }

    /// At least one.
    fn digits(&mut self) -> Result<(), Malformed> {
        const DIGITS: &[u8] = b"0123456789";
        if !self.skip(DIGITS) {
            return Err(self.wrong("a digit is missing"));
        }
        while self.skip(DIGITS) {}
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Malformed> {
        match self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            true => {
                self.at += word.len();
                Ok(value)
            }
            false => Err(self.wrong(NO_VALUE)),
        }
    }

    /// Passes over white space, and one `wanted` behind it, if there is one.
    fn eat(&mut self, wanted: u8) -> bool {
        let found = self.next_is_not_space() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Passes over one of these, if it is next.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let found = self.next().is_some_and(|next| bytes.contains(&next));
        self.at += usize::from(found);
        found
    }

    fn next_is_not_space(&mut self) -> Option<u8> {
        while self.skip(b" \n\r\t") {}
        self.next()
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default() // both stand beside ASCII
    }

    fn wrong(&self, problem: &'static str) -> Malformed {
        Malformed::at(self.text.as_bytes(), self.at, problem)
    }
}

const NO_VALUE: &str = "a value is missing";
const NO_ESCAPE: &str = "an escape is none of JSON's";
