//! Whether anybody can tell an update that takes effect at the last moment: rule (e) of `board`.
//!
//! Its state lasts at most until the first return of a blind update that was invoked after its own
//! return: by then that one has taken effect, seen or unseen, and overwritten it. Who is invoked
//! later cannot tell.

use super::problem::Problem;
use super::table::{Table, NO};

pub struct Demand {
    /// Event -> the first return of a blind update that arrives there or later.
    cover: Vec<u32>,
    /// State -> where the events begin in `events` at which an operation arrives that is legal
    /// there alone.
    starts: Vec<u32>,
    events: Vec<u32>,
    /// The same for operations that can be legal in several states.
    anywhere: Vec<u32>,
    built: bool,
    /// Operation -> 0 not asked yet, 1 no, 2 yes.
    known: Vec<u8>,
}

impl Demand {
    pub fn new(problem: &Problem) -> Demand {
        Demand {
            cover: Vec::new(),
            starts: Vec::new(),
            events: Vec::new(),
            anywhere: Vec::new(),
            built: false,
            known: vec![0; problem.len()],
        }
    }

    /// Somebody who arrives after the return of `op` may tell that it led to the state `after`.
    pub fn later(&mut self, table: &Table, problem: &Problem, op: u32, after: u32) -> bool {
        let at = op as usize;
        if self.known[at] == 0 {
            if !self.built {
                self.build(table, problem);
            }
            self.known[at] = 1 + u8::from(self.find(table, problem, op, after));
        }
        self.known[at] == 2
    }

    fn find(&self, table: &Table, problem: &Problem, op: u32, after: u32) -> bool {
        let until = self.cover.get(op as usize + 1).copied().unwrap_or(NO);
        let within = |list: &[u32]| {
            let next = list.partition_point(|&event| event <= op);
            list.get(next).is_some_and(|&event| event <= until)
        };
        let state = after as usize;
        if state + 1 < self.starts.len() {
            let range = self.starts[state] as usize..self.starts[state + 1] as usize;
            if within(&self.events[range]) {
                return true;
            }
        }
        within(&self.anywhere)
            || problem.optional.iter().any(|optional| {
                let kind = table.kinds[optional.class as usize];
                let early = optional.first.first().is_some_and(|&first| first <= until);
                !kind.blind && early && (kind.need == NO || kind.need == after)
            })
    }

    fn build(&mut self, table: &Table, problem: &Problem) {
        self.built = true;
        let events = problem.len();
        self.cover = vec![NO; events + 1];
        let mut counts = vec![0u32; table.states() + 1];
        for event in (0..events).rev() {
            let mut first = self.cover[event + 1];
            for &op in problem.arrivals(event) {
                let kind = table.kinds[problem.class[op as usize] as usize];
                if kind.overwrites() {
                    first = first.min(op);
                } else if !kind.blind && kind.need != NO {
                    counts[kind.need as usize + 1] += 1;
                }
            }
            self.cover[event] = first;
        }
        for at in 1..counts.len() {
            counts[at] += counts[at - 1];
        }
        let mut next = counts.clone();
        self.events = vec![0; counts.last().map_or(0, |&all| all as usize)];
        for event in 0..events {
            for &op in problem.arrivals(event) {
                let kind = table.kinds[problem.class[op as usize] as usize];
                if kind.blind {
                    continue;
                }
                if kind.need == NO {
                    self.anywhere.push(event as u32);
                } else {
                    let place = &mut next[kind.need as usize];
                    self.events[*place as usize] = event as u32;
                    *place += 1;
                }
            }
        }
        self.starts = counts;
    }
}
