//! The transitions of a model over numbers, each asked of the model once.
//!
//! States and classes of operations are interned. A class that is blind, or that is legal in one
//! state alone, needs no table: where it leads is kept with it. Others have a row of transitions
//! for each state, and a hash map where those rows would be large.

use hashbrown::HashTable;
use rustc_hash::FxHashMap;

use crate::budget::{Budget, Stop};
use crate::history::History;
use crate::model::{Class, Model, Step};

/// No state, class, operation or row.
pub const NO: u32 = u32::MAX;
const UNASKED: u32 = u32::MAX - 1;
/// Entries of the dense transitions at most; the others go into the map.
const DENSE_MAX: usize = 1 << 22;

/// What is known of a class.
#[derive(Clone, Copy)]
pub struct Kind {
    /// It never changes the state.
    pub pure: bool,
    /// It cannot tell what was before.
    pub blind: bool,
    /// The only state in which it is legal; `NO` where that is not known.
    pub need: u32,
    /// The state after it, where `blind` or `need` say that there is only one.
    pub after: u32,
    /// It only adds to the state.
    pub adds: bool,
}

impl Kind {
    /// It sets the state and cannot tell what was before.
    #[inline]
    pub fn overwrites(&self) -> bool {
        self.blind && !self.pure
    }
}

pub struct Table<'a> {
    pub model: &'a dyn Model,
    pub history: &'a History,
    pub kinds: Vec<Kind>,
    pub initial: u32,
    classes: Vec<Class>,
    class_ids: FxHashMap<Class, u32>,
    /// State -> where its words end in `words`.
    ends: Vec<u32>,
    words: Vec<u32>,
    state_ids: HashTable<u32>,
    stride: usize,
    dense: Vec<u32>,
    sparse: FxHashMap<u64, u32>,
    scratch: Vec<u32>,
    budget: Budget,
    /// What was asked of the model, and the like, since `take_work`.
    work: u32,
    /// It does not hold all that it should: no answer of it counts any more.
    full: Option<Stop>,
}

fn hash_of(state: &[u32]) -> u64 {
    use std::hash::BuildHasher;
    rustc_hash::FxBuildHasher.hash_one(state)
}

