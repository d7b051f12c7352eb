//! Logs whose entries have offsets: the offsets are the order.
//!
//! Step `k` (`ladder.rs`) appends the entry at place `k`. An append that returned says its place; a
//! read of an entry comes behind its step; a read that found nothing at a place comes before its
//! step. What no append that returned has put there, one that never returned has: the one of that
//! entry with the earliest invocation.

use rustc_hash::FxHashMap;

use crate::budget::{Meter, Stop};
use crate::fast::cut::Cut;
use crate::fast::found::{self, Found};
use crate::fast::ladder::Ladder;
use crate::history::History;
use crate::model::Fast;
use crate::models::logs::Does;
use crate::planted;
use crate::split::Object;
use crate::values::Val;

/// Judge a log whose first offset is `first`. `None` where an append that is over does not say its
/// offset, or the entry at a place is not known and one that never returned may stand there.
pub fn judge(
    history: &History,
    object: &Object,
    first: i64,
    label: impl Fn(u32, bool) -> Does,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    found::judge("server-order", history, object, meter, |cut, meter| {
        find(cut, first, &label, meter)
    })
}

#[derive(Clone, Copy, Default)]
struct Place {
    entry: Option<Val>,
    append: Option<u32>,
    /// A row that says the entry.
    witness: u32,
}

struct Parts {
    places: Vec<Place>,
    /// Appends that never returned, by their entry, the earliest last.
    lost: FxHashMap<Val, Vec<u32>>,
    /// (places from 0 to which it saw entries, row)
    seen: Vec<(usize, u32)>,
    /// (place at which it found nothing, row); `usize::MAX` where that says nothing.
    nothing: Vec<(usize, u32)>,
    /// Reads that say nothing at all.
    silent: Vec<u32>,
}

impl Parts {
    /// Err: the rows that contradict each other.
    fn put(&mut self, place: usize, entry: Val, row: u32) -> Result<(), Vec<u32>> {
        if place >= self.places.len() {
            self.places.resize(place + 1, Place::default());
        }
        let known = &mut self.places[place];
        match known.entry {
            Some(entry_there) if entry_there != entry => Err(vec![known.witness, row]),
            Some(_) => Ok(()),
            None => {
                known.entry = Some(entry);
                known.witness = row;
                Ok(())
            }
        }
    }

    fn append(&mut self, place: usize, entry: Val, row: u32) -> Result<(), Vec<u32>> {
        self.put(place, entry, row)?;
        match self.places[place].append.replace(row) {
            Some(other) => Err(vec![other, row]),
            None => Ok(()),
        }
    }
}

fn gather(
    cut: Cut,
    first: i64,
    label: &impl Fn(u32, bool) -> Does,
    meter: &mut Meter,
) -> Result<Result<Parts, Found>, Stop> {
    let mut parts = Parts {
        places: Vec::new(),
        lost: FxHashMap::default(),
        seen: Vec::new(),
        nothing: Vec::new(),
        silent: Vec::new(),
    };
    // No order has an entry at a place beyond the number of appends.
    let limit = cut.rows.len();
    let place = |offset: i64| {
        let place = offset.checked_sub(first)?;
        usize::try_from(place).ok().filter(|&place| place < limit)
    };
    for &row in cut.rows {
        meter.tick()?;
        if cut.failed(row) {
            continue;
        }
        let told = match label(row, cut.known(row)) {
            Does::Nothing => {
                parts.silent.extend(cut.known(row).then_some(row));
                Ok(())
            }
            Does::Append(entry, None) if !cut.known(row) => {
                parts.lost.entry(entry).or_default().push(row);
                Ok(())
            }
            Does::Append(_, None) => return Ok(Err(Found::Unsure)),
            Does::Append(entry, Some(offset)) => match place(offset) {
                Some(place) => parts.append(place, entry, row),
                None => Err(vec![row]),
            },
            Does::Read(offset, None) => {
                let place = if offset < first { None } else { place(offset) };
                parts.nothing.push((place.unwrap_or(usize::MAX), row));
                Ok(())
            }
            Does::Read(offset, Some(entry)) => see(&mut parts, &[(offset, entry)], row, place),
            Does::Poll(pairs) => see(&mut parts, &pairs, row, place),
        };
        if let Err(rows) = told {
            return Ok(Err(Found::Illegal(rows)));
        }
    }
    for rows in parts.lost.values_mut() {
        rows.reverse();
    }
    Ok(Ok(parts))
}

fn see(
    parts: &mut Parts,
    pairs: &[(i64, Val)],
    row: u32,
    place: impl Fn(i64) -> Option<usize>,
) -> Result<(), Vec<u32>> {
    let mut level = 0;
    for &(offset, entry) in pairs {
        let Some(place) = place(offset) else {
            return Err(vec![row]);
        };
        parts.put(place, entry, row)?;
        level = level.max(place + 1);
    }
    parts.seen.push((level, row));
    Ok(())
}

/// Which row made each step, where it is known. Err is the answer already.
fn makers(parts: &mut Parts) -> Result<Vec<u32>, Found> {
    let mut makers = Vec::with_capacity(parts.places.len());
    let lost = !parts.lost.is_empty();
    for place in &parts.places {
        let maker = match (place.append, place.entry) {
            (Some(row), _) => row,
            (None, Some(entry)) => match parts.lost.get_mut(&entry).and_then(Vec::pop) {
                Some(row) => row,
                None => return Err(Found::Illegal(vec![place.witness])),
            },
            (None, None) if lost => return Err(Found::Unsure),
            (None, None) => return Err(Found::Illegal(Vec::new())),
        };
        makers.push(maker);
    }
    Ok(makers)
}

fn find(
    cut: Cut,
    first: i64,
    label: &impl Fn(u32, bool) -> Does,
    meter: &mut Meter,
) -> Result<Found, Stop> {
    meter.budget().fits(cut.rows.len().saturating_mul(120))?;
    let mut parts = match gather(cut, first, label, meter)? {
        Ok(parts) => parts,
        Err(found) => return Ok(found),
    };
    let made = match makers(&mut parts) {
        Ok(made) => made,
        Err(found) => return Ok(found),
    };
    let mut ladder = Ladder::new(made.len() + 1);
    for (step, &row) in made.iter().enumerate() {
        meter.tick()?;
        ladder.after(step, row, cut.inv(row));
        ladder.before(step, row, cut.end(row));
    }
    for &(level, row) in &parts.seen {
        ladder.within(level, made.len(), row, cut.inv(row), cut.end(row));
    }
    for &(place, row) in &parts.nothing {
        if place < made.len() {
            let place = planted!("offsets-nothing-late", place, place + 1);
            ladder.within(0, place, row, cut.inv(row), cut.end(row));
        }
    }
    if let Err(rows) = ladder.settle() {
        return Ok(Found::Illegal(rows.to_vec()));
    }
    for (step, &row) in made.iter().enumerate() {
        ladder.make(step, row);
    }
    for &(level, row) in &parts.seen {
        ladder.stand(level, row, cut.inv(row));
    }
    let nothing = parts.nothing.iter().map(|&(_, row)| row);
    for row in nothing.chain(parts.silent.iter().copied()) {
        ladder.stand(0, row, cut.inv(row));
    }
    Ok(Found::Legal(ladder.rows()))
}
