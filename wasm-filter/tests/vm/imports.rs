//! The functions of the proxy-wasm ABI 0.2.1 that the filter uses. Any other ends the VM with its name.

use std::time::Duration;

use wasmi::{Caller, Error, Linker, Module, errors::LinkerError};

use super::fields::{Fields, decode, encode, value};
use super::guest::Guest;
use super::proxy::{Call, Proxy, Reply};
use super::wasi;

/// What a module is linked with.
pub(crate) fn linker(module: &Module) -> Result<Linker<Proxy>, LinkerError> {
    let mut linker = Linker::new(module.engine());
    wasi::define(&mut linker)?;
    surroundings(&mut linker)?;
    headers(&mut linker)?;
    bytes(&mut linker)?;
    statistics(&mut linker)?;
    deeds(&mut linker)?;
    refuse_others(&mut linker, module);
    Ok(linker)
}

fn surroundings(linker: &mut Linker<Proxy>) -> Result<(), LinkerError> {
    linker
        .func_wrap(ENV, "proxy_log", |caller: Caller<'_, Proxy>, level: u32, at: u32, size: u32| {
            let mut guest = Guest(caller);
            let message = guest.text(at, size)?;
            guest.proxy().log.push((level, message));
            OK
        })?
        .func_wrap(ENV, "proxy_get_current_time_nanoseconds", |caller: Caller<'_, Proxy>, at: u32| {
            let mut guest = Guest(caller);
            let now = guest.proxy().now.as_nanos() as u64;
            guest.put(at, &now.to_le_bytes())?;
            OK
        })?
        .func_wrap(
            ENV,
            "proxy_set_tick_period_milliseconds",
            |mut caller: Caller<'_, Proxy>, period_ms: u32| {
                caller.data_mut().tick_period = Duration::from_millis(period_ms.into());
                OK
            },
        )?
        .func_wrap(
            ENV,
            "proxy_get_property",
            |caller: Caller<'_, Proxy>, path: u32, path_size: u32, at: u32, size_at: u32| {
                let mut guest = Guest(caller);
                let path = guest.bytes(path, path_size)?;
                let found = guest.proxy().stream().and_then(|stream| stream.properties.get(&path).cloned());
                let Some(value) = found else { return NOT_FOUND };
                guest.give(&value, at, size_at)?;
                OK
            },
        )?
        .func_wrap(
            ENV,
            "proxy_set_property",
            |caller: Caller<'_, Proxy>, path: u32, path_size: u32, at: u32, size: u32| {
                let mut guest = Guest(caller);
                let (path, value) = (guest.bytes(path, path_size)?, guest.bytes(at, size)?);
                let Some(stream) = guest.proxy().stream() else { return NOT_FOUND };
                stream.properties.insert(path, value);
                OK
            },
        )?;
    Ok(())
}

