//! What the module answers of all that a proxy may call. proxy-wasm's crate exports every callback of the ABI, and a proxy calls whatever is exported:
//! twice for each body, at the end of each stream, for each trailer. What the filter leaves to its defaults is not exported, and costs no call.

use crate::Result;

/// The callbacks that the filter answers, and what a module is loaded by.
const EXPORTS: [&str; 17] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_downstream_connection_close",
    "proxy_on_downstream_data",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_new_connection",
    "proxy_on_request_headers",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_tick",
    "proxy_on_upstream_data",
    "proxy_on_vm_start",
];

/// The module with no more than these exports. (WebAssembly core specification, "Modules" of the binary format: a preamble of eight bytes, then
/// sections, each with its kind in a byte, its length, and that many bytes.)
pub(super) fn only_ours(module: &[u8]) -> Result<Vec<u8>> {
    let mut rest = Bytes(module);
    let mut kept = rest.take(8)?.to_vec();
    while !rest.0.is_empty() {
        let kind = rest.take(1)?[0];
        let length = rest.number()?;
        let content = rest.take(length)?;
        let exports = if kind == EXPORT { ours(Bytes(content))? } else { content.to_vec() };
        kept.push(kind);
        put_number(&mut kept, exports.len());
        kept.extend(exports);
    }
    Ok(kept)
}

/// The content of the section: how many there are, and for each its name, its kind in a byte, and an index.
fn ours(mut section: Bytes<'_>) -> Result<Vec<u8>> {
    let (mut count, mut kept) = (0, Vec::<u8>::new());
    for _ in 0..section.number()? {
        let before = section.0;
        let length = section.number()?;
        let name = section.take(length)?;
        section.take(1)?;
        section.number()?;
        if EXPORTS.iter().any(|export| export.as_bytes() == name) {
            count += 1;
            kept.extend(&before[..before.len() - section.0.len()]);
        }
    }
    let mut content = Vec::new();
    put_number(&mut content, count);
    content.extend(kept);
    Ok(content)
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("the module ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// LEB128 of up to 32 bits.
    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("the module has a number that does not end".into())
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

const EXPORT: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    const PREAMBLE: &[u8] = b"\0asm\x01\0\0\0";

    fn export(name: &str, index: u8) -> Vec<u8> {
        [&[name.len() as u8], name.as_bytes(), &[0, index]].concat()
    }

    #[test]
    fn what_a_proxy_shall_not_call_is_not_exported_and_the_rest_stays() {
        let (ours, other) = (export("proxy_on_tick", 3), export("proxy_on_log", 4));
        let code = [&[10, 0x80, 0x01][..], &[7; 128]].concat();
        let section = |exports: &[&[u8]]| {
            let content = [&[exports.len() as u8][..], &exports.concat()].concat();
            [&[7, content.len() as u8][..], &content].concat()
        };
        let module = [PREAMBLE, &[1, 1, 0], &section(&[&other, &ours, &other]), &code].concat();
        let expected = [PREAMBLE, &[1, 1, 0], &section(&[&ours]), &code].concat();
        assert_eq!(only_ours(&module).unwrap(), expected);
    }

    #[test]
    fn a_module_that_ends_early_is_none() {
        for end in [&[0, 3, 1][..], &[1], &[1, 0x80], &[7, 1, 1], &[1, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert!(only_ours(&[PREAMBLE, end].concat()).is_err(), "{end:?}");
        }
        assert!(only_ours(b"\0asm").is_err());
    }
}
