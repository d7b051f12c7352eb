//! An object that goes through levels 0, 1, 2 ... one step at a time, and operations that say
//! between which levels they took place.
//!
//! Step `k` leads from level `k` to level `k + 1`. An operation at one of the levels `a` to `b`
//! comes after step `a - 1` and before step `b`: step `a - 1` is before its return, step `b` after
//! its invocation. What makes step `k` runs over it. So each step has a last invocation `low` and a
//! first return `high`; as steps come in order, let `low` of a step be at least that of the step
//! before, and `high` at most that of the step behind. The history is legal iff `low < high` for
//! every step: put step `k` right behind `low`, and an operation of levels `a` to `b` right behind
//! its invocation or step `a - 1`, whichever is later; that is before its return, and before step
//! `b`, whose `low` is not before its invocation. Else the two rows that gave `low` and `high`
//! exclude each other: the one returned before the other began, and saw a higher level.

use crate::history::OPEN;
use crate::planted;

#[derive(Clone, Copy)]
struct Step {
    low: u32,
    low_row: u32,
    high: u32,
    high_row: u32,
}

pub struct Ladder {
    steps: Vec<Step>,
    /// (right behind this position, place among what is there), and the row.
    placed: Vec<(u32, u32, u32)>,
}

/// Of the rows that are placed at a position: behind all steps.
const LAST: u32 = u32::MAX;

impl Ladder {
    pub fn new(steps: usize) -> Ladder {
        let step = Step {
            low: 0,
            low_row: OPEN,
            high: OPEN,
            high_row: OPEN,
        };
        Ladder {
            steps: vec![step; steps],
            placed: Vec::new(),
        }
    }

    /// The step comes after this invocation.
    pub fn after(&mut self, step: usize, row: u32, inv: u32) {
        if let Some(step) = self.steps.get_mut(step) {
            if inv >= step.low {
                step.low = inv;
                step.low_row = row;
            }
        }
    }

    /// The step comes before this return.
    pub fn before(&mut self, step: usize, row: u32, ret: u32) {
        if let Some(step) = self.steps.get_mut(step) {
            if ret < step.high {
                step.high = ret;
                step.high_row = row;
            }
        }
    }

    /// An operation took place at one of the levels `from` to `to`.
    pub fn within(&mut self, from: usize, to: usize, row: u32, inv: u32, ret: u32) {
        if from > 0 {
            self.before(from - 1, row, ret);
        }
        self.after(planted!("ladder-shifted", to, to + 1), row, inv);
    }

    /// Give the steps their order. Err: the rows that exclude each other.
    pub fn settle(&mut self) -> Result<(), [u32; 2]> {
        for k in 1..self.steps.len() {
            let before = self.steps[k - 1];
            if before.low > self.steps[k].low {
                self.steps[k].low = before.low;
                self.steps[k].low_row = before.low_row;
            }
        }
        for k in (1..self.steps.len()).rev() {
            let behind = self.steps[k];
            if behind.high < self.steps[k - 1].high {
                self.steps[k - 1].high = behind.high;
                self.steps[k - 1].high_row = behind.high_row;
            }
        }
        match self.steps.iter().find(|step| step.low >= step.high) {
            None => Ok(()),
            Some(step) => Err([step.low_row, step.high_row]),
        }
    }

    /// The step may stand right behind this position.
    pub fn low(&self, step: usize) -> u32 {
        self.steps.get(step).map_or(0, |step| step.low)
    }

    /// The step has to stand before this position.
    pub fn high(&self, step: usize) -> u32 {
        self.steps.get(step).map_or(OPEN, |step| step.high)
    }

    /// The rows that bound the step.
    pub fn bounds(&self, step: usize) -> Vec<u32> {
        let rows = self
            .steps
            .get(step)
            .map(|step| [step.low_row, step.high_row]);
        rows.into_iter()
            .flatten()
            .filter(|&row| row != OPEN)
            .collect()
    }

    /// The row makes the step; after `settle`, steps in order.
    pub fn make(&mut self, step: usize, row: u32) {
        self.placed.push((self.low(step), 2 * step as u32 + 1, row));
    }

    /// The row is at a level not below this one; after `settle`.
    pub fn stand(&mut self, from: usize, row: u32, inv: u32) {
        let step = from.checked_sub(1).map_or(0, |step| self.low(step));
        self.placed.push((step.max(inv), 2 * from as u32, row));
    }

    /// The row comes behind the start of the last step, which nobody saw; after `settle`.
    pub fn end(&mut self, row: u32, inv: u32) {
        let last = self.steps.len().saturating_sub(1);
        self.placed.push((self.low(last).max(inv), LAST, row));
    }

    /// All placed rows in order.
    pub fn rows(mut self) -> Vec<u32> {
        self.placed.sort_unstable();
        self.placed.into_iter().map(|(_, _, row)| row).collect()
    }
}
