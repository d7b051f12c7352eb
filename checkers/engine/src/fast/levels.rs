//! The sweep of levels: operations that have a level keep it in real time iff none that returned
//! before another was invoked has a larger one.

use crate::budget::{Meter, Stop};
use crate::history::{History, OPEN};

use super::timeline::in_order;

/// A row and its level.
#[derive(Clone, Copy, Debug)]
pub struct Ranked<L> {
    pub level: L,
    pub row: u32,
    /// It can have any higher level too: it gets the lowest that fits.
    pub rises: bool,
}

/// Two rows the wrong way round: the first returned before the second was invoked, and its level is
/// larger (or as large, where that is enough: `strict`). `ranked` is in the order of rows.
pub fn inversion<L: Copy + Ord>(
    history: &History,
    ranked: &mut [Ranked<L>],
    strict: bool,
    meter: &mut Meter,
) -> Result<Option<(u32, u32)>, Stop> {
    let returns: Vec<(u32, u32)> = ranked
        .iter()
        .enumerate()
        .map(|(at, item)| (history.end(item.row as usize), at as u32))
        .filter(|&(end, _)| end != OPEN)
        .collect();
    let count = returns.len();
    let mut returned = in_order(returns.into_iter(), count, history.events).peekable();
    let mut highest: Option<(L, u32)> = None;
    for at in 0..ranked.len() {
        meter.tick()?;
        let Ranked { level, row, rises } = ranked[at];
        let inv = history.inv[row as usize];
        let over = |&other: &u32| history.end(ranked[other as usize].row as usize) < inv;
        while let Some(other) = returned.next_if(over) {
            let other = ranked[other as usize];
            if highest.is_none_or(|(level, _)| level < other.level) {
                highest = Some((other.level, other.row));
            }
        }
        if let Some((high, first)) = highest {
            if rises {
                ranked[at].level = level.max(high);
            } else if high > level || (strict && high == level) {
                return Ok(Some((first, row)));
            }
        }
    }
    Ok(None)
}
