//! A proof from the surroundings: that an operation cannot return because of what happened shortly
//! before.
//!
//! The search is soon at the operation that has no place, and may then try for long to find another
//! way there. Here the question is made weaker until it is easy: only the operations that returned
//! last stay as they are. Of the others, reads are left out, and updates become *free*: their
//! effect may come any number of times, or never, between the first invocation and the last return
//! of their class; for crashed ones there is no end. Whatever order the history has, it is an order
//! of this weaker one too. So where this one has none, the history has none.
//!
//! Crashed operations that lead to the state that the operation needs are counted, in a second
//! attempt, as they are in the history: for "more reads of 3 than there can have been writes of it".

use rustc_hash::FxHashMap;

use super::field::Field;
use super::problem::{Free, Problem};
use super::table::{Table, NO};
use super::{decide, Found, Order};
use crate::budget::{Meter, Stop};
use crate::history::OPEN;
use crate::model::{Class, Part};

/// Operations that stay as they are: this many, and `GROWTH` times more each time.
const LEAST: usize = 2;
const GROWTH: usize = 3;
/// Classes of updates beyond which this is not tried.
const CLASSES_MAX: usize = 2_000;

pub struct Local<'r> {
    rows: &'r [u32],
    /// The event that was tried.
    event: usize,
    /// What becomes of a proof: so many operations stayed.
    size: usize,
    tried: bool,
    pub visited: u64,
}

impl<'r> Local<'r> {
    pub fn new(rows: &'r [u32]) -> Local<'r> {
        Local {
            rows,
            event: usize::MAX,
            size: LEAST,
            tried: false,
            visited: 0,
        }
    }

    /// Whether the operation of `event` cannot return, with at most so many configurations more.
    /// It goes on where it stopped the last time.
    pub fn proves(
        &mut self,
        table: &mut Table,
        problem: &Problem,
        event: usize,
        configurations: u64,
        meter: &mut Meter,
    ) -> Result<bool, Stop> {
        if event >= problem.len() || table.kinds.len() > CLASSES_MAX {
            return Ok(false);
        }
        if event != self.event {
            (self.event, self.size, self.tried) = (event, LEAST, false);
        }
        let until = self.visited + configurations;
        while !self.tried && self.visited < until {
            let size = self.size.min(event + 1);
            for counted in [false, true] {
                if self.probe(table, problem, size, counted, until - self.visited, meter)? {
                    return Ok(true);
                }
                if self.visited >= until {
                    return Ok(false);
                }
            }
            self.tried = size > event;
            self.size = size * GROWTH;
        }
        Ok(false)
    }

    fn probe(
        &mut self,
        table: &mut Table,
        problem: &Problem,
        size: usize,
        counted: bool,
        configurations: u64,
        meter: &mut Meter,
    ) -> Result<bool, Stop> {
        let history = table.history;
        let first = self.event + 1 - size;
        let end = history.ret[problem.row[self.event] as usize];
        let mut times: FxHashMap<u32, (u32, u32)> = FxHashMap::default();
        for event in 0..first {
            meter.tick()?;
            let class = problem.class[event];
            if !table.kinds[class as usize].pure {
                let row = problem.row[event] as usize;
                let time = times.entry(class).or_insert((OPEN, 0));
                time.0 = time.0.min(history.inv[row]);
                time.1 = time.1.max(history.ret[row]);
            }
        }
        let goal = table.kinds[problem.class[self.event] as usize].need;
        let mut rows: Vec<u32> = problem.row[first..=self.event].to_vec();
        for &row in self.rows {
            meter.tick()?;
            if history.inv[row as usize] >= end {
                break;
            }
            let Some(class) = left_open(table, row as usize, end) else {
                continue;
            };
            let class = table.class_id(class);
            let leads = goal == NO || table.kinds[class as usize].after == goal;
            if counted && leads {
                rows.push(row);
            } else {
                let time = times.entry(class).or_insert((OPEN, 0));
                *time = (time.0.min(history.inv[row as usize]), OPEN);
            }
        }
        // Free, what puts one more into an object leads to ever larger states.
        let grows = |class: &u32| {
            let kind = table.kinds[*class as usize];
            !kind.overwrites() && kind.need == NO
        };
        if times.keys().any(grows) {
            return Ok(false);
        }
        if counted && rows.len() == size {
            return Ok(false);
        }
        let mut free: Vec<Free> = times
            .into_iter()
            .map(|(class, (begin, until))| Free {
                class: *table.class(class),
                begin,
                until,
            })
            .collect();
        free.sort_unstable_by_key(|free| (free.begin, free.until));
        rows.sort_unstable();
        let small = Problem::new(table, &rows, &free, end, meter)?;
        let mut field = Field::new(table, &small);
        let outcome = decide(&mut field, configurations, Order::Breadth, false, meter);
        self.visited += outcome.visited + 1;
        match outcome.found {
            Ok(Found::Illegal(_)) => Ok(true),
            Ok(Found::Legal(_)) | Err(Stop::Configurations) => Ok(false),
            Err(why) => Err(why),
        }
    }
}

/// The class of an update that is open at the position `end`, or crashed.
fn left_open(table: &Table, row: usize, end: u32) -> Option<Class> {
    let class = Class::of(table.model, table.history, row);
    match table.model.part(table.history, &class) {
        Part::Must if table.history.ret[row] <= end => None,
        Part::Must | Part::May => super::problem::open_class(table, &class),
        Part::Drop => None,
    }
}
