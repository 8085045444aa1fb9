//! What failed, by the failure's code and by the Service whose traffic it was.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use svc_core::outcome::Failure;
use svc_core::table::Table;
use svc_proto::names::metric;

use super::series::{is_known, now_ms};
use crate::sync::lock;

type FailureCounts = [u64; Failure::ALL.len()];

/// The counts. What never got as far as a Service, which is most of what a hostile client can cause, takes no lock.
#[derive(Debug)]
pub(super) struct Failures {
    of_no_service: [AtomicU64; Failure::ALL.len()],
    /// 400 bytes each: 4 MB where all of 10,000 Services have failed.
    by_service: Mutex<BTreeMap<Arc<str>, OfService>>,
}

#[derive(Debug)]
struct OfService {
    counts: FailureCounts,
    used_ms: u64,
}

impl Default for Failures {
    fn default() -> Failures {
        Failures {
            of_no_service: [const { AtomicU64::new(0) }; Failure::ALL.len()],
            by_service: Mutex::default(),
        }
    }
}

impl Failures {
    /// Counts one; `service` is empty where none was meant.
    pub(super) fn add(&self, service: &Arc<str>, failure: Failure) {
        if service.is_empty() {
            self.of_no_service[failure as usize].fetch_add(1, Relaxed);
            return;
        }
        let mut by_service = self.by_service();
        let new = || OfService { counts: [0; Failure::ALL.len()], used_ms: 0 };
        let of_service = by_service.entry(service.clone()).or_insert_with(new);
        of_service.counts[failure as usize] += 1;
        of_service.used_ms = now_ms();
    }

    /// Drops what there is of Services that are gone, and of which nothing has failed since `before_ms`.
    pub(super) fn forget_gone(&self, table: &Table, before_ms: u64) {
        self.by_service()
            .retain(|service, of_service| of_service.used_ms >= before_ms || is_known(service, table));
    }

    /// A code that no Service has is told nevertheless, so that its first failure is seen as an increase.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Connections and requests that failed, by the code of the failure";
        let mut metric = encoder.encode_descriptor(metric::FAILURES, help, None, MetricType::Counter)?;
        for failure in Failure::ALL {
            sample(&mut metric, "", failure, self.of_no_service[failure as usize].load(Relaxed))?;
        }
        for (service, of_service) in self.by_service().iter() {
            for failure in Failure::ALL {
                let count = of_service.counts[failure as usize]; // the order of `ALL` is another
                if count > 0 {
                    sample(&mut metric, service, failure, count)?;
                }
            }
        }
        Ok(())
    }

    fn by_service(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, OfService>> {
        lock(&self.by_service)
    }
}

fn sample(metric: &mut MetricEncoder<'_>, service: &str, failure: Failure, count: u64) -> fmt::Result {
    let labels = [("service", service), ("code", failure.verdict().code)];
    metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
}
