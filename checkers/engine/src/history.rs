//! A history: a row per operation, in columns, with values interned.
//!
//! Row order is the order of invocations. `inv` and `ret` are positions in the stream of the
//! clients' events: they, not the clocks, say what happened before what (`ret[a] < inv[b]`: a
//! precedes b).

use crate::formats::guess::Guess;
use crate::formats::jepsen::About;
use crate::formats::Odd;
use crate::values::{Val, Values};

/// Position of the return of an operation that never returned.
pub const OPEN: u32 = u32::MAX;
/// Time that was not recorded.
pub const NO_TIME: i64 = -1;

/// What became of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Outcome {
    /// It may have happened, and may still happen, for ever.
    Info = 0,
    Ok = 1,
    /// It certainly did not happen.
    Fail = 2,
}

/// What a nemesis did, as the history tells it.
#[derive(Clone, Debug)]
pub struct Fault {
    pub f: String,
    pub value: Val,
    /// Number of client events before it.
    pub position: u32,
    pub time_ns: i64,
}

#[derive(Default)]
pub struct History {
    pub values: Values,
    /// Names of operations; `f` holds places in it.
    pub fs: Vec<String>,
    pub process: Vec<u32>,
    pub f: Vec<u16>,
    /// `NONE` where the operation has no key of its own.
    pub key: Vec<Val>,
    /// What it was invoked with.
    pub arg: Vec<Val>,
    /// What it completed with; `NONE` while open.
    pub result: Vec<Val>,
    pub outcome: Vec<Outcome>,
    pub inv: Vec<u32>,
    /// `OPEN` where there is no completion; an `Info` completion has its position.
    pub ret: Vec<u32>,
    pub inv_ns: Vec<i64>,
    pub ret_ns: Vec<i64>,
    /// Columns that are empty unless some row has a value there, else as long as the others.
    pub node: Vec<Val>,
    pub error: Vec<Val>,
    /// Place in the server's own order (revision, zxid, log index, offset), -1 where there is none.
    pub hint: Vec<i64>,
    pub faults: Vec<Fault>,
    /// Client events: invocations and completions.
    pub events: u32,
    /// Whoever made it has seen that no event's time is before that of an earlier one; false where
    /// nobody has looked.
    pub times_in_order: bool,
    /// Name of the format that it was read from; empty where it was made.
    pub format: &'static str,
    /// What was left out when a damaged file was read: only what holds whatever stood there may be
    /// said of the history.
    pub holes: Vec<Odd>,
    /// Offset at which the file was cut off: what is before it is a prefix of the history.
    pub cut: Option<u64>,
    /// What its operations look like (`formats::prepare`): no model where none has them.
    pub guess: Guess,
    /// Its values were `[key value]`, as jepsen.independent has them, and are now keys and values.
    pub lifted: bool,
    /// What the file says of the test that it came from.
    pub about: About,
}

impl History {
    /// Number of operations.
    #[inline]
    pub fn len(&self) -> usize {
        self.process.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.process.is_empty()
    }

    /// What a row takes in the columns that every history has.
    pub const ROW_BYTES: usize = 43;

    /// Make room for so many rows in all; without it a column grows as it needs to.
    pub fn reserve(&mut self, rows: usize) {
        fn to<T>(column: &mut Vec<T>, rows: usize) {
            // Where there is not so much memory, the rows that come may need less.
            let _ = column.try_reserve_exact(rows.saturating_sub(column.len()));
        }
        to(&mut self.process, rows);
        to(&mut self.f, rows);
        to(&mut self.key, rows);
        to(&mut self.arg, rows);
        to(&mut self.result, rows);
        to(&mut self.outcome, rows);
        to(&mut self.inv, rows);
        to(&mut self.ret, rows);
        to(&mut self.inv_ns, rows);
        to(&mut self.ret_ns, rows);
    }

    /// The place of a name in `fs`, a new one if it was never seen.
    pub fn name(&mut self, f: &str) -> u16 {
        match self.fs.iter().position(|name| name == f) {
            Some(at) => at as u16,
            None => {
                self.fs.push(f.to_string());
                (self.fs.len() - 1) as u16
            }
        }
    }

    /// Keep only names that some operation has.
    pub fn drop_unused_names(&mut self) {
        let mut used = vec![false; self.fs.len()];
        for &f in &self.f {
            if let Some(used) = used.get_mut(f as usize) {
                *used = true;
            }
        }
        if used.iter().all(|&used| used) {
            return;
        }
        let mut next = 0;
        let places: Vec<u16> = used
            .iter()
            .map(|&used| {
                next += u16::from(used);
                next.saturating_sub(1)
            })
            .collect();
        for f in &mut self.f {
            *f = places.get(*f as usize).copied().unwrap_or(*f);
        }
        let mut used = used.into_iter();
        self.fs.retain(|_| used.next().unwrap_or(true));
    }

    pub fn f_of(&self, row: usize) -> &str {
        &self.fs[self.f[row] as usize]
    }

    /// Position at which the operation is over for good: `OPEN` unless it is `Ok` or `Fail`.
    #[inline]
    pub fn end(&self, row: usize) -> u32 {
        if self.outcome[row] == Outcome::Info {
            OPEN
        } else {
            self.ret[row]
        }
    }
}
