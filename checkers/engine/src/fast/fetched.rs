//! Counters whose additions say the sum that they found: the results are the order.
//!
//! With every addition above zero, sums only grow, and no two additions find the same one. In the
//! order of what they found they must follow without a gap; where all are alike, a gap is filled by
//! additions that never returned, the earliest invocation first: as the bounds of the steps only
//! grow (`ladder.rs`), another order of them is never better.

use crate::budget::{Meter, Stop};
use crate::fast::cut::Cut;
use crate::fast::found::{self, Found};
use crate::fast::ladder::Ladder;
use crate::history::History;
use crate::model::Fast;
use crate::planted;
use crate::split::Object;

/// What a row says of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label {
    /// So much was added to this sum, where it is known.
    Add(i64, Option<i64>),
    /// Only of what has returned.
    Read(i64),
    Nothing,
}

/// Judge a counter. `None` where an addition is not above zero, or one that is over does not say
/// what it found, or one that never returned leaves the order open.
pub fn judge(
    history: &History,
    object: &Object,
    initial: i64,
    label: impl Fn(u32, bool) -> Label,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    found::judge("server-order", history, object, meter, |cut, meter| {
        find(cut, initial, &label, meter)
    })
}

struct Parts {
    /// (sum before, sum after, row), in order.
    known: Vec<(i128, i128, u32)>,
    /// Additions that never returned.
    lost: Vec<u32>,
    reads: Vec<(i128, u32)>,
    /// Reads that say nothing.
    silent: Vec<u32>,
    /// What each addition adds, where all are alike.
    size: Option<i128>,
}

/// `None`: the condition does not hold.
fn parts(
    cut: Cut,
    initial: i64,
    label: &impl Fn(u32, bool) -> Label,
    meter: &mut Meter,
) -> Result<Option<Parts>, Stop> {
    let mut parts = Parts {
        known: Vec::new(),
        lost: Vec::new(),
        reads: Vec::new(),
        silent: Vec::new(),
        size: None,
    };
    let mut alike = true;
    for &row in cut.rows {
        meter.tick()?;
        if cut.failed(row) {
            continue;
        }
        match label(row, cut.known(row)) {
            Label::Nothing => parts.silent.extend(cut.known(row).then_some(row)),
            Label::Read(sum) => parts
                .reads
                .push((i128::from(sum) - i128::from(initial), row)),
            Label::Add(more, _) if more <= 0 => return Ok(None),
            Label::Add(more, found) => {
                let more = i128::from(more);
                alike &= parts.size.is_none_or(|size| size == more);
                parts.size = Some(more);
                match found {
                    Some(found) => {
                        let found = i128::from(found) - i128::from(initial);
                        parts.known.push((found, found + more, row));
                    }
                    None if cut.known(row) => return Ok(None),
                    None => parts.lost.push(row),
                }
            }
        }
    }
    if !alike {
        parts.size = None;
    }
    parts.known.sort_unstable();
    Ok(Some(parts))
}

/// The order of the additions: a row for each step, `None` where one that never returned has to
/// stand, and the sum after each step.
struct Order {
    steps: Vec<Option<u32>>,
    sums: Vec<i128>,
}

/// Fill gaps up to a sum. Err is the answer already.
fn fill(order: &mut Order, parts: &Parts, to: i128, row: u32) -> Result<(), Found> {
    let at = order.sums.last().copied().unwrap_or(0);
    if to == at {
        return Ok(());
    }
    if to < at || parts.lost.is_empty() {
        return Err(Found::Illegal(vec![row]));
    }
    let Some(size) = parts.size else {
        return Err(Found::Unsure);
    };
    let steps = (to - at) / size;
    let left = parts.lost.len() - order.steps.iter().filter(|step| step.is_none()).count();
    if (to - at) % size != 0 || steps > left as i128 {
        return Err(Found::Illegal(vec![row]));
    }
    for step in 1..=steps {
        order.steps.push(None);
        order.sums.push(at + step * size);
    }
    Ok(())
}

fn chain(parts: &Parts) -> Result<Order, Found> {
    let mut order = Order {
        steps: Vec::with_capacity(parts.known.len()),
        sums: Vec::with_capacity(parts.known.len()),
    };
    let mut last = u32::MAX;
    for &(from, to, row) in &parts.known {
        if from < order.sums.last().copied().unwrap_or(0) {
            let rows = [last, row].into_iter().filter(|&row| row != u32::MAX);
            return Err(Found::Illegal(rows.collect()));
        }
        fill(&mut order, parts, from, row)?;
        order.steps.push(Some(row));
        order.sums.push(to);
        last = row;
    }
    if let Some(&(sum, row)) = parts.reads.iter().max() {
        if sum > order.sums.last().copied().unwrap_or(0) {
            fill(&mut order, parts, sum, row)?;
        }
    }
    Ok(order)
}

fn find(
    cut: Cut,
    initial: i64,
    label: &impl Fn(u32, bool) -> Label,
    meter: &mut Meter,
) -> Result<Found, Stop> {
    meter.budget().fits(cut.rows.len().saturating_mul(160))?;
    let Some(parts) = parts(cut, initial, label, meter)? else {
        return Ok(Found::Unsure);
    };
    let mut order = match chain(&parts) {
        Ok(order) => order,
        Err(found) => return Ok(found),
    };
    let mut lost = parts.lost.iter();
    for step in order.steps.iter_mut().filter(|step| step.is_none()) {
        *step = lost.next().copied();
    }
    let mut ladder = Ladder::new(order.steps.len() + 1);
    for (step, row) in order.steps.iter().enumerate() {
        meter.tick()?;
        if let Some(row) = *row {
            ladder.after(step, row, cut.inv(row));
            let end = planted!("fetched-no-deadline", cut.end(row), crate::history::OPEN);
            ladder.before(step, row, end);
        }
    }
    let mut levels = Vec::with_capacity(parts.reads.len());
    for &(sum, row) in &parts.reads {
        meter.tick()?;
        let level = match sum {
            0 => 0,
            _ => match order.sums.binary_search(&sum) {
                Ok(step) => step + 1,
                // A sum that never was there: additions above zero leave no other order.
                Err(_) if parts.size.is_none() && !parts.lost.is_empty() => {
                    return Ok(Found::Unsure)
                }
                Err(_) => return Ok(Found::Illegal(vec![row])),
            },
        };
        ladder.within(level, level, row, cut.inv(row), cut.end(row));
        levels.push((level, row));
    }
    if let Err(rows) = ladder.settle() {
        return Ok(Found::Illegal(rows.to_vec()));
    }
    for (step, row) in order.steps.iter().enumerate() {
        if let Some(row) = *row {
            ladder.make(step, row);
        }
    }
    for (level, row) in levels {
        ladder.stand(level, row, cut.inv(row));
    }
    for row in parts.silent {
        ladder.stand(0, row, cut.inv(row));
    }
    Ok(Found::Legal(ladder.rows()))
}
