//! The configurations that were seen: rule (d) of `board`.
//!
//! Those of one event and state are a list, newest first, of which the first `SCAN` are looked at;
//! equal ones are found beyond that by their hash. To overlook a configuration that dominates costs
//! time and is no error.

use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use super::field::Config;
use super::mask::Mask;
use super::table::NO;
use super::used::Spent;
use crate::budget::{Budget, Stop};

const SCAN: usize = 64;

struct Entry<M> {
    config: Config<M>,
    /// The event, twice, and one more where its operation is committed.
    place: u32,
    next: u32,
    /// Another one that came later dominates it.
    dead: bool,
}

pub struct Memo<M> {
    entries: Vec<Entry<M>>,
    heads: FxHashMap<(u32, u32), (u32, u32)>,
    equal: HashTable<u32>,
    /// Bytes of masks that do not fit into their words.
    heap: usize,
}

fn hash_of<M: Mask>(place: u32, config: &Config<M>) -> u64 {
    let mut hasher = rustc_hash::FxBuildHasher.build_hasher();
    place.hash(&mut hasher);
    config.state.hash(&mut hasher);
    config.used.hash(&mut hasher);
    config.ok.hash(&mut hasher);
    config.avail.hash(&mut hasher);
    hasher.finish()
}

impl<M: Mask> Memo<M> {
    pub fn new() -> Memo<M> {
        Memo {
            entries: Vec::new(),
            heads: FxHashMap::default(),
            equal: HashTable::new(),
            heap: 0,
        }
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.heads.clear();
        self.equal.clear();
        self.heap = 0;
    }

    pub fn config(&self, at: u32) -> &Config<M> {
        &self.entries[at as usize].config
    }

    pub fn is_dead(&self, at: u32) -> bool {
        self.entries[at as usize].dead
    }

    /// Remember a configuration; `None` where one that was seen dominates it. With `kill`, those
    /// that it dominates are dead from now on.
    pub fn add(
        &mut self,
        place: u32,
        config: &Config<M>,
        spent: &Spent,
        kill: bool,
        budget: &Budget,
    ) -> Result<Option<u32>, Stop> {
        let key = (place, config.state);
        let (head, count) = self.heads.get(&key).copied().unwrap_or((NO, 0));
        let mut at = head;
        for _ in 0..SCAN {
            if at == NO {
                break;
            }
            let entry = &self.entries[at as usize];
            if dominates(&entry.config, config, spent) {
                return Ok(None);
            }
            at = entry.next;
        }
        let long = count as usize >= SCAN;
        if long && self.has_equal(place, config) {
            return Ok(None);
        }
        self.room(budget)?;
        if kill {
            self.kill(head, config, spent);
        }
        let id = self.entries.len() as u32;
        self.heap += config.ok.heap() + config.avail.heap();
        self.entries.push(Entry {
            config: config.clone(),
            place,
            next: head,
            dead: false,
        });
        self.heads.insert(key, (id, count + 1));
        // Lists that stay short need no hash: their members enter it when it is needed.
        if long {
            self.remember(id);
        } else if count as usize + 1 == SCAN {
            let mut at = id;
            while at != NO {
                self.remember(at);
                at = self.entries[at as usize].next;
            }
        }
        Ok(Some(id))
    }

    fn kill(&mut self, head: u32, config: &Config<M>, spent: &Spent) {
        let mut at = head;
        for _ in 0..SCAN {
            if at == NO {
                break;
            }
            let entry = &mut self.entries[at as usize];
            if !entry.dead && dominates(config, &entry.config, spent) {
                entry.dead = true;
            }
            at = entry.next;
        }
    }

    fn has_equal(&self, place: u32, config: &Config<M>) -> bool {
        let same = |&other: &u32| {
            let entry = &self.entries[other as usize];
            let other = &entry.config;
            entry.place == place
                && other.state == config.state
                && other.used == config.used
                && other.ok == config.ok
                && other.avail == config.avail
        };
        self.equal.find(hash_of(place, config), same).is_some()
    }

    fn remember(&mut self, id: u32) {
        let entries = &self.entries;
        let hash = |&other: &u32| {
            let entry = &entries[other as usize];
            hash_of(entry.place, &entry.config)
        };
        self.equal.insert_unique(hash(&id), id, hash);
    }

    /// Ask the budget before a table doubles.
    fn room(&self, budget: &Budget) -> Result<(), Stop> {
        let size = std::mem::size_of::<Entry<M>>();
        if self.entries.len() == self.entries.capacity() && self.entries.len() > 1000 {
            budget.fits(self.entries.len() * size * 2)?;
        }
        if self.heads.len() == self.heads.capacity() && self.heads.len() > 1000 {
            budget.fits(self.heads.len() * 48)?;
        }
        if self.equal.len() == self.equal.capacity() && self.equal.len() > 1000 {
            budget.fits(self.equal.len() * 12)?;
        }
        Ok(())
    }
}

fn dominates<M: Mask>(one: &Config<M>, other: &Config<M>, spent: &Spent) -> bool {
    one.ok.covers(&other.ok)
        && one.avail.covers(&other.avail)
        && spent.no_more(one.used, other.used)
}
