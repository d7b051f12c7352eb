//! The general search: any model, any history, exponential in what is open at once.
//!
//! Wing and Gong's search with Lowe's memory, over events: the rules that keep it small are told in
//! `board`. It goes depth first and breadth first in turns, each time for twice as long: depth
//! first finds an order soon where there is one, breadth first is soon done where there is none.
//! The turns are counted in configurations, so that the answer and its order of rows are the same
//! on every machine.

mod ahead;
pub mod board;
mod breadth;
mod demand;
mod depth;
pub mod field;
mod local;
pub mod mask;
mod memo;
mod prepass;
pub mod problem;
pub mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_adds;
#[cfg(test)]
mod tests_bounds;
mod used;
mod useful;
mod witness;

use crate::budget::{Budget, Meter, Stop};
use crate::check::Options;
use crate::history::{History, OPEN};
use crate::model::Model;
use crate::split::Object;
use crate::verdict::{Answer, Core, Keyed};

use breadth::Breadth;
use depth::Depth;
use field::{Config, Field, Move};
use local::Local;
use mask::{Mask, Wide};
use problem::Problem;
use table::Table;

/// Configurations of the first turn, and how many more for each event: a legal history with few
/// operations open at once needs one or two for each.
const FIRST: u64 = 1_000;
const FIRST_PER_EVENT: u64 = 4;

/// What a search found.
pub enum Found {
    /// The way to the end.
    Legal(Vec<Move>),
    /// No way passes this event.
    Illegal(u32),
}

/// Which searches run: for tests, and for the turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    Race,
    Depth,
    Breadth,
}

/// How it ended, and how far it came.
pub struct Outcome {
    pub found: Result<Found, Stop>,
    /// So many events can be passed.
    pub passed: usize,
    pub visited: u64,
}

/// Judge one object.
pub fn search(
    history: &History,
    model: &dyn Model,
    object: &Object,
    options: &Options,
    budget: &Budget,
    configurations: u64,
) -> Keyed {
    let mut meter = budget.meter();
    let mut keyed = Keyed {
        key: object.key,
        algorithm: "search",
        answer: Answer::Unknown {
            why: Stop::Memory,
            proven: 0,
            returns: 0,
        },
        visited: 0,
    };
    let mut table = Table::new(model, history, budget);
    let made = Problem::new(&mut table, &object.rows, &[], OPEN, &mut meter);
    let problem = match made.and_then(|made| table.holds().map(|()| made)) {
        Ok(problem) => problem,
        Err(why) => {
            keyed.answer = unknown(why, 0, 0);
            return keyed;
        }
    };
    if options.prepass {
        match prepass::unwritten(&table, &problem, &mut meter) {
            Ok(None) => {}
            Ok(Some(event)) => {
                keyed.algorithm = "unwritten-value";
                keyed.answer = illegal(&problem, event, vec![problem.row[event]]);
                return keyed;
            }
            Err(why) => {
                keyed.answer = unknown(why, 0, problem.len());
                return keyed;
            }
        }
    }
    let mut field = Field::new(&mut table, &problem);
    let outcome = run(
        &mut field,
        configurations,
        Order::Race,
        false,
        Some(&object.rows),
        &mut meter,
    );
    keyed.visited = outcome.visited;
    keyed.answer = match outcome.found {
        Ok(Found::Legal(way)) => Answer::Legal(witness::order(field.table, &problem, &way)),
        Ok(Found::Illegal(event)) => illegal(&problem, event as usize, Vec::new()),
        Err(why) => unknown(why, outcome.passed, problem.len()),
    };
    keyed
}

fn unknown(why: Stop, proven: usize, returns: usize) -> Answer {
    Answer::Unknown {
        why,
        proven: proven as u32,
        returns: returns as u32,
    }
}

fn illegal(problem: &Problem, event: usize, rows: Vec<u32>) -> Answer {
    // A problem without free classes has no gates.
    Answer::Illegal(Core {
        blocked: problem.row[event],
        rows,
    })
}

/// Search a problem. `wide`: with masks of any width even where a word would do.
pub fn decide(
    field: &mut Field,
    configurations: u64,
    order: Order,
    wide: bool,
    meter: &mut Meter,
) -> Outcome {
    run(field, configurations, order, wide, None, meter)
}

