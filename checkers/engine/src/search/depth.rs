//! Depth first: soon at the end of a legal history, for it tries the likeliest way first.

use super::board::{Board, Branches};
use super::field::{pass, Config, Field, Move};
use super::mask::Mask;
use super::memo::Memo;
use super::table::NO;
use super::{is_committed, Found};
use crate::budget::{Meter, Stop};

/// A configuration that is still to be visited, and the way to it.
struct Waiting<M> {
    event: u32,
    config: Config<M>,
    /// Length of the way to the configuration before it.
    length: u32,
    step: Move,
}

pub struct Depth<M> {
    board: Board<M>,
    memo: Memo<M>,
    waiting: Vec<Waiting<M>>,
    way: Vec<Move>,
    branches: Branches<M>,
    pub visited: u64,
    /// So many events were passed.
    pub deepest: usize,
}

/// No move: the configuration is the one before, or differs in its `ok` alone.
const STAY: Move = Move {
    event: NO,
    op: NO,
    unseen: NO,
};

impl<M: Mask> Depth<M> {
    pub fn new(field: &mut Field) -> Depth<M> {
        let board = Board::new(field);
        let config = board.first(field);
        Depth {
            board,
            memo: Memo::new(),
            waiting: vec![Waiting {
                event: 0,
                config,
                length: 0,
                step: STAY,
            }],
            way: Vec::new(),
            branches: Vec::new(),
            visited: 0,
            deepest: 0,
        }
    }

    /// Go on until so many configurations were visited.
    pub fn run(
        &mut self,
        field: &mut Field,
        until: u64,
        meter: &mut Meter,
    ) -> Result<Option<Found>, Stop> {
        let last = field.problem.len();
        while self.visited < until {
            let Some(next) = self.waiting.pop() else {
                return Ok(Some(Found::Illegal(
                    self.deepest.max(self.board.farthest) as u32
                )));
            };
            self.way.truncate(next.length as usize);
            if next.step != STAY {
                self.way.push(next.step);
            }
            let (mut event, mut config) = (next.event as usize, next.config);
            while self.is_new(field, event, &config, meter)? {
                if event == last {
                    return Ok(Some(Found::Legal(std::mem::take(&mut self.way))));
                }
                let Some(after) = self.step(field, event, config) else {
                    break;
                };
                (event, config) = after;
            }
        }
        Ok(None)
    }

    fn is_new(
        &mut self,
        field: &mut Field,
        event: usize,
        config: &Config<M>,
        meter: &mut Meter,
    ) -> Result<bool, Stop> {
        meter.ticks(1 + field.table.take_work())?;
        field.table.holds()?;
        let place = event as u32 * 2 + u32::from(is_committed(field, event, config));
        let added = self
            .memo
            .add(place, config, &field.spent, false, meter.budget())?;
        if added.is_some() {
            self.visited += 1;
            self.deepest = self.deepest.max(event);
        }
        Ok(added.is_some())
    }

    /// The next configuration on the way; the others wait.
    fn step(
        &mut self,
        field: &mut Field,
        event: usize,
        mut config: Config<M>,
    ) -> Option<(usize, Config<M>)> {
        let gate = field.problem.is_gate(event);
        let passes = gate || config.ok.has(field.problem.slot[event]);
        if passes && !gate {
            let slot = field.problem.slot[event];
            if config.avail.has(slot) {
                self.board.seek(field, event);
                if self.board.may_commit(field, &config) {
                    let mut committed = config.clone();
                    committed.ok.drop(slot);
                    self.wait(field, event, committed, STAY);
                }
            }
        }
        if gate || !passes {
            self.board.seek(field, event);
            let mut branches = std::mem::take(&mut self.branches);
            self.board.branches(field, &config, &mut branches);
            let best = if gate { None } else { branches.pop() };
            for (step, next) in branches.drain(..) {
                self.wait(field, event, next, step);
            }
            self.branches = branches;
            if !gate {
                let (step, next) = best?;
                self.way.push(step);
                return Some((event, next));
            }
        }
        pass(field, event, &mut config);
        Some((event + 1, config))
    }

    fn wait(&mut self, field: &mut Field, event: usize, config: Config<M>, step: Move) {
        let (length, capacity) = (self.waiting.len(), self.waiting.capacity());
        let size = std::mem::size_of::<Waiting<M>>();
        if !field.table.doubles(length, capacity, size) {
            return;
        }
        self.waiting.push(Waiting {
            event: event as u32,
            config,
            length: self.way.len() as u32,
            step,
        });
    }
}
