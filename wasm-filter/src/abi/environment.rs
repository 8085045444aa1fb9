//! The variables that the VM's configuration hands in, asked of the host itself: the C library that `std` asks keeps them on a heap of its own, whose
//! allocator has 7 KB and would serve nothing else.
#![expect(unsafe_code, reason = "two calls of the host, which fill what was made for them, in one function")]

use std::ptr;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    /// How many variables there are, and how many bytes their texts have; not zero where the host does not say.
    fn environ_sizes_get(count: *mut usize, size: *mut usize) -> u16;
    /// Writes the texts, `NAME=VALUE` and a NUL each, and where each of them begins; not zero where it did not.
    fn environ_get(begins: *mut *mut u8, texts: *mut u8) -> u16;
}

/// The variables; not those that are no text.
pub(super) fn variables() -> Vec<(String, String)> {
    texts().split(|byte| *byte == 0).filter_map(variable).collect()
}

/// All texts, one behind the other; none where the host has none.
fn texts() -> Vec<u8> {
    let (mut count, mut size) = (0, 0);
    // SAFETY: both pointers are to locals, which outlive the call.
    if unsafe { environ_sizes_get(&raw mut count, &raw mut size) } != 0 {
        return Vec::new();
    }
    let (mut begins, mut texts) = (vec![ptr::null_mut(); count], vec![0; size]);
    // SAFETY: there are as many pointers and bytes as the host has asked for.
    if unsafe { environ_get(begins.as_mut_ptr(), texts.as_mut_ptr()) } != 0 {
        return Vec::new();
    }
    texts
}

fn variable(text: &[u8]) -> Option<(String, String)> {
    let (name, value) = str::from_utf8(text).ok()?.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}
