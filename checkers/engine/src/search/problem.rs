//! What the search works on: the operations of one object as small numbers.
//!
//! Operations that must take effect are numbered by the order of their returns, so that operation i
//! is the one that the i-th *event* waits for. Operations that crashed are *optional*: each may
//! take effect once, at any time after its invocation, or never; only how many of a class were
//! spent matters, for two of one class can change places in any order.
//!
//! For certificates there are classes that are *free*: their effect may come any number of times,
//! or never, between two positions of the history. Where that time ends a *gate* stands among the
//! events: nothing has to happen there, but it is the last moment for what may happen.

use rustc_hash::{FxHashMap, FxHashSet};

use super::table::{Table, NO};
use super::useful::{self, Useful};
use crate::budget::{Meter, Stop};
use crate::history::{History, OPEN};
use crate::model::{Class, Part};
use crate::planted;

/// A class that may take effect at will between two positions, both included.
#[derive(Clone, Debug)]
pub struct Free {
    pub class: Class,
    pub begin: u32,
    /// `OPEN`: for ever.
    pub until: u32,
}

/// An optional class.
pub struct Optional {
    pub class: u32,
    /// The first event at which each of its operations may be spent, in order; one where it is free.
    pub first: Vec<u32>,
    /// Their rows; none where it is free.
    pub rows: Vec<u32>,
    /// The last event at which it may be spent: the gate of its time. `NO`: for ever.
    pub last: u32,
}

impl Optional {
    pub fn is_free(&self) -> bool {
        self.rows.is_empty()
    }
}

pub struct Problem {
    /// Event -> the row that returns there; `NO` at a gate.
    pub row: Vec<u32>,
    /// Event -> the class of its operation; `NO` at a gate.
    pub class: Vec<u32>,
    /// Event -> the slot of its operation: slots are used again, so that a mask is as wide as the
    /// operations that are open at once.
    pub slot: Vec<u32>,
    pub slots: usize,
    pub optional: Vec<Optional>,
    /// Optional class -> the one that can do all that it can (`Spent`), or `NO`.
    pub boss: Vec<u32>,
    /// Event -> where its arrivals begin in `arrivals`; one more at the end.
    starts: Vec<u32>,
    /// Event -> its position in the history.
    positions: Vec<u32>,
    arrivals: Vec<u32>,
}

impl Problem {
    /// The operations of `rows` (in order of invocation) up to the position `end`, and free
    /// classes. An operation that returns after `end` is open.
    pub fn new(
        table: &mut Table,
        rows: &[u32],
        free: &[Free],
        end: u32,
        meter: &mut Meter,
    ) -> Result<Problem, Stop> {
        meter.budget().fits(rows.len() * 64)?;
        let history = table.history;
        let sorted: Vec<u32>;
        let mut rows = rows;
        if !rows.is_sorted() {
            sorted = {
                let mut all = rows.to_vec();
                all.sort_unstable();
                all
            };
            rows = &sorted;
        }
        let mut must: Vec<(u32, u32)> = Vec::with_capacity(rows.len());
        let mut may: Vec<(u32, u32)> = Vec::new();
        for &row in rows {
            meter.tick()?;
            if history.inv[row as usize] >= end {
                continue;
            }
            let class = Class::of(table.model, history, row as usize);
            match table.model.part(history, &class) {
                Part::Drop => {}
                Part::Must if history.ret[row as usize] <= end => {
                    let class = table.class_id(class);
                    must.push((row, class));
                }
                Part::Must | Part::May => {
                    if let Some(class) = open_class(table, &class) {
                        let class = table.class_id(class);
                        may.push((row, class));
                    }
                }
            }
        }
        let free: Vec<(u32, &Free)> = free
            .iter()
            .map(|free| (table.class_id(free.class), free))
            .collect();
        let chosen = choose(table, &must, &may, &free, meter)?;
        let free: Vec<(u32, &Free)> = free
            .into_iter()
            .filter(|(class, _)| chosen.keeps(*class))
            .collect();
        let mut problem = Problem::numbered(history, &must, &free);
        problem.allow(table, &may, &free, &chosen);
        Ok(problem)
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.row.len()
    }

    pub fn is_empty(&self) -> bool {
        self.row.is_empty()
    }

    /// The operations invoked since the event before this one.
    #[inline]
    pub fn arrivals(&self, event: usize) -> &[u32] {
        &self.arrivals[self.starts[event] as usize..self.starts[event + 1] as usize]
    }

    /// The operation that returns at the event is a gate.
    #[inline]
    pub fn is_gate(&self, event: usize) -> bool {
        self.class[event] == NO
    }

    /// Events in order, what arrives before each, and slots.
    fn numbered(history: &History, must: &[(u32, u32)], free: &[(u32, &Free)]) -> Problem {
        let mut events: Vec<(u32, u32, u32)> = must
            .iter()
            .map(|&(row, class)| (history.ret[row as usize], row, class))
            .collect();
        for (_, free) in free.iter().filter(|(_, free)| free.until != OPEN) {
            events.push((free.until, NO, NO));
        }
        // A gate comes before what returns at its position: both see the same operations open.
        events.sort_unstable_by_key(|&(position, row, _)| (position, row != NO));
        events.dedup_by(|a, b| a.1 == NO && b.1 == NO && a.0 == b.0);
        let number_of = numbers(&events, must);
        let mut problem = Problem {
            row: events.iter().map(|event| event.1).collect(),
            class: events.iter().map(|event| event.2).collect(),
            slot: vec![NO; events.len()],
            slots: 0,
            optional: Vec::new(),
            boss: Vec::new(),
            positions: Vec::new(),
            starts: Vec::with_capacity(events.len() + 1),
            arrivals: Vec::with_capacity(must.len()),
        };
        let mut next = 0;
        let mut vacant: Vec<u32> = Vec::new();
        for (event, &(position, row, _)) in events.iter().enumerate() {
            problem.starts.push(problem.arrivals.len() as u32);
            if planted!("search-slot", false, true) && row != NO && problem.slot[event] != NO {
                vacant.push(problem.slot[event]);
            }
            while next < must.len() && history.inv[must[next].0 as usize] < position {
                let op = number_of[next];
                let slot = vacant.pop().unwrap_or_else(|| {
                    problem.slots += 1;
                    problem.slots as u32 - 1
                });
                problem.slot[op as usize] = slot;
                problem.arrivals.push(op);
                next += 1;
            }
            if row != NO && planted!("search-slot", true, problem.slot[event] == NO) {
                vacant.push(problem.slot[event]);
            }
        }
        problem.starts.push(problem.arrivals.len() as u32);
        problem.positions = events.iter().map(|event| event.0).collect();
        problem
    }

