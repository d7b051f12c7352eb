//! Fractured reads (Bailis and others): a transaction reads what another wrote to one key, and of
//! another key a version from before that other transaction. Where it reads them in that order, what
//! it had observed vanished, which monotonic atomic view forbids too.
//!
//! Each is a cycle of one wr and one rw, so that it is looked for only in what no order could place.

use super::list::Lists;
use super::register::Registers;
use super::scan::Log;
use super::txns::{Txns, NOBODY};
use crate::budget::{Meter, Stop};
use crate::history::Outcome;
use crate::values::Val;

/// One fractured read: `reader` saw a part of what `writer` wrote and missed its write of `key`.
pub struct Fracture {
    pub reader: u32,
    pub writer: u32,
    pub key: u32,
    pub value: Val,
    /// It missed it after it had seen the other part.
    pub vanished: bool,
}

impl Fracture {
    pub fn log(&self, txns: &Txns, log: &mut Log) {
        let rows = [self.writer, self.reader];
        log.add(txns, "fractured-read", &rows, self.key as usize, self.value);
        if self.vanished {
            log.add(txns, "fractured-view", &rows, self.key as usize, self.value);
        }
    }
}

/// The last write of a row to a key.
fn last_write(txns: &Txns, row: u32, key: u32) -> Option<u32> {
    let last = |&op: &usize| txns.is_write[op] && txns.key[op] == key;
    txns.ops(row).rfind(last).map(|op| op as u32)
}

/// All fractured reads of list-append among `rows`.
pub fn lists(
    lists: &Lists,
    rows: impl Iterator<Item = u32>,
    log: &mut Log,
    meter: &mut Meter,
) -> Result<(), Stop> {
    let txns = lists.txns;
    for row in rows.filter(|&row| txns.outcome[row as usize] == Outcome::Ok) {
        let reads = |op: &usize| !txns.is_write[*op] && lists.fits[*op];
        for seen in txns.ops(row).filter(reads) {
            let Some(writer) = lists.last_writer(seen as u32).filter(|&w| w != row) else {
                continue;
            };
            for missed in txns.ops(row).filter(reads) {
                meter.tick()?;
                let key = txns.key[missed];
                let Some(write) = last_write(txns, writer, key) else {
                    continue;
                };
                let place = lists.place[write as usize];
                let hidden = place != NOBODY && place as usize >= lists.list(missed as u32).len();
                if key != txns.key[seen] && (hidden || lists.is_unseen(write)) {
                    let fracture = Fracture {
                        reader: row,
                        writer,
                        key,
                        value: txns.value[write as usize],
                        vanished: missed > seen,
                    };
                    fracture.log(txns, log);
                }
            }
        }
    }
    Ok(())
}

/// All fractured reads of registers. `earlier(reader, version, write)`: the version that the reader
/// saw came before that write.
pub fn registers(
    registers: &Registers,
    earlier: &dyn Fn(u32, u32, u32) -> bool,
    meter: &mut Meter,
) -> Result<Vec<Fracture>, Stop> {
    let txns = registers.txns;
    let mut reads: Vec<(u32, u32)> = registers.reads.iter().map(|&(v, row)| (row, v)).collect();
    reads.sort_unstable();
    let mut found = Vec::new();
    for of_row in reads.chunk_by(|a, b| a.0 == b.0) {
        for &(row, seen) in of_row {
            let Some(writer) = registers.author(seen) else {
                continue;
            };
            for &(_, missed) in of_row {
                meter.tick()?;
                let key = registers.key_of(missed);
                if key == registers.key_of(seen) {
                    continue;
                }
                let Some(write) = last_write(txns, writer, key) else {
                    continue;
                };
                if write != missed && earlier(row, missed, write) {
                    let read = |wanted: u32| {
                        txns.ops(row)
                            .find(|&op| !txns.is_write[op] && txns.key[op] == wanted)
                    };
                    found.push(Fracture {
                        reader: row,
                        writer,
                        key,
                        value: txns.value[write as usize],
                        vanished: read(key) > read(registers.key_of(seen)),
                    });
                }
            }
        }
    }
    Ok(found)
}
