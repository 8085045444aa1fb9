//! What the module answers of all that a proxy may call. proxy-wasm's crate exports every callback of the ABI, and a proxy calls whatever is exported:
//! twice for each body, at the end of each stream, for each trailer. What the filter leaves to its defaults is taken out, and costs no call.

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

/// The graph that wasm-metadce wants, in JSON: who is outside, and what is reached from there.
pub(super) fn graph() -> String {
    let exports = EXPORTS.map(|name| format!(r#"{{"name": "{name}", "export": "{name}"}}"#)).join(", ");
    format!(r#"[{{"name": "proxy", "root": true, "reaches": {EXPORTS:?}}}, {exports}]"#)
}