fn headers(linker: &mut Linker<Proxy>) -> Result<(), LinkerError> {
    linker
        .func_wrap(
            ENV,
            "proxy_get_header_map_pairs",
            |caller: Caller<'_, Proxy>, kind: u32, at: u32, size_at: u32| {
                let mut guest = Guest(caller);
                let Some(bytes) = guest.proxy().map(kind).map(|map| encode(map)) else { return BAD_ARGUMENT };
                guest.give(&bytes, at, size_at)?;
                OK
            },
        )?
        .func_wrap(
            ENV,
            "proxy_set_header_map_pairs",
            |caller: Caller<'_, Proxy>, kind: u32, at: u32, size: u32| {
                let mut guest = Guest(caller);
                let fields = guest_fields(&guest, at, size)?;
                let Some(map) = guest.proxy().map(kind) else { return BAD_ARGUMENT };
                *map = fields;
                OK
            },
        )?
        .func_wrap(
            ENV,
            "proxy_get_header_map_value",
            |caller: Caller<'_, Proxy>, kind: u32, name: u32, name_size: u32, at: u32, size_at: u32| {
                let mut guest = Guest(caller);
                let name = guest.text(name, name_size)?.to_lowercase();
                let Some(map) = guest.proxy().map(kind) else { return BAD_ARGUMENT };
                let Some(value) = value(map, &name) else { return NOT_FOUND };
                guest.give(&value, at, size_at)?;
                OK
            },
        )?
        .func_wrap(
            ENV,
            "proxy_remove_header_map_value",
            |caller: Caller<'_, Proxy>, kind: u32, name: u32, name_size: u32| {
                let mut guest = Guest(caller);
                let name = guest.text(name, name_size)?.to_lowercase();
                let Some(map) = guest.proxy().map(kind) else { return BAD_ARGUMENT };
                map.retain(|(other, _)| *other != name);
                OK
            },
        )?
        .func_wrap(
            ENV,
            "proxy_replace_header_map_value",
            |caller: Caller<'_, Proxy>, kind: u32, name: u32, name_size: u32, at: u32, size: u32| {
                let mut guest = Guest(caller);
                let (name, value) = (guest.text(name, name_size)?.to_lowercase(), guest.bytes(at, size)?);
                let Some(map) = guest.proxy().map(kind) else { return BAD_ARGUMENT };
                map.retain(|(other, _)| *other != name);
                map.push((name, value));
                OK
            },
        )?
        .func_wrap(
            ENV,
            "proxy_add_header_map_value",
            |caller: Caller<'_, Proxy>, kind: u32, name: u32, name_size: u32, at: u32, size: u32| {
                let mut guest = Guest(caller);
                let (name, value) = (guest.text(name, name_size)?.to_lowercase(), guest.bytes(at, size)?);
                let Some(map) = guest.proxy().map(kind) else { return BAD_ARGUMENT };
                map.push((name, value));
                OK
            },
        )?;
    Ok(())
}

fn bytes(linker: &mut Linker<Proxy>) -> Result<(), LinkerError> {
    linker
        .func_wrap(
            ENV,
            "proxy_get_buffer_bytes",
            |caller: Caller<'_, Proxy>, kind: u32, start: u32, size_max: u32, at: u32, size_at: u32| {
                let mut guest = Guest(caller);
                let Some(buffer) = guest.proxy().buffer(kind) else { return NOT_FOUND };
                let taken = buffer.iter().skip(start as usize).take(size_max as usize);
                let bytes: Vec<u8> = taken.copied().collect();
                guest.give(&bytes, at, size_at)?;
                OK
            },
        )?
        .func_wrap(
            ENV,
            "proxy_set_buffer_bytes",
            |caller: Caller<'_, Proxy>, kind: u32, start: u32, size: u32, at: u32, new_size: u32| {
                let mut guest = Guest(caller);
                let new = guest.bytes(at, new_size)?;
                let Some(buffer) = guest.proxy().buffer(kind) else { return NOT_FOUND };
                let start = buffer.len().min(start as usize);
                let end = buffer.len().min(start.saturating_add(size as usize));
                buffer.splice(start..end, new);
                OK
            },
        )?;
    Ok(())
}

fn statistics(linker: &mut Linker<Proxy>) -> Result<(), LinkerError> {
    linker
        .func_wrap(
            ENV,
            "proxy_define_metric",
            |caller: Caller<'_, Proxy>, _: u32, name: u32, name_size: u32, id_at: u32| {
                let mut guest = Guest(caller);
                let name = guest.text(name, name_size)?;
                let id = guest.proxy().define(&name);
                guest.put_number(id_at, id as usize)?;
                OK
            },
        )?
        .func_wrap(ENV, "proxy_increment_metric", |mut caller: Caller<'_, Proxy>, id: u32, by: i64| {
            match caller.data_mut().statistic(id) {
                Some(value) => {
                    *value += by;
                    OK
                }
                None => NOT_FOUND,
            }
        })?
        .func_wrap(
            ENV,
            "proxy_record_metric",
            |mut caller: Caller<'_, Proxy>, id: u32, new: u64| match caller.data_mut().statistic(id) {
                Some(value) => {
                    *value = new as i64;
                    OK
                }
                None => NOT_FOUND,
            },
        )?;
    Ok(())
}

