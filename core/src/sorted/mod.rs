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
    if let Some(origins) = order(items.len(), &|a, b| compare(&items[a], &items[b])) {
        arrange(origins, &mut |a, b| items.swap(a, b));
    }
}

/// Where each place's item is to come from; `None` where all are in their places, as they nearly always are: what is told is told in order.
fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Option<Vec<usize>> {
    if (1..count).all(|place| compare(place - 1, place).is_le()) {
        return None;
    }
    let mut origins: Vec<usize> = (0..count).collect();
    origins.sort_unstable_by(|&a, &b| compare(a, b).then(a.cmp(&b)));
    Some(origins)
}

/// Brings each item to its place.
fn arrange(mut origins: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    for start in 0..origins.len() {
        let mut place = start;
        loop {
            let origin = mem::replace(&mut origins[place], place);
            if origin == start {
                break;
            }
            swap(place, origin);
            place = origin;
        }
    }
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
