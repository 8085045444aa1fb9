//! The parts of a module (WebAssembly core specification, "Modules" of the binary format): a preamble of eight bytes, then sections, each with
//! its kind in a byte, its length in LEB128, and that many bytes.

use crate::Result;

/// The module without its custom sections, which hold what no engine needs to run it: the names of functions, who made it, and of what.
pub(super) fn without_custom(module: &[u8]) -> Result<Vec<u8>> {
    let (preamble, mut rest) = module.split_at_checked(8).ok_or("the module ends in its preamble")?;
    let mut kept = preamble.to_vec();
    while !rest.is_empty() {
        let length = section(rest).ok_or("the module ends in a section")?;
        let (section, next) = rest.split_at_checked(length).ok_or("the module ends in a section")?;
        if section[0] != CUSTOM {
            kept.extend(section);
        }
        rest = next;
    }
    Ok(kept)
}

/// The length of the section that `bytes` begin with, in bytes, its head included.
fn section(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.iter().skip(1).position(|byte| byte & 0x80 == 0)? + 1;
    let length = bytes[1..=digits].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    Some(1 + digits + length)
}

const CUSTOM: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    const PREAMBLE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn what_is_custom_goes_and_the_rest_stays_in_its_order() {
        let code = [&[10, 0x80, 0x01][..], &[7; 128]].concat();
        let module = [PREAMBLE, &[1, 1, 0], &[0, 3, 1, b'a', 9], &code, &[0, 2, 1, b'b']].concat();
        assert_eq!(without_custom(&module).unwrap(), [PREAMBLE, &[1, 1, 0], &code].concat());
    }

    #[test]
    fn a_module_that_ends_early_is_none() {
        for end in [&[0, 3, 1][..], &[1], &[1, 0x80]] {
            assert!(without_custom(&[PREAMBLE, end].concat()).is_err(), "{end:?}");
        }
        assert!(without_custom(b"\0asm").is_err());
    }
}
