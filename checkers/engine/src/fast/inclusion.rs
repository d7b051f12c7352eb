//! Grow-only set with full reads, in the time of reading them.
//!
//! What reads found must be a chain by inclusion. The i-th different set of it has level 2i + 1, the
//! addition of an element that the i-th is the first to have 2i, an addition that nobody saw the
//! level above all; then the history is legal iff levels are kept in real time (`levels`). Where an
//! element was added more than once, the addition that was invoked first is the one that counts: the
//! others change nothing from its level on, so that theirs may be higher.

use rustc_hash::FxHashMap;

use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome};
use crate::model::Fast;
use crate::models::sets::{Does, Set};
use crate::split::Object;
use crate::values::Val;
use crate::verdict::{Answer, Core};

use super::levels::{inversion, Ranked};
use super::places::{Places, NOBODY};

const NAME: &str = "inclusion-levels";

/// What reads found, as groups of equal sets.
struct Chain {
    /// For each element the first group that has it.
    first: Vec<u32>,
    /// The group of each value that a read found.
    group: FxHashMap<Val, u32>,
    /// A read of each group.
    reads: Vec<u32>,
}

/// The elements, and what was done to them.
struct Elements {
    places: Places,
    /// The first addition of each.
    added: Vec<u32>,
    adds: Vec<u32>,
    reads: Vec<u32>,
}

/// Judge a grow-only set: always possible.
pub fn judge(
    model: &Set,
    history: &History,
    object: &Object,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    meter.budget().fits(object.rows.len().saturating_mul(64))?;
    let table = model.table(history);
    let mut elements = Elements {
        places: Places::new(object.rows.len()),
        added: Vec::new(),
        adds: Vec::new(),
        reads: Vec::new(),
    };
    for &row in &object.rows {
        meter.tick()?;
        let at = row as usize;
        let does = table.get(history.f[at] as usize).copied().flatten();
        match (does, history.outcome[at]) {
            (_, Outcome::Fail) | (Some(Does::Read), Outcome::Info) => {}
            (Some(Does::Read), Outcome::Ok) => elements.reads.push(row),
            _ => {
                elements.adds.push(row);
                if elements.places.get(history.arg[at]) == NOBODY {
                    elements
                        .places
                        .set(history.arg[at], elements.added.len() as u32);
                    elements.added.push(row);
                }
            }
        }
    }
    let chain = match chain(history, &elements, meter)? {
        Ok(chain) => chain,
        Err(core) => return Ok(Some((NAME, Answer::Illegal(core)))),
    };
    let mut ranked = ranked(history, &elements, &chain);
    if let Some((first, second)) = inversion(history, &mut ranked, false, meter)? {
        let core = explain(history, &elements, &chain, first, second);
        return Ok(Some((NAME, Answer::Illegal(core))));
    }
    ranked.sort_by_key(|item| item.level);
    let order = ranked.into_iter().map(|item| item.row).collect();
    Ok(Some((NAME, Answer::Legal(order))))
}

