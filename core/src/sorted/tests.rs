//! Against the standard library's trees and its stable sort.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Few keys, so that many meet.
fn pairs() -> impl Strategy<Value = Vec<(u8, u16)>> {
    vec((0..40u8, any::<u16>()), 0..80)
}

proptest! {
    #[test]
    fn equals_keep_their_order(mut items in pairs()) {
        let mut expected = items.clone();
        expected.sort_by_key(|(key, _)| *key);
        sort_by(&mut items, |(a, _), (b, _)| a.cmp(b));
        prop_assert_eq!(items, expected);
    }

    #[test]
    fn a_map_is_what_a_tree_would_be(all in pairs(), steps in vec((any::<bool>(), 0..40u8, any::<u16>()), 0..80)) {
        let mut model: BTreeMap<u8, u16> = all.iter().copied().collect();
        let mut map: SortedMap<u8, u16> = all.into_iter().collect();
        for (adds, key, value) in steps {
            match adds {
                true => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                false => prop_assert_eq!(map.remove(&key), model.remove(&key)),
            }
            prop_assert_eq!(map.get(&key), model.get(&key));
            prop_assert_eq!(map.contains_key(&key), adds);
        }
        prop_assert!(map.iter().eq(&model), "{:?} is not {:?}", map, model);
        map.retain(|key, _| key % 2 == 0);
        model.retain(|key, _| key % 2 == 0);
        prop_assert!(map.keys().eq(model.keys()) && map.values().eq(model.values()));
        prop_assert!(map.into_iter().eq(model));
    }

    #[test]
    fn a_set_is_what_a_tree_would_be(all in vec(0..40u8, 0..80), more in vec(0..40u8, 0..80), steps in vec((any::<bool>(), 0..40u8), 0..80)) {
        let mut model: BTreeSet<u8> = all.iter().copied().collect();
        let mut set: SortedSet<u8> = all.into_iter().collect();
        model.extend(&more);
        set.extend(more);
        for (adds, item) in steps {
            match adds {
                true => prop_assert_eq!(set.insert(item), model.insert(item)),
                false => prop_assert_eq!(set.remove(&item), model.remove(&item)),
            }
            prop_assert_eq!(set.contains(&item), adds);
        }
        prop_assert_eq!(set.first(), model.first());
        prop_assert!(set.iter().eq(&model), "{:?} is not {:?}", set, model);
    }
}

#[test]
fn a_value_is_made_for_a_key_that_has_none() {
    let mut map = SortedMap::from([(2, "two")]);
    assert_eq!(*map.get_or_insert_with(1, || "one"), "one");
    assert_eq!(*map.get_or_insert_with(2, || unreachable!("it has one")), "two");
    assert_eq!(map, SortedMap::from([(1, "one"), (2, "two")]));
}

#[test]
fn of_a_key_that_json_repeats_the_last_value_counts() {
    let map: SortedMap<&str, u8> = serde_json::from_str(r#"{"b": 1, "a": 2, "b": 3}"#).unwrap();
    assert_eq!(map, SortedMap::from([("a", 2), ("b", 3)]));
    let error = serde_json::from_str::<SortedMap<&str, u8>>("7").unwrap_err().to_string();
    assert_eq!(error, "invalid type: integer `7`, expected a map at line 1 column 1");
}
