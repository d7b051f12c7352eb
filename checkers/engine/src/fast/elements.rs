//! One element of a set that is added at most once and removed at most once, in one pass.
//!
//! It is in for certain from the first return among its addition, what found it, and its removal
//! (P) to the last invocation among them (Q). The addition has to be invoked before P and the
//! removal to return after Q; what did not find it needs a gap before P or after Q. (Lee and Mathur
//! 2025.) Gaps are counted as in `lives`.

use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome, OPEN};
use crate::model::{Class, Fast};
use crate::models::said;
use crate::models::sets::{Does, Set};
use crate::split::Object;
use crate::values::Val;
use crate::verdict::Answer;

use super::lives::illegal;

const NAME: &str = "element-interval";

#[derive(Default)]
struct Element {
    add: Option<u32>,
    remove: Option<u32>,
    found: Vec<u32>,
    missed: Vec<u32>,
    /// They say nothing.
    silent: Vec<u32>,
}

/// Judge one element. `None` for a set that is read whole, and for an element that may have come or
/// gone more than once.
pub fn judge(
    model: &Set,
    history: &History,
    object: &Object,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    let Some(element) = read(model, history, object, meter)? else {
        return Ok(None);
    };
    let crashed = |row: u32| history.outcome[row as usize] == Outcome::Info;
    let removed = element.remove.filter(|&row| !crashed(row));
    let seen = element.found.first().copied().or(removed);
    let answer = match (element.add, seen) {
        (None, Some(row)) => illegal(history, vec![row]),
        (Some(add), _) if !crashed(add) || seen.is_some() => interval(history, &element, add),
        _ => {
            let mut order = element.missed;
            order.extend(element.silent);
            order.sort_unstable();
            Answer::Legal(order)
        }
    };
    Ok(Some((NAME, answer)))
}

fn read(
    model: &Set,
    history: &History,
    object: &Object,
    meter: &mut Meter,
) -> Result<Option<Element>, Stop> {
    let table = model.table(history);
    let mut element = Element::default();
    let Some(&first) = object.rows.first() else {
        return Ok(Some(element));
    };
    for &row in &object.rows {
        meter.tick()?;
        let at = row as usize;
        let does = table.get(history.f[at] as usize).copied().flatten();
        let (Some(does), true) = (does, history.arg[at] == history.arg[first as usize]) else {
            return Ok(None);
        };
        if history.outcome[at] == Outcome::Fail {
            continue;
        }
        let op = Class {
            f: history.f[at],
            key: Val::NONE,
            arg: history.arg[at],
            result: history.result[at],
            outcome: history.outcome[at],
            process: 0,
        };
        let crashed = op.outcome == Outcome::Info;
        let effect = said::effect(&history.values, &op).unwrap_or(None);
        let slot = match (does, effect) {
            (Does::Read, _) => return Ok(None),
            (Does::Contains, _) if crashed => continue,
            (Does::Contains, _) => {
                match said::flag(&history.values, op.result) {
                    Some(true) => element.found.push(row),
                    Some(false) => element.missed.push(row),
                    None => element.silent.push(row),
                }
                continue;
            }
            (Does::Add, Some(false)) => {
                element.found.push(row);
                continue;
            }
            (Does::Remove, Some(false)) => {
                element.missed.push(row);
                continue;
            }
            // It may have found nothing to remove.
            (Does::Remove, None) if !crashed => return Ok(None),
            (Does::Add, _) => &mut element.add,
            (Does::Remove, _) => &mut element.remove,
        };
        if slot.replace(row).is_some() {
            return Ok(None);
        }
    }
    Ok(Some(element))
}

/// Judge an element that was added.
fn interval(history: &History, element: &Element, add: u32) -> Answer {
    let inv = |row: u32| history.inv[row as usize];
    let end = |row: u32| history.end(row as usize);
    let all = || {
        element
            .found
            .iter()
            .copied()
            .chain([add])
            .chain(element.remove)
    };
    // Both iterators hold the addition.
    let first = all().min_by_key(|&row| end(row)).unwrap_or(add);
    let last = all().max_by_key(|&row| inv(row)).unwrap_or(add);
    let from = end(first);
    let until = if element.remove.is_some() {
        inv(last)
    } else {
        OPEN
    };
    if from < inv(add) {
        return illegal(history, vec![add, first]);
    }
    if let Some(remove) = element.remove.filter(|&remove| end(remove) < until) {
        return illegal(history, vec![add, remove, last]);
    }
    let strict = crate::planted!("missed-at-the-edge", from, from.saturating_add(2));
    for &row in &element.missed {
        if strict <= inv(row) && end(row) <= until {
            let mut rows = vec![add, first, row];
            if let Some(remove) = element.remove {
                rows.extend([remove, last]);
            }
            return illegal(history, rows);
        }
    }
    let mut moments: Vec<(u32, u8, u32)> = Vec::new();
    let short = from > until;
    let start = if short { until } else { from - 1 };
    moments.push((start, 1, add));
    for &row in &element.found {
        let gap = if short { until } else { start.max(inv(row)) };
        moments.push((gap, 2, row));
    }
    moments.extend(element.remove.map(|row| (until, 3, row)));
    for &row in &element.missed {
        let before = inv(row) < from.min(until);
        let gap = if before {
            inv(row)
        } else {
            inv(row).max(until)
        };
        moments.push((gap, if before { 0 } else { 4 }, row));
    }
    moments.extend(element.silent.iter().map(|&row| (inv(row), 0, row)));
    moments.sort_unstable();
    Answer::Legal(moments.into_iter().map(|(_, _, row)| row).collect())
}
