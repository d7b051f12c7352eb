//! Breadth first, event by event: only the configurations that no other one dominates go on. Soon
//! at the end of an illegal history, and it remembers two events and the moves.

use super::board::{Board, Branches};
use super::field::{pass, Config, Field, Move};
use super::mask::Mask;
use super::memo::Memo;
use super::table::NO;
use super::{is_committed, Found};
use crate::budget::{Meter, Stop};

/// A move and the node before it: a way, from its end.
struct Node {
    before: u32,
    step: Move,
}

pub struct Breadth<M> {
    board: Board<M>,
    now: Memo<M>,
    next: Memo<M>,
    /// By what was spent in all, less the least: those of the event that are to be visited, by
    /// their places in `now`, each with its node.
    waiting: Vec<Vec<(u32, u32)>>,
    later: Vec<(u32, u32)>,
    nodes: Vec<Node>,
    branches: Branches<M>,
    pub visited: u64,
    pub event: usize,
}

impl<M: Mask> Breadth<M> {
    pub fn new(field: &mut Field, meter: &mut Meter) -> Result<Breadth<M>, Stop> {
        let board = Board::new(field);
        let config = board.first(field);
        let mut breadth = Breadth {
            board,
            now: Memo::new(),
            next: Memo::new(),
            waiting: Vec::new(),
            later: Vec::new(),
            nodes: Vec::new(),
            branches: Vec::new(),
            visited: 0,
            event: 0,
        };
        breadth.put(field, &config, NO, meter)?;
        Ok(breadth)
    }

    /// Go on until so many configurations were visited.
    pub fn run(
        &mut self,
        field: &mut Field,
        until: u64,
        meter: &mut Meter,
    ) -> Result<Option<Found>, Stop> {
        while self.visited < until {
            let Some((at, node)) = self.pop() else {
                if self.later.is_empty() {
                    return Ok(Some(Found::Illegal(
                        self.event.max(self.board.farthest) as u32
                    )));
                }
                self.turn(field);
                continue;
            };
            if self.now.is_dead(at) {
                continue;
            }
            if self.event == field.problem.len() {
                return Ok(Some(Found::Legal(self.way(node))));
            }
            let config = self.now.config(at).clone();
            self.visit(field, config, node, meter)?;
        }
        Ok(None)
    }

    fn pop(&mut self) -> Option<(u32, u32)> {
        self.waiting.iter_mut().find_map(Vec::pop)
    }

    /// On to the next event.
    fn turn(&mut self, field: &Field) {
        self.event += 1;
        std::mem::swap(&mut self.now, &mut self.next);
        self.next.clear();
        self.waiting.iter_mut().for_each(Vec::clear);
        let mut later = std::mem::take(&mut self.later);
        later.reverse();
        for (at, node) in later.drain(..) {
            let used = self.now.config(at).used;
            self.queue(field.spent.total(used), at, node);
        }
        self.later = later;
    }

    fn queue(&mut self, total: u32, at: u32, node: u32) {
        let total = total as usize;
        if self.waiting.len() <= total {
            self.waiting.resize_with(total + 1, Vec::new);
        }
        self.waiting[total].push((at, node));
    }

    fn visit(
        &mut self,
        field: &mut Field,
        mut config: Config<M>,
        node: u32,
        meter: &mut Meter,
    ) -> Result<(), Stop> {
        self.visited += 1;
        meter.ticks(1 + field.table.take_work())?;
        field.table.holds()?;
        let event = self.event;
        let gate = field.problem.is_gate(event);
        let slot = field.problem.slot[event];
        let passes = gate || config.ok.has(slot);
        self.board.seek(field, event);
        if passes && !gate && config.avail.has(slot) && self.board.may_commit(field, &config) {
            let mut committed = config.clone();
            committed.ok.drop(slot);
            self.put(field, &committed, node, meter)?;
        }
        if gate || !passes {
            let mut branches = std::mem::take(&mut self.branches);
            self.board.branches(field, &config, &mut branches);
            for (step, next) in branches.drain(..) {
                self.grow(meter)?;
                self.nodes.push(Node { before: node, step });
                let id = self.nodes.len() as u32 - 1;
                if !self.put(field, &next, id, meter)? {
                    self.nodes.pop();
                }
            }
            self.branches = branches;
        }
        if passes {
            meter.tick()?;
            pass(field, event, &mut config);
            let place = event as u32 * 2 + 2;
            let place = place + u32::from(is_committed(field, event + 1, &config));
            let budget = meter.budget();
            if let Some(at) = self.next.add(place, &config, &field.spent, true, budget)? {
                self.later.push((at, node));
            }
        }
        Ok(())
    }

    /// Another configuration of the event.
    fn put(
        &mut self,
        field: &Field,
        config: &Config<M>,
        node: u32,
        meter: &mut Meter,
    ) -> Result<bool, Stop> {
        meter.tick()?;
        let place = self.event as u32 * 2 + u32::from(is_committed(field, self.event, config));
        let added = self
            .now
            .add(place, config, &field.spent, true, meter.budget())?;
        if let Some(at) = added {
            self.queue(field.spent.total(config.used), at, node);
        }
        Ok(added.is_some())
    }

    fn grow(&self, meter: &Meter) -> Result<(), Stop> {
        if self.nodes.len() == self.nodes.capacity() && self.nodes.len() > 1000 {
            meter
                .budget()
                .fits(self.nodes.len() * std::mem::size_of::<Node>() * 2)?;
        }
        Ok(())
    }

    fn way(&self, node: u32) -> Vec<Move> {
        let mut way = Vec::new();
        let mut at = node;
        while let Some(node) = self.nodes.get(at as usize) {
            way.push(node.step);
            at = node.before;
        }
        way.reverse();
        way
    }
}
