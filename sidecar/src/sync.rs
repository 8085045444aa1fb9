//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. What our locks guard is whole after every statement: a thread that panicked has left nothing half done.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
