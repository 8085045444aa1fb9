//! The one call of the host for which proxy-wasm's crate has no use: headers as the host writes them, all in one block. The crate's `get_map_bytes`
//! copies each name and value into memory of its own, and panics where a name is no text.
#![expect(unsafe_code, reason = "a call of the host, and the memory that it hands over, in one function")]

use std::ptr;

use proxy_wasm::types::MapType;

use crate::headers::Headers;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// Has the host allocate (`proxy_on_memory_allocate`) and fill a block; not zero where it did not.
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
}

/// All headers of that map; none where the host has none.
pub(super) fn headers(map: MapType) -> Headers {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: both pointers are to locals, which outlive the call.
    let status = unsafe { proxy_get_header_map_pairs(map, &raw mut data, &raw mut size) };
    if status != 0 || data.is_null() {
        return Headers::default();
    }
    // SAFETY: the host has filled a block of `size` bytes that it got of `proxy_on_memory_allocate`, which makes boxed slices and leaves them to the
    // host, and the host leaves it to whoever called.
    Headers::written(unsafe { Vec::from_raw_parts(data, size, size) })
}
