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

/// The place of a row among the rows of an object.
pub struct Index<'a> {
    rows: &'a [u32],
    /// The first row, where the rows have no gaps.
    first: Option<u32>,
}

impl<'a> Index<'a> {
    pub fn new(rows: &'a [u32]) -> Index<'a> {
        let dense = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) => (last - first) as usize + 1 == rows.len(),
            _ => false,
        };
        Index {
            rows,
            first: rows.first().copied().filter(|_| dense),
        }
    }

    /// The row's place; 0 for a row that is none of them.
    #[inline]
    pub fn of(&self, row: u32) -> usize {
        match self.first {
            Some(first) => (row - first) as usize,
            None => self.rows.binary_search(&row).unwrap_or(0),
        }
    }
}