fn deeds(linker: &mut Linker<Proxy>) -> Result<(), LinkerError> {
    linker
        .func_wrap(ENV, "proxy_set_effective_context", |mut caller: Caller<'_, Proxy>, context: u32| {
            let proxy = caller.data_mut();
            if context != ROOT && !proxy.streams.contains_key(&context) {
                return BAD_ARGUMENT;
            }
            proxy.effective = context;
            OK
        })?
        .func_wrap(ENV, "proxy_close_stream", |mut caller: Caller<'_, Proxy>, kind: u32| {
            match caller.data_mut().stream().filter(|_| kind == DOWNSTREAM) {
                Some(stream) => {
                    stream.closed = true;
                    OK
                }
                None => BAD_ARGUMENT,
            }
        })?
        .func_wrap(
            ENV,
            "proxy_send_local_response",
            |caller: Caller<'_, Proxy>,
             status: u32,
             _details: u32,
             _details_size: u32,
             body: u32,
             body_size: u32,
             headers: u32,
             headers_size: u32,
             _grpc_status: i32| {
                let mut guest = Guest(caller);
                let body = guest.text(body, body_size)?;
                let headers = guest_fields(&guest, headers, headers_size)?;
                let Some(stream) = guest.proxy().stream() else { return BAD_ARGUMENT };
                stream.reply = Some(Reply { status, headers, body });
                OK
            },
        )?
        .func_wrap(
            ENV,
            "proxy_http_call",
            |caller: Caller<'_, Proxy>,
             cluster: u32,
             cluster_size: u32,
             headers: u32,
             headers_size: u32,
             _body: u32,
             _body_size: u32,
             _trailers: u32,
             _trailers_size: u32,
             timeout_ms: u32,
             id_at: u32| {
                let mut guest = Guest(caller);
                let cluster = guest.text(cluster, cluster_size)?;
                let headers = guest_fields(&guest, headers, headers_size)?;
                let proxy = guest.proxy();
                if proxy.unknown_clusters.contains(&cluster) {
                    return BAD_ARGUMENT;
                }
                proxy.calls_made += 1;
                let (id, timeout) = (proxy.calls_made, Duration::from_millis(timeout_ms.into()));
                proxy.calls.insert(id, Call { cluster, headers, timeout });
                guest.put_number(id_at, id as usize)?;
                OK
            },
        )?;
    Ok(())
}

/// What the SDK's library imports and no filter of ours calls.
fn refuse_others(linker: &mut Linker<Proxy>, module: &Module) {
    for import in module.imports() {
        let (name, Some(ty)) = (import.name().to_owned(), import.ty().func()) else { continue };
        let refusal = move || Error::new(format!("`{name}` is called, which this host does not have"));
        let defined =
            linker.func_new(import.module(), import.name(), ty.clone(), move |_, _, _| Err(refusal()));
        let _the_host_has_it = defined.is_err();
    }
}

fn guest_fields(guest: &Guest<'_>, at: u32, size: u32) -> Result<Fields, Error> {
    decode(&guest.bytes(at, size)?).ok_or_else(|| Error::new("the headers that it hands over are none"))
}

const ENV: &str = "env";
const OK: Result<u32, Error> = Ok(0);
const NOT_FOUND: Result<u32, Error> = Ok(1);
const BAD_ARGUMENT: Result<u32, Error> = Ok(2);

/// The context of the plugin itself.
pub(crate) const ROOT: u32 = 1;

/// `proxy_stream_type_t`.
const DOWNSTREAM: u32 = 2;
