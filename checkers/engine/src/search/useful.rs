//! Which optional classes can make a difference at all, and which can lead to one state only.
//!
//! An optional operation whose state nothing can tell, but for other optional operations after
//! which the same holds, might as well never happen: it is left out.

use rustc_hash::{FxHashMap, FxHashSet};

use super::table::{Table, NO};
use crate::budget::{Meter, Stop};

/// Transitions that are tried; beyond, all optional classes stay.
const STEPS_MAX: usize = 100_000;
/// States, beside two for each class: an object that is written over has no more. What is appended
/// to has states without end, each longer than the one before.
const FEW_STATES: usize = 64;

pub struct Useful {
    /// In the order of the optional classes: it can make a difference.
    pub useful: Vec<bool>,
    /// Optional class that looks at the state -> the only state that it can lead to.
    pub lead: FxHashMap<u32, u32>,
}

struct Closure {
    /// States that an operation which must happen can tell.
    told: FxHashSet<u32>,
    /// (before, class, after) of optional operations that look at the state.
    edges: Vec<(u32, u32, u32)>,
}

pub fn find(
    table: &mut Table,
    needed: &FxHashSet<u32>,
    optional: &[u32],
    meter: &mut Meter,
) -> Result<Useful, Stop> {
    let everything = || Useful {
        useful: vec![true; optional.len()],
        lead: FxHashMap::default(),
    };
    let Some(Closure { mut told, edges }) = close(table, needed, optional, meter)? else {
        return Ok(everything());
    };
    let mut before: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for &(from, _, to) in &edges {
        before.entry(to).or_default().push(from);
    }
    let mut ahead: Vec<u32> = told.iter().copied().collect();
    while let Some(state) = ahead.pop() {
        for &from in before.get(&state).into_iter().flatten() {
            if told.insert(from) {
                ahead.push(from);
            }
        }
    }
    let mut lead: FxHashMap<u32, u32> = FxHashMap::default();
    let mut useful_ones: FxHashSet<u32> = FxHashSet::default();
    for &(_, class, to) in &edges {
        let only = *lead.entry(class).or_insert(to);
        if only != to {
            lead.insert(class, NO);
        }
        if told.contains(&to) {
            useful_ones.insert(class);
        }
    }
    let useful = optional
        .iter()
        .map(|class| {
            let kind = table.kinds[*class as usize];
            if kind.overwrites() {
                told.contains(&kind.after)
            } else {
                useful_ones.contains(class)
            }
        })
        .collect();
    Ok(Useful { useful, lead })
}

/// All states that can be reached, and what happens in them; `None` where they are too many.
fn close(
    table: &mut Table,
    needed: &FxHashSet<u32>,
    optional: &[u32],
    meter: &mut Meter,
) -> Result<Option<Closure>, Stop> {
    let is_optional: FxHashSet<u32> = optional.iter().copied().collect();
    let mut all: Vec<u32> = needed.union(&is_optional).copied().collect();
    all.sort_unstable();
    let mut by_need: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    let mut anywhere: Vec<u32> = Vec::new();
    let mut seen: FxHashSet<u32> = FxHashSet::from_iter([table.initial]);
    let mut ahead = vec![table.initial];
    for &class in &all {
        let kind = table.kinds[class as usize];
        if kind.overwrites() {
            if seen.insert(kind.after) {
                ahead.push(kind.after);
            }
        } else if kind.need != NO {
            by_need.entry(kind.need).or_default().push(class);
        } else if !kind.blind {
            anywhere.push(class);
        }
    }
    let mut closure = Closure {
        told: FxHashSet::default(),
        edges: Vec::new(),
    };
    let mut steps = 0;
    while let Some(state) = ahead.pop() {
        let here = by_need.get(&state).map_or(&[][..], Vec::as_slice);
        steps += anywhere.len();
        if steps > STEPS_MAX || seen.len() > FEW_STATES + 2 * all.len() {
            return Ok(None);
        }
        for &class in here.iter().chain(&anywhere) {
            meter.tick()?;
            let after = table.step(state, class);
            if after == NO {
                continue;
            }
            if is_optional.contains(&class) {
                closure.edges.push((state, class, after));
            }
            if needed.contains(&class) {
                closure.told.insert(state);
            }
            if seen.insert(after) {
                ahead.push(after);
            }
        }
    }
    Ok(Some(closure))
}