/// `rows`: those of the object, where a proof from the surroundings is to be tried as well.
fn run(
    field: &mut Field,
    configurations: u64,
    order: Order,
    wide: bool,
    rows: Option<&[u32]>,
    meter: &mut Meter,
) -> Outcome {
    let mut outcome = Outcome {
        found: Err(Stop::Configurations),
        passed: 0,
        visited: 0,
    };
    let found = if field.problem.slots <= 64 && !wide {
        Race::<u64>::new(rows).run(field, configurations, order, &mut outcome, meter)
    } else {
        Race::<Wide>::new(rows).run(field, configurations, order, &mut outcome, meter)
    };
    outcome.found = found.and_then(|found| found.ok_or(Stop::Configurations));
    outcome
}

/// The searches in turns.
struct Race<'r, M> {
    depth: Option<Depth<M>>,
    breadth: Option<Breadth<M>>,
    local: Option<Local<'r>>,
}

impl<'r, M: Mask> Race<'r, M> {
    fn new(rows: Option<&'r [u32]>) -> Race<'r, M> {
        Race {
            depth: None,
            breadth: None,
            local: rows.map(Local::new),
        }
    }

    fn run(
        &mut self,
        field: &mut Field,
        configurations: u64,
        order: Order,
        outcome: &mut Outcome,
        meter: &mut Meter,
    ) -> Result<Option<Found>, Stop> {
        let mut share = FIRST + FIRST_PER_EVENT * field.problem.len() as u64;
        let mut found = None;
        let mut turn = 0;
        while found.is_none() {
            let left = configurations.saturating_sub(outcome.visited);
            if left == 0 {
                break;
            }
            let most = share.min(left);
            let before = outcome.visited;
            found = match (order, turn % 3) {
                (Order::Depth, _) | (Order::Race, 0) => {
                    self.go_deep(field, most, outcome, meter)?
                }
                (Order::Race, 1) => self.look_around(field, most, outcome, meter)?,
                _ => self.go_broad(field, most, outcome, meter)?,
            };
            field.table.holds()?;
            let progress = &meter.budget().progress().configurations;
            progress.fetch_add(
                outcome.visited - before,
                std::sync::atomic::Ordering::Relaxed,
            );
            turn += 1;
            if order != Order::Race || turn % 3 == 0 {
                share = share.saturating_mul(2);
            }
        }
        Ok(found)
    }

    fn go_deep(
        &mut self,
        field: &mut Field,
        most: u64,
        outcome: &mut Outcome,
        meter: &mut Meter,
    ) -> Result<Option<Found>, Stop> {
        let depth = self.depth.get_or_insert_with(|| Depth::new(field));
        let before = depth.visited;
        let found = depth.run(field, before + most, meter);
        outcome.visited += depth.visited - before;
        outcome.passed = outcome.passed.max(depth.deepest);
        found
    }

    fn go_broad(
        &mut self,
        field: &mut Field,
        most: u64,
        outcome: &mut Outcome,
        meter: &mut Meter,
    ) -> Result<Option<Found>, Stop> {
        let breadth = match &mut self.breadth {
            Some(breadth) => breadth,
            none => none.insert(Breadth::new(field, meter)?),
        };
        let before = breadth.visited;
        let found = breadth.run(field, before + most, meter);
        outcome.visited += breadth.visited - before;
        outcome.passed = outcome.passed.max(breadth.event);
        found
    }

    fn look_around(
        &mut self,
        field: &mut Field,
        most: u64,
        outcome: &mut Outcome,
        meter: &mut Meter,
    ) -> Result<Option<Found>, Stop> {
        let Some(local) = &mut self.local else {
            return Ok(None);
        };
        let before = local.visited;
        let event = outcome.passed;
        let proves = local.proves(field.table, field.problem, event, most, meter);
        outcome.visited += local.visited - before;
        Ok(proves?.then_some(Found::Illegal(event as u32)))
    }
}

/// The operation of the event is an update that still must happen.
fn is_committed<M: Mask>(field: &Field, event: usize, config: &Config<M>) -> bool {
    if event >= field.problem.len() || field.problem.is_gate(event) {
        return false;
    }
    let kind = field.table.kinds[field.problem.class[event] as usize];
    !kind.pure && !config.ok.has(field.problem.slot[event])
}
