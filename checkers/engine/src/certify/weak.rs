//! A weakened history, and the search that decides whether it has a legal order.
//!
//! It goes breadth first through the events of the kept operations and keeps the set of all
//! configurations that can be reached: which of the open kept operations have taken effect, the
//! state, and how many free operations of each class were spent. Operations take effect no earlier
//! than something needs it: the return of one that is kept, or the begin of a gap, which is the last
//! moment for a free operation before it. An open read is taken at once where it is legal, and of
//! open operations of one class the one that returns first (checkers.md, section 7, rules a and b).

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::budget::{Meter, Stop};
use crate::history::{History, OPEN};
use crate::model::{Class, Model, Step};

/// Operations that are open at once; a probe that needs more is not answered.
const SLOTS: u32 = 128;
/// There is no limit on how often a free operation takes effect.
pub const ALWAYS: u16 = u16::MAX;
/// Words of the longest state that a probe looks at.
const STATE_WORDS: usize = 1 << 12;

const NOT: u32 = u32::MAX;

/// An operation that is kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub inv: u32,
    /// `OPEN` where it may take effect, or never.
    pub ret: u32,
    /// Its number in the table.
    pub class: u32,
}

/// Operations that may take effect in their windows, `most` times in all.
#[derive(Clone, Debug)]
pub struct Free {
    pub class: u32,
    pub most: u16,
    /// First and last position of each, in order; `OPEN` where one does not end.
    pub windows: Vec<(u32, u32)>,
}

/// What a probe found out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    Legal,
    Illegal,
    GaveUp,
}

/// Classes and states as numbers, and every step asked of the model once.
pub struct Table<'a> {
    history: &'a History,
    model: &'a dyn Model,
    pub classes: Vec<Class>,
    ids: FxHashMap<Class, u32>,
    read: Vec<bool>,
    states: Vec<Box<[u32]>>,
    state_ids: FxHashMap<Box<[u32]>, u32>,
    steps: FxHashMap<(u32, u32), u32>,
}

impl<'a> Table<'a> {
    pub fn new(history: &'a History, model: &'a dyn Model) -> Table<'a> {
        let mut table = Table {
            history,
            model,
            classes: Vec::new(),
            ids: FxHashMap::default(),
            read: Vec::new(),
            states: Vec::new(),
            state_ids: FxHashMap::default(),
            steps: FxHashMap::default(),
        };
        let initial = model.initial(&history.values);
        table.state_id(&initial);
        table
    }

    pub fn class_id(&mut self, class: Class) -> u32 {
        if let Some(&id) = self.ids.get(&class) {
            return id;
        }
        let id = self.classes.len() as u32;
        self.ids.insert(class, id);
        self.classes.push(class);
        self.read.push(self.model.is_read(self.history, &class));
        id
    }

    fn state_id(&mut self, state: &[u32]) -> u32 {
        if let Some(&id) = self.state_ids.get(state) {
            return id;
        }
        let id = self.states.len() as u32;
        self.states.push(state.into());
        self.state_ids.insert(state.into(), id);
        id
    }

    /// Whether these classes lead to at most so many states from the initial one.
    pub fn reachable(&mut self, classes: &[u32], most: usize) -> bool {
        let mut reached: FxHashSet<u32> = FxHashSet::from_iter([0]);
        let mut ahead = vec![0];
        while let Some(state) = ahead.pop() {
            for &class in classes {
                let after = self.step(state, class);
                if after != NOT && reached.insert(after) {
                    ahead.push(after);
                }
                if reached.len() > most {
                    return false;
                }
            }
        }
        true
    }

    /// The state after an operation, `NOT` where it cannot happen.
    fn step(&mut self, state: u32, class: u32) -> u32 {
        if let Some(&after) = self.steps.get(&(state, class)) {
            return after;
        }
        let mut next = Vec::new();
        let before = &self.states[state as usize];
        let op = &self.classes[class as usize];
        let after = match self.model.step(self.history, before, op, &mut next) {
            Step::No => NOT,
            Step::Same => state,
            Step::To => self.state_id(&next),
        };
        self.steps.insert((state, class), after);
        after
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Config {
    mask: u128,
    state: u32,
    /// How often each limited free class was spent.
    used: SmallVec<[u16; 8]>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A window of a free class begins or ends.
    Begin(u32),
    End(u32),
    Invoke(u32),
    Return(u32),
}

/// What an expansion is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// The kept operation in this slot takes effect.
    Slot(u32),
    /// The free operation had its last chance.
    Free(usize),
}

