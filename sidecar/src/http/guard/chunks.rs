//! The lines between the data of a body in chunks (RFC 9112 §7.1).

use super::rule::Rule;

/// What comes next of such a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkGuard {
    /// The first digit of a size.
    Start,
    /// Another one, or what follows it.
    Size(u64),
    /// Nothing but space since the size.
    Space(u64),
    Extension(u64),
    SizeEnd(u64),
    /// So many bytes.
    Data(u64),
    DataCr,
    DataLf,
    /// The first byte of a trailer, or of the empty line that ends them.
    Line,
    Trailer,
    TrailerEnd,
    LastEnd,
    End,
}

impl ChunkGuard {
    pub(super) const START: ChunkGuard = ChunkGuard::Start;

    /// Goes through `bytes`, to the end of the body at most: how many of them that were.
    ///
    /// # Errors
    /// The rule that they break.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Result<usize, Rule> {
        let mut at = 0;
        while at < bytes.len() && *self != ChunkGuard::End {
            if let ChunkGuard::Data(left) = self {
                let there = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += there;
                *left -= there as u64;
                if *left == 0 {
                    *self = ChunkGuard::DataCr;
                }
            } else {
                *self = self.behind(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn behind(self, byte: u8) -> Result<ChunkGuard, Rule> {
        use ChunkGuard::{
            Data, DataCr, DataLf, End, Extension, LastEnd, Line, Size, SizeEnd, Space, Start, Trailer,
            TrailerEnd,
        };
        match (self, byte) {
            (Start, _) => digit(byte).map(Size).ok_or(Rule::ChunkSize),
            (Size(size) | Space(size), b'\t' | b' ') => Ok(Space(size)),
            (Size(size) | Space(size), b';') => Ok(Extension(size)),
            (Size(size) | Space(size) | Extension(size), b'\r') => Ok(SizeEnd(size)),
            (Size(size), _) => {
                let digit = digit(byte).ok_or(Rule::ChunkSize)?;
                size.checked_mul(16).map(|size| Size(size | digit)).ok_or(Rule::ChunkSize)
            }
            (Space(_), _) => Err(Rule::ChunkSize),
            (Extension(_), _) if is_control(byte) => Err(Rule::ChunkExtension),
            (Extension(size), _) => Ok(Extension(size)),
            (SizeEnd(0), b'\n') => Ok(Line),
            (SizeEnd(size), b'\n') => Ok(Data(size)),
            (DataCr, b'\r') => Ok(DataLf),
            (DataLf, b'\n') => Ok(Start),
            (SizeEnd(_) | DataCr | DataLf, _) => Err(Rule::ChunkEnd),
            (Line, b'\r') => Ok(LastEnd),
            (Line, b'\t' | b' ') => Err(Rule::TrailerLine), // a folded one
            (Trailer, b'\r') => Ok(TrailerEnd),
            (Line | Trailer, _) if is_control(byte) => Err(Rule::TrailerLine),
            (Line | Trailer, _) => Ok(Trailer),
            (TrailerEnd, b'\n') => Ok(Line),
            (LastEnd, b'\n') => Ok(End),
            (TrailerEnd | LastEnd, _) => Err(Rule::TrailerLine),
            (Data(_) | End, _) => Ok(self),
        }
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// A tab is none: it is space.
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}