    /// The first event that comes after the position.
    fn event_after(&self, position: u32) -> u32 {
        self.positions.partition_point(|&at| at <= position) as u32
    }

    /// What may take effect, and from which event on.
    fn allow(&mut self, table: &Table, may: &[(u32, u32)], free: &[(u32, &Free)], chosen: &Chosen) {
        let mut place: FxHashMap<u32, usize> = FxHashMap::default();
        for &(class, free) in free {
            let at_or_after = |position| self.positions.partition_point(|&at| at < position) as u32;
            self.optional.push(Optional {
                class,
                first: vec![at_or_after(free.begin)],
                rows: Vec::new(),
                last: match free.until {
                    OPEN => NO,
                    until => at_or_after(until),
                },
            });
        }
        for &(row, class) in may.iter().filter(|(_, class)| chosen.keeps(*class)) {
            let first = self.event_after(table.history.inv[row as usize]);
            if first as usize >= self.len() || planted!("search-crashed", false, true) {
                continue;
            }
            let at = *place.entry(class).or_insert_with(|| {
                self.optional.push(Optional {
                    class,
                    first: Vec::new(),
                    rows: Vec::new(),
                    last: NO,
                });
                self.optional.len() - 1
            });
            self.optional[at].first.push(first);
            self.optional[at].rows.push(row);
        }
        self.boss = bosses(table, &self.optional, &chosen.lead);
    }
}

/// The optional classes that can make a difference.
struct Chosen {
    classes: FxHashSet<u32>,
    lead: FxHashMap<u32, u32>,
}

impl Chosen {
    fn keeps(&self, class: u32) -> bool {
        self.classes.contains(&class)
    }
}

fn choose(
    table: &mut Table,
    must: &[(u32, u32)],
    may: &[(u32, u32)],
    free: &[(u32, &Free)],
    meter: &mut Meter,
) -> Result<Chosen, Stop> {
    let mut classes: Vec<u32> = may.iter().map(|&(_, class)| class).collect();
    classes.extend(free.iter().map(|&(class, _)| class));
    classes.sort_unstable();
    classes.dedup();
    if classes.is_empty() {
        return Ok(Chosen {
            classes: FxHashSet::default(),
            lead: FxHashMap::default(),
        });
    }
    let needed: FxHashSet<u32> = must.iter().map(|&(_, class)| class).collect();
    let Useful { useful, lead } = useful::find(table, &needed, &classes, meter)?;
    let kept = classes.iter().zip(useful).filter(|(_, useful)| *useful);
    Ok(Chosen {
        classes: kept.map(|(class, _)| *class).collect(),
        lead,
    })
}

/// The place in `events` of each of `must`.
fn numbers(events: &[(u32, u32, u32)], must: &[(u32, u32)]) -> Vec<u32> {
    let Some(&(first, _)) = must.first() else {
        return Vec::new();
    };
    let last = must.last().map_or(first, |&(row, _)| row);
    // Rows of an object that is the most of its history lie close together.
    if ((last - first) as usize) < must.len() * 8 {
        let mut at = vec![NO; (last - first) as usize + 1];
        for (number, &(_, row, _)) in events.iter().enumerate() {
            if row != NO {
                at[(row - first) as usize] = number as u32;
            }
        }
        return must
            .iter()
            .map(|&(row, _)| at[(row - first) as usize])
            .collect();
    }
    let at: FxHashMap<u32, u32> = events
        .iter()
        .enumerate()
        .map(|(number, event)| (event.1, number as u32))
        .collect();
    must.iter().map(|(row, _)| at[row]).collect()
}

/// The class of an operation whose end is not known; `None` where it says nothing then.
pub fn open_class(table: &Table, class: &Class) -> Option<Class> {
    use crate::history::Outcome;
    use crate::values::Val;
    let open = Class {
        outcome: Outcome::Info,
        result: Val::NONE,
        ..*class
    };
    (table.model.part(table.history, &open) == Part::May).then_some(open)
}

/// Optional class -> the crashed write that leads to the only state to which it leads.
fn bosses(table: &Table, all: &[Optional], lead: &FxHashMap<u32, u32>) -> Vec<u32> {
    let mut write_to: FxHashMap<u32, u32> = FxHashMap::default();
    for (at, optional) in all.iter().enumerate() {
        let kind = table.kinds[optional.class as usize];
        if kind.overwrites() && !optional.is_free() {
            write_to.insert(kind.after, at as u32);
        }
    }
    all.iter()
        .map(|optional| {
            let kind = table.kinds[optional.class as usize];
            if kind.overwrites() || optional.is_free() {
                return NO;
            }
            let lead = lead.get(&optional.class);
            lead.and_then(|state| write_to.get(state))
                .copied()
                .unwrap_or(NO)
        })
        .collect()
}
