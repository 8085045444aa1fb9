//! Against hashbrown's map.

use alloc::vec::Vec;

use hashbrown::HashMap;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn sorted<V: Ord>(values: impl Iterator<Item = V>) -> Vec<V> {
    let mut values: Vec<V> = values.collect();
    values.sort_unstable();
    values
}

proptest! {
    #[test]
    fn it_is_what_a_map_of_hashbrowns_would_be(steps in vec((0..4u8, 0..40u8, any::<u16>()), 0..200)) {
        let mut model: HashMap<u8, u16, FixedState> = HashMap::default();
        let mut map: HashedMap<u8, u16> = HashedMap::default();
        for (step, key, value) in steps {
            match step {
                0 => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                1 => prop_assert_eq!(map.get_or_default(key), model.entry(key).or_default()),
                2 => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                _ => {
                    let gone = model.extract_if(|known, _| known % 3 == key % 3).map(|(_, value)| value);
                    prop_assert_eq!(sorted(map.extract(|known, _| known % 3 == key % 3).into_iter()), sorted(gone));
                }
            }
            prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
            for key in 0..40 {
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.get_mut(&key).copied(), model.get(&key).copied());
                prop_assert_eq!(map.get_key(&key), model.get_key_value(&key).map(|(key, _)| key));
                prop_assert_eq!(map.contains_key(&key), model.contains_key(&key));
            }
            prop_assert_eq!(sorted(map.values()), sorted(model.values()));
        }
    }
}
