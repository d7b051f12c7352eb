//! What all parts of a search share: configurations, moves, and what is left of the crashed
//! operations. The rules are told in `board`.

use std::rc::Rc;

use super::ahead::Ahead;
use super::demand::Demand;
use super::mask::Mask;
use super::problem::Problem;
use super::table::{Table, NO};
use super::used::Spent;
use crate::planted;

/// Where a search stands before an event: see `board`.
#[derive(Clone, Debug)]
pub struct Config<M> {
    pub state: u32,
    pub used: u32,
    pub ok: M,
    pub avail: M,
}

/// What took effect visibly at an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    pub event: u32,
    /// An operation, or `OPTIONAL` and an optional class.
    pub op: u32,
    /// The operation that may stand before it, unseen; `NO` for none.
    pub unseen: u32,
}

pub const OPTIONAL: u32 = 1 << 31;

/// (optional class, state after) of those that look at a state and change it.
pub type Leads = Rc<[(u32, u32)]>;

/// What does not change while the search goes on, and what all its parts share.
pub struct Field<'t, 'a> {
    pub table: &'t mut Table<'a>,
    pub problem: &'t Problem,
    pub spent: Spent,
    pub demand: Demand,
    pub ahead: Ahead,
    /// State -> the optional classes that look at the state and change it here: (place, after).
    leads: Vec<Option<Leads>>,
    /// Optional classes that are blind: (place, after).
    pub writes: Vec<(u32, u32)>,
    sighted: Vec<(u32, u32)>,
    nothing: Leads,
}

impl<'t, 'a> Field<'t, 'a> {
    pub fn new(table: &'t mut Table<'a>, problem: &'t Problem) -> Field<'t, 'a> {
        let mut writes = Vec::new();
        let mut sighted = Vec::new();
        for (at, optional) in problem.optional.iter().enumerate() {
            let kind = table.kinds[optional.class as usize];
            if kind.overwrites() {
                writes.push((at as u32, kind.after));
            } else {
                sighted.push((at as u32, optional.class));
            }
        }
        Field {
            spent: Spent::new(problem.boss.clone()),
            demand: Demand::new(problem),
            ahead: Ahead::new(table, problem),
            leads: Vec::new(),
            nothing: Rc::new([]),
            writes,
            sighted,
            table,
            problem,
        }
    }

    /// An operation of the optional class can be spent at the event.
    pub fn left(&self, at: u32, event: usize, used: u32) -> bool {
        let optional = &self.problem.optional[at as usize];
        if optional.is_free() {
            let begun = optional
                .first
                .first()
                .is_some_and(|&first| first as usize <= event);
            return begun && (optional.last == NO || event <= optional.last as usize);
        }
        let count = self.spent.count(used, at) as usize;
        optional
            .first
            .get(count)
            .is_some_and(|&first| first as usize <= event)
    }

    pub fn spend(&mut self, at: u32, used: u32) -> u32 {
        if self.problem.optional[at as usize].is_free() {
            used
        } else {
            let room = self.spent.room();
            if room > 0 && !self.table.fits(room) {
                return used;
            }
            self.spent.plus(used, at)
        }
    }

    pub fn leads(&mut self, state: u32) -> Leads {
        let at = state as usize;
        if self.sighted.is_empty() {
            return Rc::clone(&self.nothing);
        }
        if at >= self.leads.len() {
            let (length, capacity) = (at, self.leads.capacity());
            if !self.table.doubles(length, capacity, 16) {
                return Rc::clone(&self.nothing);
            }
            self.leads.resize(at + 1, None);
        }
        if let Some(found) = &self.leads[at] {
            return Rc::clone(found);
        }
        let mut found = Vec::new();
        self.table.worked(self.sighted.len());
        for &(place, class) in &self.sighted {
            let after = self.table.step(state, class);
            if after != NO && after != state {
                found.push((place, after));
            }
        }
        let found: Leads = found.into();
        self.leads[at] = Some(Rc::clone(&found));
        found
    }
}

/// The operation of the event returns: on to the next event.
pub fn pass<M: Mask>(field: &mut Field, event: usize, config: &mut Config<M>) {
    if !field.problem.is_gate(event) {
        let slot = field.problem.slot[event];
        config.ok.drop(slot);
        config.avail.drop(slot);
    }
    if event + 1 < field.problem.len() {
        arrive(field, event + 1, config);
    }
}

/// Rule (a) for what was invoked before the event; updates are to happen.
pub fn arrive<M: Mask>(field: &mut Field, event: usize, config: &mut Config<M>) {
    let problem = field.problem;
    if problem.is_empty() {
        return;
    }
    for &op in problem.arrivals(event) {
        let class = problem.class[op as usize];
        let slot = problem.slot[op as usize];
        if !field.table.kinds[class as usize].pure {
            config.avail.put(slot);
        } else if planted!(
            "search-eager",
            field.table.step(config.state, class) != NO,
            true
        ) {
            config.ok.put(slot);
        }
    }
}
