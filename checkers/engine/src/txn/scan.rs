//! Anomalies that need no cycle: they show within one transaction, or between a few of them.

use rustc_hash::FxHashMap;

use super::list::Lists;
use super::report::Anomaly;
use super::txns::{Txns, NOBODY};
use crate::budget::{Meter, Stop};
use crate::history::Outcome;
use crate::planted;
use crate::values::Val;

/// So many of a name are reported: more of the same tells nothing new.
const EACH_MAX: usize = 8;

/// Anomalies as they are found.
#[derive(Default)]
pub struct Log {
    pub found: Vec<Anomaly>,
    count: FxHashMap<&'static str, usize>,
}

impl Log {
    pub fn add(&mut self, txns: &Txns, name: &'static str, rows: &[u32], key: usize, value: Val) {
        let count = self.count.entry(name).or_insert(0);
        *count += 1;
        if *count > EACH_MAX {
            return;
        }
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        rows.dedup();
        self.found.push(Anomaly {
            name: name.to_string(),
            rows,
            key: txns.keys[key],
            value,
            steps: Vec::new(),
            shortest: false,
        });
    }
}

/// What a transaction knows of a key: valid while `row` is the transaction's.
#[derive(Clone, Copy)]
struct Known {
    row: u32,
    /// Its last read of the key, `NOBODY` before one.
    read: u32,
    /// Its last append to the key, `NOBODY` before one.
    append: u32,
    /// The first read came before any append.
    external: u32,
}

const NOTHING: Known = Known {
    row: NOBODY,
    read: NOBODY,
    append: NOBODY,
    external: NOBODY,
};

/// internal, future-read, G1b and lost-update of list-append.
pub fn lists(lists: &Lists, log: &mut Log, meter: &mut Meter) -> Result<(), Stop> {
    let txns = lists.txns;
    let mut known = vec![NOTHING; txns.keys.len()];
    // Append -> the append before it in the same transaction and key.
    let mut before = vec![NOBODY; txns.owner.len()];
    let mut updates: Vec<(u32, u32, u32)> = Vec::new();
    for op in 0..txns.owner.len() as u32 {
        meter.tick()?;
        let row = txns.owner_of(op);
        let key = txns.key[op as usize] as usize;
        if txns.outcome[row as usize] != Outcome::Ok {
            continue;
        }
        let at = &mut known[key];
        if at.row != row {
            *at = Known { row, ..NOTHING };
        }
        if txns.is_write[op as usize] {
            let first = at.append == NOBODY;
            before[op as usize] = at.append;
            at.append = op;
            if first && at.external != NOBODY && lists.fits[at.external as usize] {
                updates.push((key as u32, lists.list(at.external).len() as u32, row));
            }
            let read = at.read;
            if read != NOBODY && saw(lists, read, op) {
                log.add(txns, "future-read", &[row], key, txns.value[op as usize]);
            }
            continue;
        }
        if !agrees(lists, &before, *at, op, meter)? {
            let value = lists.list(op).last().copied().unwrap_or(Val::NONE);
            log.add(txns, "internal", &[row], key, value);
        }
        if at.append == NOBODY && at.external == NOBODY {
            at.external = op;
        }
        at.read = op;
        intermediate(lists, op, log);
    }
    lost(txns, updates, log);
    Ok(())
}

/// A read that fits its key's order saw an append.
fn saw(lists: &Lists, read: u32, append: u32) -> bool {
    let place = lists.place[append as usize];
    place != NOBODY && lists.fits[read as usize] && (place as usize) < lists.list(read).len()
}

/// Whether a read agrees with what its transaction read and appended before.
fn agrees(
    lists: &Lists,
    before: &[u32],
    known: Known,
    op: u32,
    meter: &mut Meter,
) -> Result<bool, Stop> {
    let mut rest = lists.list(op);
    let mut append = known.append;
    // Appends after the last read, latest first.
    while append != NOBODY && (known.read == NOBODY || append > known.read) {
        meter.tick()?;
        match rest.split_last() {
            Some((last, earlier)) if *last == lists.txns.value[append as usize] => rest = earlier,
            _ => return Ok(false),
        }
        append = before[append as usize];
    }
    Ok(known.read == NOBODY || rest == lists.list(known.read))
}

/// The last element that is not the reader's own is not the last that its transaction appended.
fn intermediate(lists: &Lists, op: u32, log: &mut Log) {
    let txns = lists.txns;
    let (row, key) = (txns.owner_of(op), txns.key[op as usize]);
    for &value in lists.list(op).iter().rev() {
        let writer = txns.writer(key, value);
        if (writer as usize) >= txns.owner.len() {
            return;
        }
        if txns.owner_of(writer) == row {
            continue;
        }
        let shown = planted!("txn-g1b-ignored", txns.is_intermediate(writer), false);
        if shown && txns.outcome_of(writer) != Outcome::Fail {
            log.add(
                txns,
                "G1b",
                &[txns.owner_of(writer), row],
                key as usize,
                value,
            );
        }
        return;
    }
}

/// Two transactions read the same version and both replaced it: (key, version, row).
pub fn lost(txns: &Txns, mut updates: Vec<(u32, u32, u32)>, log: &mut Log) {
    updates.sort_unstable();
    for pair in updates.windows(2) {
        if (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1) && pair[0].2 != pair[1].2 {
            let key = pair[0].0 as usize;
            log.add(txns, "lost-update", &[pair[0].2, pair[1].2], key, Val::NONE);
        }
    }
}
