//! hashbrown's maps and sets with one fixed hasher, so that equal facts make equal tables in every process.

use foldhash::fast::FixedState;

/// A map from keys to values, in no order.
pub type HashMap<K, V> = hashbrown::HashMap<K, V, FixedState>;

/// A set, in no order.
pub type HashSet<T> = hashbrown::HashSet<T, FixedState>;
