//! Texts of unknown origin, shown so that they stay in their line and look like nothing else.

use core::fmt::{self, Write};

/// Shows a text between quotes, with what would not show itself [`Escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

/// Shows a text with quotes, backslashes and what is invisible or directs other text as in Rust's strings: `\"`, `\n`, `\u{202e}`.
///
/// That is less than `{:?}` escapes, whose tables of all that is printable are larger than all of this module.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Escaped(self.0))
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\0' => f.write_str("\\0"),
                '\t' => f.write_str("\\t"),
                '\n' => f.write_str("\\n"),
                '\r' => f.write_str("\\r"),
                '"' | '\\' => f.write_char('\\').and_then(|()| f.write_char(letter)),
                letter if is_unseen(letter) => write!(f, "\\u{{{:x}}}", u32::from(letter)),
                letter => f.write_char(letter),
            }?;
        }
        Ok(())
    }
}

/// Controls, formats, separators of lines and what is for private use (Unicode's Cc, Cf, Zl, Zp and Co), and all behind them.
fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..
    )
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quoted_text_stands_in_one_line() {
        assert_eq!(Quoted("ä \n\u{7}\u{202e}\"b\"\\").to_string(), r#""ä \n\u{7}\u{202e}\"b\"\\""#);
        assert_eq!(Quoted("").to_string(), r#""""#);
    }

    proptest! {
        #[test]
        fn what_is_unseen_is_escaped(text in r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]{1,8}") {
            let shown = Escaped(&text).to_string();
            prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown}");
        }

        #[test]
        fn what_shows_itself_is_left(text in r#"[\p{L}\p{N}\p{P}\p{S}\p{Zs}--["\\]]{0,32}"#) {
            prop_assert_eq!(Escaped(&text).to_string(), text);
        }

        #[test]
        fn escapes_are_those_of_rust(text in r"[ -~\n\r\t\x00-\x1f\u{200b}\u{2028}\u{e000}]{0,32}") {
            prop_assert_eq!(Quoted(&text).to_string(), format!("{text:?}"));
        }
    }
}
