//! A number for each value, found by the value: a table for small whole numbers, a map for the rest.

use rustc_hash::FxHashMap;

use crate::values::Val;

/// There is none.
pub const NOBODY: u32 = u32::MAX;

/// Numbers of values; a value without one has `NOBODY`.
pub struct Places {
    dense: Vec<u32>,
    limit: usize,
    sparse: FxHashMap<Val, u32>,
}

impl Places {
    /// For about so many values.
    pub fn new(values: usize) -> Places {
        Places {
            dense: Vec::new(),
            limit: values.saturating_mul(4).saturating_add(1024),
            sparse: FxHashMap::default(),
        }
    }

    #[inline]
    pub fn get(&self, value: Val) -> u32 {
        match value.small() {
            Some(at) if (at as usize) < self.limit => {
                self.dense.get(at as usize).copied().unwrap_or(NOBODY)
            }
            _ => self.sparse.get(&value).copied().unwrap_or(NOBODY),
        }
    }

    #[inline]
    pub fn set(&mut self, value: Val, place: u32) {
        match value.small() {
            Some(at) if (at as usize) < self.limit => {
                let at = at as usize;
                if at >= self.dense.len() {
                    let size = (at + 1).next_power_of_two().min(self.limit);
                    self.dense.resize(size, NOBODY);
                }
                self.dense[at] = place;
            }
            _ => {
                self.sparse.insert(value, place);
            }
        }
    }
}
