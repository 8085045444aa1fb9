//! What a module asks of its system (WASI preview 1), with the clock and chance in the test's hand.

use std::iter;
use std::time::Duration;

use wasmi::{Caller, Error, Linker, errors::LinkerError};

use super::guest::Guest;
use super::proxy::Proxy;

/// Defines the functions.
pub(crate) fn define(linker: &mut Linker<Proxy>) -> Result<(), LinkerError> {
    linker
        .func_wrap(WASI, "clock_time_get", |caller: Caller<'_, Proxy>, clock: u32, _: u64, at: u32| {
            let mut guest = Guest(caller);
            let since_origin = guest.proxy().now + if clock == REALTIME { DAWN } else { Duration::ZERO };
            guest.put(at, &(since_origin.as_nanos() as u64).to_le_bytes())?;
            SUCCESS
        })?
        .func_wrap(WASI, "random_get", |caller: Caller<'_, Proxy>, at: u32, size: u32| {
            let mut guest = Guest(caller);
            let bytes = guest.proxy().chance.to_le_bytes().into_iter().cycle();
            guest.put(at, &bytes.take(size as usize).collect::<Vec<u8>>())?;
            SUCCESS
        })?
        .func_wrap(WASI, "environ_sizes_get", |caller: Caller<'_, Proxy>, count_at: u32, size_at: u32| {
            let mut guest = Guest(caller);
            let variables = variables(guest.proxy());
            guest.put_number(count_at, variables.len())?;
            guest.put_number(size_at, variables.concat().len())?;
            SUCCESS
        })?
        .func_wrap(WASI, "environ_get", |caller: Caller<'_, Proxy>, list_at: u32, text_at: u32| {
            let mut guest = Guest(caller);
            let mut at = text_at;
            for (index, variable) in (0..).zip(variables(guest.proxy())) {
                guest.put_number(list_at + 4 * index, at as usize)?;
                guest.put(at, &variable)?;
                at += variable.len() as u32;
            }
            SUCCESS
        })?
        .func_wrap(WASI, "fd_write", write)?
        .func_wrap(WASI, "proc_exit", |_: Caller<'_, Proxy>, status: u32| -> Result<(), Error> {
            Err(Error::i32_exit(status as i32))
        })?
        .func_wrap(WASI, "sched_yield", |_: Caller<'_, Proxy>| SUCCESS)?;
    Ok(())
}

/// `name=value`, each with a zero byte at its end.
fn variables(proxy: &Proxy) -> Vec<Vec<u8>> {
    let text = |(name, value): &(String, String)| format!("{name}={value}\0").into_bytes();
    proxy.environment.iter().map(text).collect()
}

/// What it writes, to whatever file, is logged.
fn write(
    caller: Caller<'_, Proxy>,
    _file: u32,
    pieces_at: u32,
    pieces: u32,
    size_at: u32,
) -> Result<u32, Error> {
    let mut guest = Guest(caller);
    let mut written = Vec::new();
    for piece in iter::successors(Some(pieces_at), |at| Some(at + 8)).take(pieces as usize) {
        written.extend(guest.bytes(guest.number(piece)?, guest.number(piece + 4)?)?);
    }
    guest.proxy().log.push((STDERR, String::from_utf8_lossy(&written).into_owned()));
    guest.put_number(size_at, written.len())?;
    SUCCESS
}

const WASI: &str = "wasi_snapshot_preview1";
const SUCCESS: Result<u32, Error> = Ok(0);
const REALTIME: u32 = 0;

/// The time of day when the proxy began: 2026-01-01.
const DAWN: Duration = Duration::from_secs(1_767_225_600);

/// The level of what is written to a file: as an error's.
const STDERR: u32 = 4;
