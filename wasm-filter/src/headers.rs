//! A list of headers as the ABI writes it: how many, as a `u32` in little endian, then the lengths of each name and value, two such numbers, then
//! names and values, a NUL behind each. It is read where it lies: a request has ten, and to copy them all was half of what it took to decide about it.

/// The headers of one message.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<u8>);

impl Headers {
    /// What the host has written.
    pub fn written(bytes: Vec<u8>) -> Headers {
        Headers(bytes)
    }

    /// Names in lower case, values as they came. Ends where the bytes are no list any more.
    pub fn fields(&self) -> Vec<(&str, &[u8])> {
        let Some((count, rest)) = self.0.split_first_chunk() else { return Vec::new() };
        let count = u32::from_le_bytes(*count) as usize;
        let (lengths, mut rest) = rest.split_at_checked(count.saturating_mul(LENGTHS)).unwrap_or_default();
        let mut fields = Vec::with_capacity(lengths.len() / LENGTHS);
        for lengths in lengths.chunks_exact(LENGTHS) {
            let (name, value) = lengths.split_at(LENGTHS / 2);
            let field = text(name, &mut rest).zip(text(value, &mut rest));
            let Some((Ok(name), value)) = field.map(|(name, value)| (str::from_utf8(name), value)) else {
                break;
            };
            fields.push((name, value));
        }
        fields
    }
}

/// Takes a text of that length, and the NUL behind it.
fn text<'a>(length: &[u8], rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind.split_first()?.1;
    Some(text)
}

/// Of the two lengths of a header, in bytes.
const LENGTHS: usize = 8;

/// As a host writes them.
#[cfg(test)]
impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Headers {
        let (mut count, mut lengths, mut texts) = (0u32, Vec::new(), Vec::new());
        for (name, value) in fields {
            count += 1;
            for text in [name.as_ref().as_bytes(), value.as_ref()] {
                lengths.extend_from_slice(&(text.len() as u32).to_le_bytes());
                texts.extend_from_slice(text);
                texts.push(0);
            }
        }
        Headers([&count.to_le_bytes()[..], &lengths, &texts].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [(&str, &[u8]); 3] = [(":path", b"/"), ("accept", b""), ("x-bytes", b"\xff\0a")];

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(Headers::from_iter(FIELDS).fields(), FIELDS);
        assert_eq!(Headers::default().fields(), []);
        assert_eq!(Headers::from_iter::<[(&str, &[u8]); 0]>([]).fields(), []);
    }

    #[test]
    fn whatever_is_cut_off_or_no_list_ends_it() {
        let Headers(whole) = Headers::from_iter(FIELDS);
        for length in 0..whole.len() {
            let cut = Headers::written(whole[..length].to_vec());
            assert!(FIELDS.starts_with(&cut.fields()) && cut.fields().len() < FIELDS.len(), "{length}");
        }
        for byte in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[byte] = 0xff;
            assert!(Headers::written(wrong).fields().len() <= FIELDS.len(), "{byte}");
        }
        assert_eq!(Headers::from_iter([("a", "1"), ("\u{e9}", "2")]).fields().len(), 2);
    }
}
