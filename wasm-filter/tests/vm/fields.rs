//! Headers as they cross the border of a VM: how many there are, the sizes of each name and value, then all of these, each followed by a
//! zero byte (proxy-wasm ABI 0.2.1, "serialized maps"). Numbers are 32 bits, little-endian.

/// A list of headers: names in lower case, values as they came.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// Headers from their texts.
pub(crate) fn fields(texts: &[(&str, &str)]) -> Fields {
    texts.iter().map(|(name, value)| (name.to_lowercase(), value.as_bytes().to_vec())).collect()
}

/// All values of a name joined by commas, as Envoy shows them to a filter; nothing when there is none.
pub(crate) fn value(fields: &Fields, name: &str) -> Option<Vec<u8>> {
    let of_name = fields.iter().filter(|(other, _)| other == name);
    let values: Vec<&[u8]> = of_name.map(|(_, value)| value.as_slice()).collect();
    (!values.is_empty()).then(|| values.join(&b","[..]))
}

/// The same as text.
pub(crate) fn text(fields: &Fields, name: &str) -> Option<String> {
    value(fields, name).map(|value| String::from_utf8_lossy(&value).into_owned())
}

pub(crate) fn encode(fields: &Fields) -> Vec<u8> {
    let number = |count: usize| u32::try_from(count).expect("tests are small").to_le_bytes();
    let mut bytes = number(fields.len()).to_vec();
    for (name, value) in fields {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for (name, value) in fields {
        bytes.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
    }
    bytes
}

/// `None` where that is not what the bytes are.
pub(crate) fn decode(bytes: &[u8]) -> Option<Fields> {
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes) as usize)
    };
    let count = if bytes.is_empty() { 0 } else { number(0)? };
    let mut at = 4 + 8 * count;
    let mut take = |size: usize| {
        let text = bytes.get(at..at + size).filter(|_| bytes.get(at + size) == Some(&0))?;
        at += size + 1;
        Some(text.to_vec())
    };
    let field = |index: usize| {
        let name = take(number(4 + 8 * index)?)?;
        Some((String::from_utf8(name).ok()?, take(number(8 + 8 * index)?)?))
    };
    (0..count).map(field).collect()
}

#[test]
fn headers_cross_the_border_and_come_back() {
    for texts in [&[][..], &[("host", "web")], &[("a", ""), ("a", "1"), ("b", "\u{e9}")]] {
        let fields = fields(texts);
        assert_eq!(decode(&encode(&fields)), Some(fields));
    }
    assert_eq!(decode(b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b"), None, "a zero byte is missing");
}
