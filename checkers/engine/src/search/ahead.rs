//! What is still to be read, where updates only add: rule (h) of `board`.
//!
//! Text that is appended to, a set that only grows: what such a state holds, all later ones hold.
//! So an update that leads away from a read which is still to come leads nowhere, unless something
//! sets the state anew before that read returns.

use super::problem::Problem;
use super::table::{Table, NO};

/// Reads still to arrive that are looked at.
pub const READS: usize = 32;
/// Events up to the return of a read that are looked at for what sets the state anew.
const EVENTS: usize = 256;

#[derive(Default)]
pub struct Ahead {
    /// Every update that looks at the state only adds to it, and is legal in every state.
    pub adds: bool,
    /// Reads that tell something, in order of arrival: (event, operation).
    reads: Vec<(u32, u32)>,
}

impl Ahead {
    pub fn new(table: &mut Table, problem: &Problem) -> Ahead {
        let mut ahead = Ahead::default();
        if !table.kinds.iter().any(|kind| kind.adds) {
            return ahead;
        }
        let optional = problem.optional.iter().map(|optional| optional.class);
        let mut classes: Vec<u32> = problem.class.iter().copied().chain(optional).collect();
        classes.sort_unstable();
        classes.dedup();
        classes.retain(|&class| class != NO && !table.kinds[class as usize].pure);
        let sighted = |class: &&u32| !table.kinds[**class as usize].blind;
        if !classes
            .iter()
            .filter(sighted)
            .all(|&class| table.kinds[class as usize].adds)
        {
            return ahead;
        }
        let Some(&one) = classes.iter().find(sighted) else {
            return ahead;
        };
        // What is legal for one of them is so for all, and stays so (`Model::adds`).
        let mut anew: Vec<u32> = classes
            .iter()
            .map(|&class| table.kinds[class as usize])
            .filter(|kind| kind.overwrites())
            .map(|kind| kind.after)
            .collect();
        anew.push(table.initial);
        anew.sort_unstable();
        anew.dedup();
        ahead.adds = anew.into_iter().all(|state| table.step(state, one) != NO);
        for event in 0..problem.len() {
            for &op in problem.arrivals(event) {
                let kind = table.kinds[problem.class[op as usize] as usize];
                if kind.pure && !kind.blind {
                    ahead.reads.push((event as u32, op));
                }
            }
        }
        ahead
    }

    /// The next reads that arrive after the event.
    pub fn next(&self, event: usize) -> &[(u32, u32)] {
        let from = self.reads.partition_point(|&(at, _)| at as usize <= event);
        &self.reads[from..self.reads.len().min(from + READS)]
    }

    /// Something that arrives after the event sets the state anew before the read returns, so that
    /// the read may come after it.
    pub fn anew(&self, table: &Table, problem: &Problem, event: usize, read: u32) -> bool {
        let until = read as usize;
        let class = problem.class[until];
        if until > event + EVENTS {
            return true;
        }
        let sets = |&op: &u32| {
            let kind = table.kinds[problem.class[op as usize] as usize];
            kind.overwrites() && table.may_come(kind.after, NO, class)
        };
        (event + 1..=until).any(|at| problem.arrivals(at).iter().any(sets))
    }
}
