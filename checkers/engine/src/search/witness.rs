//! From the way of a search to an order of rows: what was done unseen, and the reads, get their
//! places.

use super::ahead::Ahead;
use super::field::{Move, OPTIONAL};
use super::problem::Problem;
use super::table::{Table, NO};

struct Replay<'t, 'a, 'p> {
    table: &'t mut Table<'a>,
    problem: &'p Problem,
    state: u32,
    /// Open operations that are not placed yet, in order of their returns.
    open: Vec<u32>,
    /// Operation -> it takes effect visibly, later or earlier.
    seen: Vec<bool>,
    spent: Vec<usize>,
    order: Vec<u32>,
    /// What only adds can stand before what sets the state anew (`ahead`).
    adds: bool,
}

/// The rows in the order of the way.
pub fn order(table: &mut Table, problem: &Problem, way: &[Move]) -> Vec<u32> {
    let mut seen = vec![false; problem.len()];
    for step in way {
        if step.op & OPTIONAL == 0 {
            seen[step.op as usize] = true;
        }
    }
    let mut replay = Replay {
        state: table.initial,
        problem,
        open: Vec::new(),
        seen,
        spent: vec![0; problem.optional.len()],
        order: Vec::new(),
        adds: Ahead::new(table, problem).adds,
        table,
    };
    let mut next = 0;
    for event in 0..problem.len() {
        for &op in problem.arrivals(event) {
            let at = replay.open.partition_point(|&other| other < op);
            replay.open.insert(at, op);
        }
        replay.reads();
        while let Some(step) = way.get(next).filter(|step| step.event as usize == event) {
            replay.step(step);
            next += 1;
        }
        debug_assert!(
            !replay.open.contains(&(event as u32)),
            "an operation has no place"
        );
    }
    replay.order
}

impl Replay<'_, '_, '_> {
    fn step(&mut self, step: &Move) {
        let class = if step.op & OPTIONAL == 0 {
            self.problem.class[step.op as usize]
        } else {
            self.problem.optional[(step.op & !OPTIONAL) as usize].class
        };
        let kind = self.table.kinds[class as usize];
        if step.unseen != NO && !self.seen[step.unseen as usize] {
            self.place(step.unseen);
        }
        if kind.overwrites() {
            let (table, problem, seen, adds) = (&self.table, self.problem, &self.seen, self.adds);
            let unseen: Vec<u32> = self
                .open
                .iter()
                .copied()
                .filter(|&op| {
                    let class = problem.class[op as usize];
                    let kind = table.kinds[class as usize];
                    (kind.overwrites() || (adds && kind.adds)) && !seen[op as usize]
                })
                .collect();
            for op in unseen {
                self.place(op);
            }
        }
        if step.op & OPTIONAL == 0 {
            self.place(step.op);
        } else {
            let at = (step.op & !OPTIONAL) as usize;
            // Those of one class are spent in the order of their invocations.
            if let Some(&row) = self.problem.optional[at].rows.get(self.spent[at]) {
                self.spent[at] += 1;
                self.order.push(row);
            }
        }
        self.state = self.table.step(self.state, class);
        self.reads();
    }

    fn place(&mut self, op: u32) {
        let before = self.open.len();
        self.open.retain(|&other| other != op);
        if self.open.len() < before {
            self.order.push(self.problem.row[op as usize]);
        }
    }

    /// Reads that fit the state.
    fn reads(&mut self) {
        let fits: Vec<u32> = self
            .open
            .iter()
            .copied()
            .filter(|&op| {
                let class = self.problem.class[op as usize];
                self.table.kinds[class as usize].pure && self.table.step(self.state, class) != NO
            })
            .collect();
        for op in fits {
            self.place(op);
        }
    }
}