/// Why a probe ends early: its own steps, or the budget of the whole.
enum Overrun {
    Steps,
    Budget(Stop),
}

struct Probe<'t, 'a> {
    table: &'t mut Table<'a>,
    kept: &'t [Kept],
    free: &'t [Free],
    /// Free class -> its place in `used`, `NOT` for one without a limit.
    place: Vec<u32>,
    enabled: Vec<bool>,
    /// Open kept operations in order of their return: (return, index, slot).
    open: Vec<(u32, u32, u32)>,
    slots: u128,
    configs: Vec<Config>,
    left: u64,
    meter: &'t mut Meter,
}

/// Decide a weakened history. At most `*work` steps are tried; what was tried is taken off it.
pub fn probe(
    table: &mut Table<'_>,
    kept: &[Kept],
    free: &[Free],
    work: &mut u64,
    meter: &mut Meter,
) -> Result<Found, Stop> {
    let mut limited = 0;
    let mut place = Vec::with_capacity(free.len());
    for one in free {
        place.push(if one.most == ALWAYS { NOT } else { limited });
        limited += u32::from(one.most != ALWAYS);
    }
    let first = Config {
        mask: 0,
        state: 0,
        used: SmallVec::from_elem(0, limited as usize),
    };
    let mut probe = Probe {
        table,
        kept,
        free,
        place,
        enabled: vec![false; free.len()],
        open: Vec::new(),
        slots: 0,
        configs: vec![first],
        left: *work,
        meter,
    };
    let found = probe.run();
    *work = probe.left;
    match found {
        Ok(found) => Ok(found),
        Err(Overrun::Steps) => Ok(Found::GaveUp),
        Err(Overrun::Budget(why)) => Err(why),
    }
}

impl Probe<'_, '_> {
    fn run(&mut self) -> Result<Found, Overrun> {
        for (_, event) in events(self.kept, self.free) {
            match event {
                Event::Begin(at) => self.enabled[at as usize] = true,
                Event::End(at) => {
                    self.expand(Goal::Free(at as usize))?;
                    self.enabled[at as usize] = false;
                }
                Event::Invoke(at) => self.invoke(at)?,
                Event::Return(at) => {
                    let place = self.open.iter().position(|&(_, index, _)| index == at);
                    let Some(place) = place else { continue };
                    let slot = self.open[place].2;
                    self.expand(Goal::Slot(slot))?;
                    self.open.remove(place);
                    self.slots &= !(1 << slot);
                    if self.configs.is_empty() {
                        return Ok(Found::Illegal);
                    }
                }
            }
        }
        Ok(Found::Legal)
    }

    fn invoke(&mut self, at: u32) -> Result<(), Overrun> {
        let slot = (!self.slots).trailing_zeros();
        if slot >= SLOTS {
            return Err(Overrun::Steps);
        }
        self.slots |= 1 << slot;
        let kept = self.kept[at as usize];
        let place = self.open.partition_point(|&(ret, _, _)| ret <= kept.ret);
        self.open.insert(place, (kept.ret, at, slot));
        if self.table.read[kept.class as usize] {
            let mut configs = std::mem::take(&mut self.configs);
            for config in &mut configs {
                self.spend(1)?;
                if self.table.step(config.state, kept.class) != NOT {
                    config.mask |= 1 << slot;
                }
            }
            self.configs = configs;
        }
        Ok(())
    }

    fn spend(&mut self, steps: u64) -> Result<(), Overrun> {
        self.left = self.left.checked_sub(steps).ok_or(Overrun::Steps)?;
        self.meter.ticks(4).map_err(Overrun::Budget)
    }

    /// All configurations in which the goal is reached, each by no more than it needs.
    fn expand(&mut self, goal: Goal) -> Result<(), Overrun> {
        let mut out = Front::default();
        let mut work: Vec<Config> = Vec::new();
        for config in std::mem::take(&mut self.configs) {
            match goal {
                Goal::Slot(slot) if config.mask >> slot & 1 == 1 => out.add(clear(config, slot)),
                Goal::Slot(_) => work.push(config),
                Goal::Free(_) => {
                    out.add(config.clone());
                    work.push(config);
                }
            }
        }
        let mut seen: FxHashSet<Config> = work.iter().cloned().collect();
        while let Some(config) = work.pop() {
            for (next, by) in self.moves(&config)? {
                match goal {
                    Goal::Slot(slot) if next.mask >> slot & 1 == 1 => {
                        out.add(clear(next, slot));
                        continue;
                    }
                    Goal::Free(free) if by == Some(free) => out.add(next.clone()),
                    _ => {}
                }
                if seen.insert(next.clone()) {
                    work.push(next);
                }
            }
        }
        self.configs = out.configs();
        Ok(())
    }

