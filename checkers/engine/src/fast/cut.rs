//! The rows of one object up to a return: what is invoked later is not there, what returns later is
//! open.
//!
//! An algorithm that judges every cut can say by bisection at which return a history first becomes
//! illegal, for a history that continues an illegal one is illegal: `first_blocked`.

use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome, OPEN};
use crate::split::Object;
use crate::verdict::Core;

#[derive(Clone, Copy)]
pub struct Cut<'a> {
    pub history: &'a History,
    /// In order of their invocations.
    pub rows: &'a [u32],
    /// Nothing after this position is known.
    pub last: u32,
}

impl<'a> Cut<'a> {
    pub fn whole(history: &'a History, object: &'a Object) -> Cut<'a> {
        Cut {
            history,
            rows: &object.rows,
            last: OPEN,
        }
    }

    fn at(&self, last: u32) -> Cut<'a> {
        let more = |&row: &u32| self.history.inv[row as usize] <= last;
        let invoked = self.rows.partition_point(more);
        Cut {
            rows: &self.rows[..invoked],
            last,
            ..*self
        }
    }

    #[inline]
    pub fn inv(&self, row: u32) -> u32 {
        self.history.inv[row as usize]
    }

    /// Position of the return of a row that is `Ok` and has returned; else `OPEN`.
    #[inline]
    pub fn end(&self, row: u32) -> u32 {
        let row = row as usize;
        let end = self.history.ret[row];
        if self.history.outcome[row] == Outcome::Ok && end <= self.last {
            end
        } else {
            OPEN
        }
    }

    /// It is `Ok` and has returned: its result is known.
    #[inline]
    pub fn known(&self, row: u32) -> bool {
        self.end(row) != OPEN
    }

    /// It did not happen.
    #[inline]
    pub fn failed(&self, row: u32) -> bool {
        self.history.outcome[row as usize] == Outcome::Fail
    }
}

/// An order with rows that are legal anywhere put into it; both `silent` and the object are in order
/// of their invocations.
///
/// Each goes before the first row of the order that began after it. What stands before it began
/// before it, so that real time is kept there; and had a row behind it returned before it began,
/// that row would stand behind one that began after its return already.
pub fn with_silent(cut: Cut, order: Vec<u32>, silent: &[u32]) -> Vec<u32> {
    if silent.is_empty() {
        return order;
    }
    let mut all = Vec::with_capacity(order.len() + silent.len());
    let mut rest = silent.iter().copied().peekable();
    for row in order {
        while let Some(early) = rest.next_if(|&early| cut.inv(early) < cut.inv(row)) {
            all.push(early);
        }
        all.push(row);
    }
    all.extend(rest);
    all
}

/// The core of an illegal history: the first return by which it is illegal, and the rows that the
/// algorithm names there. `blame` judges a cut: the rows that show why it is illegal, or `None`.
pub fn first_blocked(
    whole: Cut,
    meter: &mut Meter,
    mut blame: impl FnMut(Cut, &mut Meter) -> Result<Option<Vec<u32>>, Stop>,
) -> Result<Option<Core>, Stop> {
    let mut returns: Vec<(u32, u32)> = Vec::new();
    for &row in whole.rows {
        if whole.known(row) {
            returns.push((whole.end(row), row));
        }
    }
    returns.sort_unstable();
    // Illegal after the first `high` returns, and legal after the first `low`, as far as `blame`
    // can say.
    let (mut low, mut high) = (0, returns.len());
    let mut rows = Vec::new();
    while high - low > 1 {
        meter.tick()?;
        let middle = low + (high - low) / 2;
        match blame(whole.at(returns[middle - 1].0), meter)? {
            Some(found) => {
                high = middle;
                rows = found;
            }
            None => low = middle,
        }
    }
    let Some(&(last, blocked)) = returns.get(high.wrapping_sub(1)) else {
        return Ok(None);
    };
    if rows.is_empty() {
        rows = blame(whole.at(last), meter)?.unwrap_or_default();
    }
    rows.push(blocked);
    rows.sort_unstable();
    rows.dedup();
    Ok(Some(Core { blocked, rows }))
}