/// Put what reads found in a chain, or say why it is none.
fn chain(
    history: &History,
    elements: &Elements,
    meter: &mut Meter,
) -> Result<Result<Chain, Core>, Stop> {
    // Each different value that was found: its number of elements, and a read of it.
    let mut found: Vec<(u32, u32)> = Vec::new();
    let mut known: FxHashMap<Val, ()> = FxHashMap::default();
    let mut stamps = vec![NOBODY; elements.added.len()];
    for &row in &elements.reads {
        let result = history.result[row as usize];
        let Some(items) = history.values.as_items(result) else {
            continue;
        };
        if known.insert(result, ()).is_some() {
            continue;
        }
        let mut size = 0;
        for &item in items {
            meter.tick()?;
            let Some(stamp) = stamps.get_mut(elements.places.get(item) as usize) else {
                let rows = vec![row];
                return Ok(Err(Core { blocked: row, rows }));
            };
            size += u32::from(*stamp != row);
            *stamp = row;
        }
        found.push((size, row));
    }
    found.sort_unstable();
    let mut chain = Chain {
        first: vec![NOBODY; elements.added.len()],
        group: FxHashMap::default(),
        reads: Vec::new(),
    };
    let mut before = None;
    for (size, row) in found {
        let result = history.result[row as usize];
        let items = history.values.as_items(result).unwrap_or(&[]);
        let new = before != Some(size);
        if new {
            chain.reads.push(row);
        }
        let group = chain.reads.len() as u32 - 1;
        let mut old = 0;
        for &item in items {
            meter.tick()?;
            let place = elements.places.get(item) as usize;
            // An element that stands twice in the list counts once.
            let again =
                std::mem::replace(&mut stamps[place], row | SECOND_PASS) == row | SECOND_PASS;
            if chain.first[place] == NOBODY {
                chain.first[place] = group;
            } else if !again {
                old += 1;
            }
        }
        let wanted = if new { before.unwrap_or(0) } else { size };
        if old != wanted {
            let other = chain.reads[chain.reads.len() - 1 - usize::from(new)];
            return Ok(Err(fork(history, elements, other, row)));
        }
        chain.group.insert(result, group);
        before = Some(size);
    }
    Ok(Ok(chain))
}

/// Marks stamps of the second pass over what reads found; rows are below it.
const SECOND_PASS: u32 = 1 << 31;

/// Two reads of which each has an element that the other has not.
fn fork(history: &History, elements: &Elements, one: u32, other: u32) -> Core {
    let items = |row: u32| {
        let found = history.values.as_items(history.result[row as usize]);
        found.unwrap_or(&[])
    };
    let missing = |from: u32, to: u32| {
        let there: rustc_hash::FxHashSet<Val> = items(to).iter().copied().collect();
        let lost = items(from).iter().find(|item| !there.contains(item));
        lost.and_then(|&item| elements.added.get(elements.places.get(item) as usize))
    };
    let mut rows = vec![one, other];
    rows.extend(missing(one, other));
    rows.extend(missing(other, one));
    rows.sort_unstable();
    let end = |row: u32| history.end(row as usize);
    let blocked = if end(one) > end(other) { one } else { other };
    Core { blocked, rows }
}

/// Every row that takes effect, with its level.
fn ranked(history: &History, elements: &Elements, chain: &Chain) -> Vec<Ranked<u32>> {
    let mut ranked: Vec<Ranked<u32>> = Vec::with_capacity(elements.adds.len());
    let top = chain.reads.len() as u32 * 2;
    for &row in &elements.adds {
        let place = elements.places.get(history.arg[row as usize]) as usize;
        let counts = elements.added[place] == row;
        let crashed = history.outcome[row as usize] == Outcome::Info;
        match chain.first[place] {
            NOBODY if crashed => {}
            NOBODY => ranked.push(Ranked {
                level: top,
                row,
                rises: false,
            }),
            _ if crashed && !counts => {}
            first => ranked.push(Ranked {
                level: first * 2,
                row,
                rises: !counts,
            }),
        }
    }
    for &row in &elements.reads {
        let group = chain.group.get(&history.result[row as usize]);
        ranked.push(Ranked {
            level: group.map_or(0, |group| group * 2 + 1),
            row,
            rises: group.is_none(),
        });
    }
    ranked.sort_unstable_by_key(|item| item.row);
    ranked
}

/// Why two rows are the wrong way round: the first is over before the second begins.
fn explain(history: &History, elements: &Elements, chain: &Chain, first: u32, second: u32) -> Core {
    let reads = |row: u32| elements.reads.binary_search(&row).is_ok();
    let mut rows = vec![first, second];
    let blocked = match (reads(first), reads(second)) {
        // It found what was added only later.
        (true, false) => first,
        (_, true) => second,
        // A read has the element that was added later, and not the one that was added before.
        (false, false) => {
            let place = elements.places.get(history.arg[second as usize]) as usize;
            let read = chain.reads[chain.first[place] as usize];
            rows.push(read);
            read
        }
    };
    rows.sort_unstable();
    Core { blocked, rows }
}
