//! Counters whose additions are all alike: windows for the steps, and for each step the addition
//! that has to be over first.
//!
//! With every addition the same, a read says how many came before it, and so bounds the steps
//! (`ladder.rs`). Additions are given to the steps in order, to each the one with the earliest
//! return among those that have begun before the step's `high`; it must not be over before the
//! step's `low`. Exchange: where an order gives step `k` another one that may be there, the two
//! may change places, for both bounds of the steps only grow. What is left over has to be possible
//! behind the last level that was seen; an addition that never returned need not take place.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::budget::{Meter, Stop};
use crate::fast::cut::Cut;
use crate::fast::found::{self, Found};
use crate::fast::ladder::Ladder;
use crate::history::{History, OPEN};
use crate::model::Fast;
use crate::planted;
use crate::split::Object;

/// What a row says of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label {
    Add(i64),
    /// Only of what has returned.
    Read(i64),
    Nothing,
}

/// Judge a counter. `None` where additions are not all alike.
pub fn judge(
    history: &History,
    object: &Object,
    initial: i64,
    label: impl Fn(u32, bool) -> Label,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    found::judge("counter-windows", history, object, meter, |cut, meter| {
        find(cut, initial, &label, meter)
    })
}

/// Additions as (invocation, return, row), and reads as (level, row).
struct Parts {
    adds: Vec<(u32, u32, u32)>,
    reads: Vec<(usize, u32)>,
    /// What says and changes nothing.
    silent: Vec<u32>,
}

/// Err is the answer already.
fn parts(
    cut: Cut,
    initial: i64,
    label: &impl Fn(u32, bool) -> Label,
    meter: &mut Meter,
) -> Result<Result<Parts, Found>, Stop> {
    let mut size = 0;
    let mut adds = Vec::new();
    let mut seen = Vec::new();
    let mut silent = Vec::new();
    for &row in cut.rows {
        meter.tick()?;
        if cut.failed(row) {
            continue;
        }
        match label(row, cut.known(row)) {
            Label::Nothing | Label::Add(0) => silent.extend(cut.known(row).then_some(row)),
            Label::Add(more) if size == 0 || size == more => {
                size = more;
                adds.push((cut.inv(row), cut.end(row), row));
            }
            Label::Add(_) => return Ok(Err(Found::Unsure)),
            Label::Read(sum) => seen.push((i128::from(sum) - i128::from(initial), row)),
        }
    }
    let mut reads = Vec::with_capacity(seen.len());
    for (sum, row) in seen {
        let size = i128::from(if size == 0 { 1 } else { size });
        let level = sum / size;
        if sum % size != 0 || level < 0 || level > adds.len() as i128 {
            return Ok(Err(Found::Illegal(vec![row])));
        }
        reads.push((level as usize, row));
    }
    Ok(Ok(Parts {
        adds,
        reads,
        silent,
    }))
}

fn find(
    cut: Cut,
    initial: i64,
    label: &impl Fn(u32, bool) -> Label,
    meter: &mut Meter,
) -> Result<Found, Stop> {
    meter.budget().fits(cut.rows.len().saturating_mul(64))?;
    let Parts {
        adds,
        reads,
        silent,
    } = match parts(cut, initial, label, meter)? {
        Ok(parts) => parts,
        Err(found) => return Ok(found),
    };
    let top = reads.iter().map(|read| read.0).max().unwrap_or(0);
    let mut ladder = Ladder::new(top + 1);
    for &(level, row) in &reads {
        ladder.within(level, level, row, cut.inv(row), cut.end(row));
    }
    if let Err(rows) = ladder.settle() {
        return Ok(Found::Illegal(rows.to_vec()));
    }
    // What waits for a step: (return, invocation, row), the earliest return first.
    let mut waiting: BinaryHeap<Reverse<(u32, u32, u32)>> = BinaryHeap::new();
    let mut coming = adds.into_iter().peekable();
    let mut made: Vec<(u32, u32)> = Vec::with_capacity(top);
    for step in 0..top {
        meter.tick()?;
        let high = ladder.high(step);
        while let Some((inv, ret, row)) = coming.next_if(|add| add.0 < high) {
            waiting.push(Reverse((ret, inv, row)));
        }
        match waiting.pop() {
            Some(Reverse((ret, inv, row)))
                if planted!("counter-window-open", ret >= ladder.low(step), true) =>
            {
                made.push((inv, row));
            }
            _ => return Ok(Found::Illegal(ladder.bounds(step))),
        }
    }
    let rest: Vec<(u32, u32, u32)> = waiting
        .into_iter()
        .map(|Reverse((ret, inv, row))| (inv, ret, row))
        .chain(coming)
        .filter(|&(_, ret, _)| ret != OPEN)
        .collect();
    if let Some(&(_, _, row)) = rest.iter().find(|&&(_, ret, _)| ret < ladder.low(top)) {
        let mut rows = ladder.bounds(top);
        rows.push(row);
        return Ok(Found::Illegal(rows));
    }
    for (step, &(inv, row)) in made.iter().enumerate() {
        ladder.after(step, row, inv);
    }
    // The order exists: this only moves the steps behind the invocations of what makes them.
    if ladder.settle().is_err() {
        return Ok(Found::Unsure);
    }
    for (step, (_, row)) in made.into_iter().enumerate() {
        ladder.make(step, row);
    }
    for (level, row) in reads {
        ladder.stand(level, row, cut.inv(row));
    }
    for row in silent {
        ladder.stand(0, row, cut.inv(row));
    }
    for (inv, _, row) in rest {
        ladder.end(row, inv);
    }
    Ok(Found::Legal(ladder.rows()))
}
