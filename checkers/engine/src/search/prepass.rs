//! Reads of what nobody can have written, found in one pass.
//!
//! An operation that is legal in one state alone needs somebody who leads to that state and was
//! invoked before it returned. Every operation that may happen counts, whatever it needs itself: so
//! a read without one is illegal in every order.

use super::problem::Problem;
use super::table::{Table, NO};
use crate::budget::{Meter, Stop};

/// The first event whose operation nobody can have prepared; `None` where there is none, or where
/// the model does not say to which states its operations lead.
pub fn unwritten(
    table: &Table,
    problem: &Problem,
    meter: &mut Meter,
) -> Result<Option<usize>, Stop> {
    // State -> the first event at which somebody who leads to it is there.
    let mut first = vec![NO; table.states()];
    first[table.initial as usize] = 0;
    let mut lead = |class: u32, event: u32| {
        let kind = table.kinds[class as usize];
        if kind.pure {
            return true;
        }
        if kind.after == NO {
            // Legal nowhere, or to be asked state by state.
            return kind.need != NO;
        }
        let known = &mut first[kind.after as usize];
        *known = (*known).min(event);
        true
    };
    for event in 0..problem.len() {
        meter.tick()?;
        for &op in problem.arrivals(event) {
            if !lead(problem.class[op as usize], event as u32) {
                return Ok(None);
            }
        }
    }
    for optional in &problem.optional {
        let event = optional.first.first().copied().unwrap_or(NO);
        if !lead(optional.class, event) {
            return Ok(None);
        }
    }
    for event in 0..problem.len() {
        meter.tick()?;
        if problem.is_gate(event) {
            continue;
        }
        let kind = table.kinds[problem.class[event] as usize];
        if kind.need != NO && first[kind.need as usize] > event as u32 {
            return Ok(Some(event));
        }
    }
    Ok(None)
}
