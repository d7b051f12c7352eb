//! Lists that are appended to and read whole, each element appended once: the longest list that was
//! read gives the order, every other one must be its beginning, and a list's length is its level
//! (`ladder.rs`). What was appended and never seen comes behind all that was seen, unless it never
//! returned: then it need not have happened.
//!
//! O(total length of the lists).

use rustc_hash::FxHashMap;

use crate::budget::{Meter, Stop};
use crate::fast::cut::Cut;
use crate::fast::found::{self, Found};
use crate::fast::ladder::Ladder;
use crate::history::History;
use crate::model::Fast;
use crate::planted;
use crate::split::Object;
use crate::values::Val;

/// What a row says of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label<'a> {
    Append(Val),
    /// Only of what has returned.
    Read(&'a [Val]),
    Nothing,
}

/// Judge a list. `None` where an element is appended twice.
pub fn judge<'a>(
    history: &'a History,
    object: &Object,
    label: impl Fn(u32, bool) -> Label<'a>,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    found::judge("prefix-levels", history, object, meter, |cut, meter| {
        find(cut, &label, meter)
    })
}

fn find<'a>(
    cut: Cut,
    label: &impl Fn(u32, bool) -> Label<'a>,
    meter: &mut Meter,
) -> Result<Found, Stop> {
    meter.budget().fits(cut.rows.len().saturating_mul(80))?;
    let mut source: FxHashMap<Val, u32> = FxHashMap::default();
    let mut reads: Vec<(&[Val], u32)> = Vec::new();
    let mut silent: Vec<u32> = Vec::new();
    for &row in cut.rows {
        meter.tick()?;
        if cut.failed(row) {
            continue;
        }
        match label(row, cut.known(row)) {
            Label::Nothing => silent.extend(cut.known(row).then_some(row)),
            Label::Append(value) => {
                if source.insert(value, row).is_some() {
                    return Ok(Found::Unsure);
                }
            }
            Label::Read(list) => reads.push((list, row)),
        }
    }
    let mut longest: (&[Val], u32) = (&[], u32::MAX);
    for &(list, row) in &reads {
        if list.len() > longest.0.len() {
            longest = (list, row);
        }
    }
    let (list, by) = longest;
    let mut made = Vec::with_capacity(list.len());
    for value in list {
        match source.remove(value) {
            Some(row) => made.push(row),
            // Nobody appended it, or it is there twice.
            None => return Ok(Found::Illegal(vec![by])),
        }
    }
    if let Some(row) = no_prefix(&reads, list, meter)? {
        return Ok(Found::Illegal(vec![row, by]));
    }
    let mut rest: Vec<u32> = source.into_values().filter(|&row| cut.known(row)).collect();
    rest.sort_unstable();
    let parts = Parts {
        reads,
        made,
        rest,
        silent,
    };
    Ok(order(cut, &parts, by))
}

struct Parts<'a> {
    reads: Vec<(&'a [Val], u32)>,
    /// What was seen, in its order.
    made: Vec<u32>,
    /// What was appended for certain and never seen.
    rest: Vec<u32>,
    /// Reads that say nothing.
    silent: Vec<u32>,
}

/// A read that is not the beginning of the list.
fn no_prefix(
    reads: &[(&[Val], u32)],
    list: &[Val],
    meter: &mut Meter,
) -> Result<Option<u32>, Stop> {
    // The list that was found to be the beginning of this length: equal lists are one slice.
    let mut known: Vec<*const Val> = vec![std::ptr::null(); list.len() + 1];
    for &(read, row) in reads {
        for _ in 0..=read.len() / 64 {
            meter.tick()?;
        }
        let slot = known.get_mut(read.len());
        if slot.as_ref().is_some_and(|slot| **slot == read.as_ptr()) {
            continue;
        }
        if !planted!(
            "prefix-by-last",
            list.starts_with(read),
            list.get(read.len().wrapping_sub(1)) == read.last()
        ) {
            return Ok(Some(row));
        }
        if let Some(slot) = slot {
            *slot = read.as_ptr();
        }
    }
    Ok(None)
}

fn order(cut: Cut, parts: &Parts, by: u32) -> Found {
    let top = parts.made.len();
    let mut ladder = Ladder::new(top + 1);
    for (step, &row) in parts.made.iter().enumerate() {
        ladder.after(step, row, cut.inv(row));
        ladder.before(step, row, cut.end(row));
    }
    for &(list, row) in &parts.reads {
        ladder.within(list.len(), list.len(), row, cut.inv(row), cut.end(row));
    }
    for &row in &parts.rest {
        ladder.before(top, row, cut.end(row));
    }
    if let Err(mut rows) = ladder.settle().map_err(|rows| rows.to_vec()) {
        rows.push(by);
        return Found::Illegal(rows);
    }
    for (step, &row) in parts.made.iter().enumerate() {
        ladder.make(step, row);
    }
    for &(list, row) in &parts.reads {
        ladder.stand(list.len(), row, cut.inv(row));
    }
    for &row in &parts.silent {
        ladder.stand(0, row, cut.inv(row));
    }
    for &row in &parts.rest {
        ladder.end(row, cut.inv(row));
    }
    Found::Legal(ladder.rows())
}
