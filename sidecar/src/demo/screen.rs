//! What the demo prints: at most [`COLUMNS`] wide, calm, and the same without colour.

use std::io::{self, Write};
use std::path::Path;

use super::ports::DemoPorts;
use super::tour::Stop;

/// Where the demo prints.
pub(super) struct Screen<W> {
    out: W,
    colour: bool,
}

/// Longer lines of output are folded; what is to be typed never is.
const COLUMNS: usize = 100;

const INDENT: &str = "      ";
const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";

impl<W: Write> Screen<W> {
    pub(super) fn new(out: W, colour: bool) -> Screen<W> {
        Screen { out, colour }
    }

    /// Before the first stop.
    pub(super) fn opens(&mut self, folder: &Path, ports: &DemoPorts) -> io::Result<()> {
        let DemoPorts { forward_proxy, pages, .. } = ports;
        writeln!(
            self.out,
            "The sidecar stands between you and three HTTP pods, and one that speaks lines.\n"
        )?;
        writeln!(self.out, "  manifests       manifests/ in {} (removed at the end)", folder.display())?;
        writeln!(self.out, "  logs            sidecar.log and access.log, beside them")?;
        writeln!(self.out, "  forward proxy   http://127.0.0.1:{forward_proxy}")?;
        writeln!(
            self.out,
            "  admin pages     http://127.0.0.1:{pages}  (/services /metrics /readyz /config)\n"
        )?;
        writeln!(self.out, "Each line was run as it stands here, in that folder:\n")?;
        writeln!(self.out, "    $ cd {}", folder.display())
    }

    /// What is about to be shown.
    pub(super) fn announces(&mut self, number: usize, stop: &Stop) -> io::Result<()> {
        let title = self.coloured(BOLD, stop.title);
        writeln!(self.out, "\n{number:2}  {title}")?;
        let mut prompt = "$";
        for line in &stop.lines {
            writeln!(self.out, "    {prompt} {line}")?;
            prompt = if line.ends_with('\\') { " " } else { "$" };
        }
        self.out.flush()
    }

    /// What came of it.
    pub(super) fn shows(&mut self, output: &str, broken: &[String]) -> io::Result<()> {
        for line in output.lines() {
            for part in fold(&line.replace(char::is_control, " "), COLUMNS - INDENT.len()) {
                writeln!(self.out, "{INDENT}{part}")?;
            }
        }
        for reason in broken {
            let word = self.coloured(RED, "FAILED");
            writeln!(self.out, "    {word}: {reason}")?;
        }
        if broken.is_empty() {
            let word = self.coloured(GREEN, "passed");
            writeln!(self.out, "    {word}")?;
        }
        self.out.flush()
    }

    /// After the last stop.
    pub(super) fn sums_up(&mut self, passed: usize, all: usize) -> io::Result<()> {
        let sum = format!("{passed} of {all} passed");
        let sum = self.coloured(if passed == all { GREEN } else { RED }, &sum);
        writeln!(self.out, "\n{sum}")?;
        self.out.flush()
    }

    /// Nothing ends yet.
    pub(super) fn stays(&mut self, ports: &DemoPorts) -> io::Result<()> {
        writeln!(
            self.out,
            "\nAll of it stays up until Ctrl-C. Take any line above, edit the manifests, add your own, or\n\
             call the Services by their names:\n\n    $ export http_proxy=http://127.0.0.1:{}; curl http://shop:{}/",
            ports.forward_proxy, ports.http
        )?;
        self.out.flush()
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        match self.colour {
            true => format!("\x1b[{colour}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// Parts of at most `columns` characters, split between words where there are any.
fn fold(mut line: &str, columns: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    while let Some((end, _)) = line.char_indices().nth(columns) {
        let end = line[..end].rfind(' ').map_or(end, |space| space + 1);
        let (part, rest) = line.split_at(end);
        parts.push(part.trim_end());
        line = rest;
    }
    parts.push(line);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(colour: bool) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, colour);
        let stop = Stop { title: "A stop", lines: vec!["a \\".into(), "  | b".into()], claims: Vec::new() };
        screen.announces(1, &stop).unwrap();
        screen.shows(&format!("{}\n", "x".repeat(120)), &[]).unwrap();
        screen.shows("y\u{1b}[31m\n", &["expected `z` in 1 line, found it in 0".into()]).unwrap();
        screen.sums_up(1, 2).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_stop_shows_what_was_typed_what_came_and_whether_it_passed() {
        let (long, rest) = ("x".repeat(94), "x".repeat(26));
        let expected = format!(
            "\n 1  A stop\n    $ a \\\n        | b\n      {long}\n      {rest}\n    passed\n      y [31m\n    \
             FAILED: expected `z` in 1 line, found it in 0\n\n1 of 2 passed\n"
        );
        assert_eq!(printed(false), expected);
        assert!(expected.lines().all(|line| line.chars().count() <= COLUMNS));
    }

    #[test]
    fn lines_are_folded_between_words_and_lose_no_letter() {
        assert_eq!(fold("ab cd ef", 8), ["ab cd ef"]);
        assert_eq!(fold("ab cd ef", 7), ["ab cd", "ef"]);
        assert_eq!(fold("äöü äöü", 2), ["äö", "ü", "äö", "ü"]);
        assert_eq!(fold("", 2), [""]);
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let coloured = printed(true);
        let plain = coloured.split('\x1b').map(|part| {
            part.split_once('m').map_or(part, |(code, rest)| if code.starts_with('[') { rest } else { part })
        });
        assert!(coloured.contains("\x1b[32mpassed\x1b[0m"));
        assert_eq!(plain.collect::<String>(), printed(false));
    }
}
