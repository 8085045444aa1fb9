//! What every exporter of Prometheus tells of its own process, under the names that all of them use.

use std::time::{Duration, UNIX_EPOCH};
use std::{fmt, fs};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use svc_proto::names::metric::process as name;

use crate::clock;

/// The process, which began when this was made.
#[derive(Debug)]
pub(super) struct Process {
    begun_seconds: f64,
}

impl Process {
    pub(super) fn begun_now() -> Process {
        let begun = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Process { begun_seconds: begun.as_secs_f64() }
    }
}

impl Collector for Process {
    /// What needs a descriptor to be read is left out when there is none to be had.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "CPU time used by this process, in user and system mode";
        encoder
            .encode_descriptor(name::CPU_SECONDS, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, f64>(&cpu_time().as_secs_f64(), None)?;
        let help = "When this process began, in seconds since 1970";
        gauge(&mut encoder, name::START_TIME_SECONDS, help, self.begun_seconds)?;
        if let Some([virtual_bytes, resident_bytes]) = memory() {
            let help = "Memory of this process that is in RAM";
            gauge(&mut encoder, name::RESIDENT_MEMORY_BYTES, help, resident_bytes as f64)?;
            let help = "Address space of this process";
            gauge(&mut encoder, name::VIRTUAL_MEMORY_BYTES, help, virtual_bytes as f64)?;
        }
        if let Some(open) = open_descriptors() {
            gauge(&mut encoder, name::OPEN_FDS, "File descriptors that are open", open as f64)?;
        }
        match getrlimit(Resource::Nofile).current {
            Some(limit) => {
                gauge(&mut encoder, name::MAX_FDS, "File descriptors that may be open", limit as f64)
            }
            None => Ok(()),
        }
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.try_into().unwrap_or(0))
}

/// Address space and resident memory in bytes (proc_pid_statm(5)).
fn memory() -> Option<[u64; 2]> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = statm.split(' ').map(|field| field.parse::<u64>().ok());
    let bytes = |pages: u64| pages.saturating_mul(rustix::param::page_size() as u64);
    Some([bytes(pages.next()??), bytes(pages.next()??)])
}

/// Without the one that this is read by.
fn open_descriptors() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory() {
        assert!(cpu_time() > Duration::ZERO);
        let [virtual_bytes, resident_bytes] = memory().unwrap();
        assert!(
            resident_bytes > 100_000 && virtual_bytes >= resident_bytes,
            "{virtual_bytes} {resident_bytes}"
        );
        let before = open_descriptors().unwrap();
        let _more: Vec<_> = (0..3).map(|_| fs::File::open("/proc/self/statm").unwrap()).collect();
        assert!(open_descriptors().unwrap() >= before + 3 || before > 3, "other tests open some too");
    }
}
