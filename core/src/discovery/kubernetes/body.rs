//! Bodies of answers, in bounded buffers.

use alloc::vec::Vec;

use super::report::Problem;

/// A list's page, or a line of a watch. 500 Services are 0.6 MB, and 500 slices of 100 endpoints 20 MB: such are asked for in smaller
/// pages ([`super::pages`]), down to one object, of which etcd takes 1.5 MiB.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// The capacity kept for the next line. A slice of 100 endpoints has 40 kB.
const SPARE_MAX: usize = 64 << 10;

/// Keeps some more bytes of a body that may have `most`.
pub(super) fn keep(body: &mut Vec<u8>, bytes: &[u8], most: usize) -> Result<(), Problem> {
    if bytes.len() > most.saturating_sub(body.len()) {
        return Err(Problem::TooLong);
    }
    body.extend_from_slice(bytes);
    Ok(())
}

/// The lines of a watch.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of one.
    held: Vec<u8>,
}

impl Lines {
    /// Hands each line that is whole now to `each`, until that has had enough.
    pub(super) fn take(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.held.is_empty() {
                each_filled(line, &mut each)?;
                continue;
            }
            keep(&mut self.held, line, BYTES_MAX)?;
            each_filled(&self.held, &mut each)?;
            self.held.clear();
            self.held.shrink_to(SPARE_MAX);
        }
        keep(&mut self.held, bytes, BYTES_MAX)
    }
}

fn each_filled(line: &[u8], each: &mut impl FnMut(&[u8]) -> Result<(), Problem>) -> Result<(), Problem> {
    if line.trim_ascii().is_empty() { Ok(()) } else { each(line) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn lines_are_the_same_in_whatever_pieces_they_come() {
        let text = b"one\n\r\ntwo\nthree and more\nfour";
        for size in 1..text.len() {
            let (mut lines, mut read) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                let each = |line: &[u8]| {
                    read.push(String::from_utf8_lossy(line).into_owned());
                    Ok(())
                };
                lines.take(piece, each).unwrap();
            }
            assert_eq!(read, ["one", "two", "three and more"], "{size}");
            assert_eq!(lines.held, b"four");
        }
    }

    #[test]
    fn a_line_without_an_end_has_one() {
        let mut lines = Lines::default();
        let piece = alloc::vec![b'x'; 1 << 20];
        for _ in 0..16 {
            assert_eq!(lines.take(&piece, |_| Ok(())), Ok(()));
        }
        assert_eq!(lines.take(b"x", |_| Ok(())), Err(Problem::TooLong));
        assert_eq!(lines.take(b"x\n", |_| Ok(())), Err(Problem::TooLong));
    }

    #[test]
    fn a_long_line_leaves_no_memory_behind() {
        let mut lines = Lines::default();
        lines.take(&alloc::vec![b'x'; 4 << 20], |_| Ok(())).unwrap();
        lines.take(b"\n", |_| Ok(())).unwrap();
        assert!(lines.held.capacity() <= SPARE_MAX);
    }
}
