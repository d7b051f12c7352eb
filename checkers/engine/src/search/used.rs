//! How many crashed operations of each class were spent: short lists, interned.
//!
//! Dominance. A configuration that has spent no more of any class than another one can do whatever
//! the other one can. More: a crashed write of v can do whatever a crashed operation can that leads
//! to v only (a cas to v), so that one more write left makes up for one such operation less. The
//! write is that class's *boss*.

use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::table::NO;
use crate::planted;

/// Nothing was spent.
pub const NOTHING: u32 = 0;

#[derive(Default)]
pub struct Spent {
    /// (optional class, how many), by class.
    items: Vec<(u32, u32)>,
    ends: Vec<u32>,
    totals: Vec<u32>,
    found: HashTable<u32>,
    more: FxHashMap<(u32, u32), u32>,
    boss: Vec<u32>,
}

fn hash_of(items: &[(u32, u32)]) -> u64 {
    use std::hash::BuildHasher;
    rustc_hash::FxBuildHasher.hash_one(items)
}

fn items_of<'s>(ends: &[u32], items: &'s [(u32, u32)], id: u32) -> &'s [(u32, u32)] {
    let at = id as usize;
    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
    &items[start..ends[at] as usize]
}

impl Spent {
    /// `boss`: optional class -> the one that can do all that it can, or `NO`.
    pub fn new(boss: Vec<u32>) -> Spent {
        let mut spent = Spent {
            boss,
            ..Spent::default()
        };
        spent.id(&[]);
        spent
    }

    /// Bytes that one more may take: 0 where there is room.
    pub fn room(&self) -> usize {
        let doubled = |length: usize, capacity: usize, bytes: usize| {
            if length < capacity.saturating_sub(64) || length < 1_000 {
                0
            } else {
                length * 2 * bytes
            }
        };
        doubled(self.items.len(), self.items.capacity(), 8)
            + doubled(self.ends.len(), self.ends.capacity(), 8)
            + doubled(self.found.len(), self.found.capacity(), 8)
            + doubled(self.more.len(), self.more.capacity(), 24)
    }

    fn id(&mut self, list: &[(u32, u32)]) -> u32 {
        let hash = hash_of(list);
        let (ends, items) = (&self.ends, &self.items);
        let same = |&other: &u32| items_of(ends, items, other) == list;
        if let Some(&found) = self.found.find(hash, same) {
            return found;
        }
        let id = self.ends.len() as u32;
        self.items.extend_from_slice(list);
        self.ends.push(self.items.len() as u32);
        self.totals.push(list.iter().map(|(_, n)| n).sum());
        let (ends, items) = (&self.ends, &self.items);
        self.found
            .insert_unique(hash, id, |&other| hash_of(items_of(ends, items, other)));
        id
    }

    /// (optional class, how many), by class.
    #[inline]
    pub fn list(&self, id: u32) -> &[(u32, u32)] {
        items_of(&self.ends, &self.items, id)
    }

    /// How many were spent in all.
    #[inline]
    pub fn total(&self, id: u32) -> u32 {
        self.totals[id as usize]
    }

    /// How many of the class were spent.
    #[inline]
    pub fn count(&self, id: u32, class: u32) -> u32 {
        if id == NOTHING {
            return 0;
        }
        let list = self.list(id);
        match list.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(at) => list[at].1,
            Err(_) => 0,
        }
    }

    /// One more of the class.
    pub fn plus(&mut self, id: u32, class: u32) -> u32 {
        if let Some(&found) = self.more.get(&(id, class)) {
            return found;
        }
        let mut list: SmallVec<[(u32, u32); 32]> = SmallVec::from_slice(self.list(id));
        match list.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(at) => list[at].1 += 1,
            Err(at) => list.insert(at, (class, 1)),
        }
        let found = self.id(&list);
        self.more.insert((id, class), found);
        found
    }

    /// Whoever has spent `a` can do whatever who has spent `b` can.
    #[inline]
    pub fn no_more(&self, a: u32, b: u32) -> bool {
        if a == b || a == NOTHING {
            return true;
        }
        if self.totals[a as usize] > self.totals[b as usize] {
            return false;
        }
        let (a, b) = planted!("search-dominance", (a, b), (b, a));
        self.compare(a, b)
    }

    fn compare(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.list(a), self.list(b));
        let (mut i, mut j) = (0, 0);
        // Boss -> what it has to make up for, less what is left of it.
        let mut debts: SmallVec<[(u32, i64); 8]> = SmallVec::new();
        while i < a.len() || j < b.len() {
            let x = a.get(i).map_or(NO, |(class, _)| *class);
            let y = b.get(j).map_or(NO, |(class, _)| *class);
            let class = x.min(y);
            let mut less = 0i64;
            if x == class {
                less -= i64::from(a[i].1);
                i += 1;
            }
            if y == class {
                less += i64::from(b[j].1);
                j += 1;
            }
            let boss = self.boss[class as usize];
            let account = match (less < 0, boss) {
                (true, NO) => return false,
                (true, boss) => boss,
                (false, NO) if less > 0 => class,
                _ => continue,
            };
            match debts.iter_mut().find(|(of, _)| *of == account) {
                Some(debt) => debt.1 -= less,
                None => debts.push((account, -less)),
            }
        }
        debts.iter().all(|(_, debt)| *debt <= 0)
    }
}
