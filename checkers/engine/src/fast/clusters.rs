//! Clusters of a register whose values are each written once: the write of a value with all that
//! saw it.
//!
//! Positions are shifted by one, so that the initial value can be written before all else, at 0.

use rustc_hash::FxHashMap;

use crate::budget::{Meter, Stop};
use crate::fast::cut::Cut;
use crate::history::OPEN;
use crate::values::Val;

/// What a row says of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label {
    Write(Val),
    /// Only of what has returned.
    Read(Val),
    /// It replaced the first value, which it saw, by the second.
    Cas(Val, Val),
    /// It says nothing.
    Nothing,
    /// No value of it can be told: another algorithm is needed.
    Other,
}

/// No row, no cluster.
pub const NO: u32 = u32::MAX;
/// The source of the initial value.
pub const INITIAL: u32 = u32::MAX - 1;

/// One value. 28 bytes, so that most visits are to one line of the cache.
#[derive(Clone, Copy, Debug)]
pub struct Cluster {
    /// The row that wrote it, `INITIAL`, or `NO`.
    pub source: u32,
    /// The cluster of the value that the source replaced and saw; `NO` for a plain write.
    pub parent: u32,
    /// The first return among its rows, and whose it is.
    pub low: u32,
    pub low_row: u32,
    /// The last invocation among its rows, and whose it is.
    pub high: u32,
    pub high_row: u32,
    /// How many saw it, beside those that replaced it.
    pub reads: u32,
}

impl Cluster {
    const NEW: Cluster = Cluster {
        source: NO,
        parent: NO,
        low: OPEN,
        low_row: NO,
        high: 0,
        high_row: NO,
        reads: 0,
    };

    #[inline(always)]
    fn add(&mut self, row: u32, inv: u32, ret: u32) {
        if ret < self.low {
            self.low = ret;
            self.low_row = row;
        }
        if inv >= self.high {
            self.high = inv;
            self.high_row = row;
        }
    }
}

pub struct Clusters {
    /// In order of their values' first rows; the first one is the initial value's.
    pub all: Vec<Cluster>,
    /// For each row of the cut: the cluster that it reads or writes, `NO` where it says nothing.
    pub of: Vec<u32>,
    /// Some row replaced a value that it saw.
    pub linked: bool,
}

impl Clusters {
    /// `None` where a value is written twice or a row cannot be told.
    pub fn build(
        cut: Cut,
        initial: Val,
        label: impl Fn(u32, bool) -> Label,
        meter: &mut Meter,
    ) -> Result<Option<Clusters>, Stop> {
        meter.budget().fits(cut.rows.len().saturating_mul(36))?;
        let mut places = Places::new(cut.rows.len());
        let mut all: Vec<Cluster> = Vec::with_capacity(cut.rows.len().div_ceil(2) + 1);
        all.push(Cluster {
            source: INITIAL,
            low: 0,
            ..Cluster::NEW
        });
        *places.at(initial) = 0;
        let mut of = Vec::with_capacity(cut.rows.len());
        let mut linked = false;
        for &row in cut.rows {
            meter.tick()?;
            let end = cut.end(row);
            let (inv, ret) = (cut.inv(row) + 1, end.saturating_add(1));
            let (value, seen) = match label(row, end != OPEN) {
                Label::Nothing => {
                    of.push(NO);
                    continue;
                }
                Label::Other => return Ok(None),
                Label::Cas(from, to) if from != to => (to, Some(from)),
                Label::Cas(..) if end == OPEN => {
                    of.push(NO);
                    continue;
                }
                Label::Cas(value, _) | Label::Read(value) => {
                    let at = place(&mut places, &mut all, value);
                    all[at as usize].add(row, inv, ret);
                    all[at as usize].reads += 1;
                    of.push(at);
                    continue;
                }
                Label::Write(value) => (value, None),
            };
            let at = place(&mut places, &mut all, value);
            if all[at as usize].source != NO {
                return Ok(None);
            }
            if let Some(seen) = seen {
                linked = true;
                all[at as usize].parent = place(&mut places, &mut all, seen);
            }
            all[at as usize].source = row;
            all[at as usize].add(row, inv, ret);
            of.push(at);
        }
        Ok(Some(Clusters { all, of, linked }))
    }
}

#[inline(always)]
fn place(places: &mut Places, all: &mut Vec<Cluster>, value: Val) -> u32 {
    let slot = places.at(value);
    if *slot == NO {
        *slot = all.len() as u32;
        all.push(Cluster::NEW);
    }
    *slot
}

/// Value -> cluster: tables by the values' numbers as far as these are about as many as the rows,
/// and a hash table for the rest.
struct Places {
    bound: usize,
    small: Vec<u32>,
    entries: Vec<u32>,
    rest: FxHashMap<Val, u32>,
}

impl Places {
    fn new(rows: usize) -> Places {
        Places {
            bound: rows.saturating_mul(2).saturating_add(64),
            small: Vec::new(),
            entries: Vec::new(),
            rest: FxHashMap::default(),
        }
    }

    #[inline(always)]
    fn at(&mut self, value: Val) -> &mut u32 {
        let (table, index) = match value.small() {
            Some(number) => (&mut self.small, number as usize),
            None => (&mut self.entries, (value.0 & 0x7fff_ffff) as usize),
        };
        if index >= self.bound {
            return self.rest.entry(value).or_insert(NO);
        }
        if index >= table.len() {
            let length = (index + 1).max(table.len() * 2).min(self.bound);
            table.resize(length, NO);
        }
        &mut table[index]
    }
}