    /// The configurations one operation further on, and the free class that it was of.
    fn moves(&mut self, config: &Config) -> Result<Vec<(Config, Option<usize>)>, Overrun> {
        let mut found = Vec::new();
        let mut tried: SmallVec<[u32; 16]> = SmallVec::new();
        for i in 0..self.open.len() {
            let (_, at, slot) = self.open[i];
            let class = self.kept[at as usize].class;
            if config.mask >> slot & 1 == 1
                || self.table.read[class as usize]
                || tried.contains(&class)
            {
                continue;
            }
            tried.push(class);
            self.spend(1)?;
            let after = self.table.step(config.state, class);
            if after != NOT {
                let mut next = config.clone();
                next.mask |= 1 << slot;
                found.push((self.settled(next, after)?, None));
            }
        }
        for at in 0..self.free.len() {
            let place = self.place[at] as usize;
            let spent = config
                .used
                .get(place)
                .is_some_and(|&n| n >= self.free[at].most);
            if !self.enabled[at] || spent {
                continue;
            }
            self.spend(1)?;
            let after = self.table.step(config.state, self.free[at].class);
            if after != NOT && after != config.state {
                let mut next = config.clone();
                if let Some(n) = next.used.get_mut(place) {
                    *n += 1;
                }
                found.push((self.settled(next, after)?, Some(at)));
            }
        }
        Ok(found)
    }

    /// The configuration in a new state, with all open reads that are legal there.
    fn settled(&mut self, mut config: Config, state: u32) -> Result<Config, Overrun> {
        if self.table.states[state as usize].len() > STATE_WORDS {
            return Err(Overrun::Steps);
        }
        config.state = state;
        for i in 0..self.open.len() {
            let (_, at, slot) = self.open[i];
            let class = self.kept[at as usize].class;
            if self.table.read[class as usize] && config.mask >> slot & 1 == 0 {
                self.spend(1)?;
                if self.table.step(state, class) != NOT {
                    config.mask |= 1 << slot;
                }
            }
        }
        Ok(config)
    }
}

fn clear(mut config: Config, slot: u32) -> Config {
    config.mask &= !(1 << slot);
    config
}

/// Configurations of which none can do all that another can: what has spent more of every class is
/// dropped.
#[derive(Default)]
struct Front {
    by_place: FxHashMap<(u128, u32), Vec<SmallVec<[u16; 8]>>>,
    order: Vec<(u128, u32)>,
}

impl Front {
    fn add(&mut self, config: Config) {
        let key = (config.mask, config.state);
        let here = self.by_place.entry(key).or_insert_with(|| {
            self.order.push(key);
            Vec::new()
        });
        let below = |a: &[u16], b: &[u16]| a.iter().zip(b).all(|(x, y)| x <= y);
        if here.iter().any(|known| below(known, &config.used)) {
            return;
        }
        here.retain(|known| !below(&config.used, known));
        here.push(config.used);
    }

    fn configs(mut self) -> Vec<Config> {
        let mut found = Vec::new();
        for key in self.order {
            for used in self.by_place.remove(&key).unwrap_or_default() {
                found.push(Config {
                    mask: key.0,
                    state: key.1,
                    used,
                });
            }
        }
        found
    }
}

/// Everything that happens, in order.
fn events(kept: &[Kept], free: &[Free]) -> Vec<(u32, Event)> {
    let mut events = Vec::new();
    for (at, op) in kept.iter().enumerate() {
        events.push((op.inv, Event::Invoke(at as u32)));
        if op.ret != OPEN {
            events.push((op.ret, Event::Return(at as u32)));
        }
    }
    for (at, one) in free.iter().enumerate() {
        for &(from, to) in &one.windows {
            events.push((from, Event::Begin(at as u32)));
            if to != OPEN {
                events.push((to, Event::End(at as u32)));
            }
        }
    }
    events.sort_unstable();
    events
}