impl<'a> Table<'a> {
    pub fn new(model: &'a dyn Model, history: &'a History, budget: &Budget) -> Table<'a> {
        let mut table = Table {
            model,
            history,
            kinds: Vec::new(),
            initial: 0,
            classes: Vec::new(),
            class_ids: FxHashMap::default(),
            ends: Vec::new(),
            words: Vec::new(),
            state_ids: HashTable::new(),
            stride: 0,
            dense: Vec::new(),
            sparse: FxHashMap::default(),
            scratch: Vec::new(),
            budget: budget.clone(),
            work: 0,
            full: None,
        };
        let initial = model.initial(&history.values);
        table.initial = table.state_id(&initial);
        table
    }

    /// Whether so many bytes more fit; where they do not, the search is to stop.
    pub fn fits(&mut self, bytes: usize) -> bool {
        let fits = self.budget.fits(bytes);
        if let Err(why) = fits {
            self.full = Some(why);
        }
        fits.is_ok()
    }

    /// The same for a list or a table that is to hold one more: it doubles where it is full.
    pub fn doubles(&mut self, length: usize, capacity: usize, bytes: usize) -> bool {
        length < capacity || length < 1_000 || self.fits(length * 2 * bytes)
    }

    /// Err where something did not fit.
    pub fn holds(&self) -> Result<(), Stop> {
        self.full.map_or(Ok(()), Err)
    }

    /// So much was to be done.
    #[inline]
    pub fn worked(&mut self, steps: usize) {
        self.work = self.work.saturating_add(steps as u32);
    }

    /// What was done since the last time.
    #[inline]
    pub fn work(&self) -> u32 {
        self.work
    }

    pub fn take_work(&mut self) -> u32 {
        std::mem::take(&mut self.work)
    }

    /// Whether the read may come after the class `by` (`NO`: none) in the state: `Model::may_come`.
    pub fn may_come(&self, state: u32, by: u32, read: u32) -> bool {
        let by = self.classes.get(by as usize);
        let read = &self.classes[read as usize];
        self.model
            .may_come(self.history, self.state(state), by, read)
    }

    /// Number of states so far.
    pub fn states(&self) -> usize {
        self.ends.len()
    }

    /// The words of a state.
    pub fn state(&self, state: u32) -> &[u32] {
        words_of(&self.ends, &self.words, state)
    }

    pub fn class(&self, class: u32) -> &Class {
        &self.classes[class as usize]
    }

    /// The number of a state.
    pub fn state_id(&mut self, state: &[u32]) -> u32 {
        let hash = hash_of(state);
        let (ends, words) = (&self.ends, &self.words);
        if let Some(&found) = self
            .state_ids
            .find(hash, |&other| words_of(ends, words, other) == state)
        {
            return found;
        }
        let room = self.words.capacity() - self.words.len();
        let many = u32::try_from(self.words.len() + state.len()).is_err();
        let fits = !many
            && (room >= state.len() || self.fits((self.words.len() + state.len()) * 8))
            && self.doubles(self.ends.len(), self.ends.capacity(), 8)
            && self.doubles(self.state_ids.len(), self.state_ids.capacity(), 12);
        if !fits && !self.ends.is_empty() {
            self.full = Some(Stop::Memory);
            return 0;
        }
        let id = self.ends.len() as u32;
        self.words.extend_from_slice(state);
        self.ends.push(self.words.len() as u32);
        let (ends, words) = (&self.ends, &self.words);
        self.state_ids
            .insert_unique(hash, id, |&other| hash_of(words_of(ends, words, other)));
        id
    }

    /// The number of a class.
    pub fn class_id(&mut self, class: Class) -> u32 {
        if let Some(&found) = self.class_ids.get(&class) {
            return found;
        }
        let id = self.classes.len() as u32;
        self.class_ids.insert(class, id);
        self.classes.push(class);
        let pure = self.model.is_read(self.history, &class);
        let blind = self.model.is_blind(self.history, &class);
        let mut need = NO;
        let mut after = NO;
        let mut state = Vec::new();
        if !blind && self.model.only_in(self.history, &class, &mut state) {
            need = self.state_id(&state);
            after = self.ask(need, id);
        } else if blind && !pure {
            after = self.ask(self.initial, id);
        }
        self.kinds.push(Kind {
            pure,
            blind,
            need,
            after,
            adds: !pure && !blind && self.model.adds(self.history, &class),
        });
        id
    }

    /// The number of the class of a row.
    #[inline]
    pub fn class_of(&mut self, row: usize) -> u32 {
        self.class_id(Class::of(self.model, self.history, row))
    }

    /// The state after an operation of the class, `NO` where it cannot happen.
    #[inline]
    pub fn step(&mut self, state: u32, class: u32) -> u32 {
        let kind = self.kinds[class as usize];
        if kind.need != NO {
            return if kind.need == state { kind.after } else { NO };
        }
        if kind.blind {
            return if kind.pure { state } else { kind.after };
        }
        self.look_up(state, class)
    }

    fn look_up(&mut self, state: u32, class: u32) -> u32 {
        if class as usize >= self.stride {
            self.stride = self.classes.len().next_power_of_two();
            self.dense.clear();
        }
        let at = state as usize * self.stride + class as usize;
        if at < DENSE_MAX {
            if at >= self.dense.len() {
                let rows = (state as usize + 1).next_power_of_two();
                let size = (rows * self.stride).min(DENSE_MAX);
                if !self.fits(size * 4) {
                    return NO;
                }
                self.dense.resize(size, UNASKED);
            }
            if self.dense[at] == UNASKED {
                self.dense[at] = self.ask(state, class);
            }
            return self.dense[at];
        }
        let key = u64::from(state) << 32 | u64::from(class);
        if let Some(&found) = self.sparse.get(&key) {
            return found;
        }
        let found = self.ask(state, class);
        if self.doubles(self.sparse.len(), self.sparse.capacity(), 40) {
            self.sparse.insert(key, found);
        }
        found
    }

    /// Ask the model.
    fn ask(&mut self, state: u32, class: u32) -> u32 {
        let mut next = std::mem::take(&mut self.scratch);
        next.clear();
        let words = words_of(&self.ends, &self.words, state);
        self.work += 1 + words.len() as u32 / 16;
        let class = &self.classes[class as usize];
        let after = match self.model.step(self.history, words, class, &mut next) {
            Step::No => NO,
            Step::Same => state,
            Step::To => self.state_id(&next),
        };
        self.scratch = next;
        after
    }
}

fn words_of<'s>(ends: &[u32], words: &'s [u32], state: u32) -> &'s [u32] {
    let at = state as usize;
    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
    &words[start..ends[at] as usize]
}
