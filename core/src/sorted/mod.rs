//! Maps and sets in the order of their keys, and the sort behind them.
//!
//! The filter must be small, and a tree of the standard library is 6 kB of code for each type of key, a sort 3 kB. These are vectors, and
//! one sort serves all of them. What grows with the Services of a cluster, and not in order, belongs into a hash map: to insert into the
//! middle of a vector costs its length.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::mem;

mod map;
mod set;

#[cfg(test)]
mod tests;

pub use map::SortedMap;
pub use set::SortedSet;

/// Sorts; equals keep their order.
pub(crate) fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    if items.is_sorted_by(|a, b| compare(a, b).is_le()) {
        return; // nearly always: what is told is told in order
    }
    let mut origins = order(items.len(), &|a, b| compare(&items[a], &items[b]));
    for start in 0..items.len() {
        let mut place = start;
        loop {
            let origin = mem::replace(&mut origins[place], place);
            if origin == start {
                break;
            }
            items.swap(place, origin);
            place = origin;
        }
    }
}

/// Where each place's item is to come from.
fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut origins: Vec<usize> = (0..count).collect();
    origins.sort_unstable_by(|&a, &b| compare(a, b).then(a.cmp(&b)));
    origins
}

/// Where among `count` sorted items, each of which tells by its index how it compares to what is wanted, that is; else where it belongs.
fn search(count: usize, compare: &dyn Fn(usize) -> Ordering) -> Result<usize, usize> {
    let (mut begin, mut end) = (0, count);
    while begin < end {
        let middle = begin + (end - begin) / 2;
        match compare(middle) {
            Ordering::Less => begin = middle + 1,
            Ordering::Equal => return Ok(middle),
            Ordering::Greater => end = middle,
        }
    }
    Err(begin)
}
