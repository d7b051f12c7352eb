//! Splitting a history into objects.

use crate::history::History;
use crate::values::Val;

/// One object: its key and its rows, in order.
pub struct Object {
    pub key: Val,
    pub rows: Vec<u32>,
}

/// The rows of each key, in order of the keys' first rows.
pub fn by_key(history: &History) -> Vec<Object> {
    use rustc_hash::FxHashMap;
    let mut place: FxHashMap<Val, usize> = FxHashMap::default();
    let mut objects: Vec<Object> = Vec::new();
    for (row, &key) in history.key.iter().enumerate() {
        let at = *place.entry(key).or_insert_with(|| {
            objects.push(Object {
                key,
                rows: Vec::new(),
            });
            objects.len() - 1
        });
        objects[at].rows.push(row as u32);
    }
    objects
}

/// The whole history as one object.
pub fn whole(history: &History) -> Vec<Object> {
    vec![Object {
        key: Val::NONE,
        rows: (0..history.len() as u32).collect(),
    }]
}
