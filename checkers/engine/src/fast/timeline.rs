//! Rows in the order of their events: invocations are in order as they stand; returns are put in
//! order here, in linear time where the rows are most of the history.

use crate::history::{History, Outcome, OPEN};

/// One event of a row, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event(u32);

impl Event {
    const NO: Event = Event(u32::MAX);

    #[inline]
    pub fn row(self) -> u32 {
        self.0 >> 1
    }

    #[inline]
    pub fn is_return(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Payloads in the order of their positions, which are all different and below `end`; `count` is
/// about how many there are.
pub fn in_order(
    items: impl Iterator<Item = (u32, u32)>,
    count: usize,
    end: u32,
) -> impl Iterator<Item = u32> {
    let dense = count >= end as usize / 8;
    let mut at: Vec<u32> = vec![u32::MAX; if dense { end as usize } else { 0 }];
    let mut sorted: Vec<(u32, u32)> = Vec::new();
    for (position, payload) in items {
        match at.get_mut(position as usize) {
            Some(slot) => *slot = payload,
            None => sorted.push((position, payload)),
        }
    }
    sorted.sort_unstable();
    let behind = sorted.into_iter().map(|(_, payload)| payload);
    at.into_iter()
        .filter(|&payload| payload != u32::MAX)
        .chain(behind)
}

/// All events of the rows, in order: invocations, and returns of what is over for good.
///
/// Row numbers are below 2^31, as a history has at most 2^32 events.
pub fn events(history: &History, rows: &[u32]) -> Vec<Event> {
    let dense = rows.len() * 2 >= history.events as usize / 8;
    if dense {
        let mut at = vec![Event::NO; history.events as usize];
        for &row in rows {
            for (position, event) in of_row(history, row) {
                if let Some(slot) = at.get_mut(position as usize) {
                    *slot = event;
                }
            }
        }
        at.retain(|&event| event != Event::NO);
        return at;
    }
    let mut sorted: Vec<(u32, u32)> = Vec::with_capacity(rows.len() * 2);
    for &row in rows {
        for (position, event) in of_row(history, row) {
            sorted.push((position, event.0));
        }
    }
    sorted.sort_unstable();
    sorted.into_iter().map(|(_, event)| Event(event)).collect()
}

fn of_row(history: &History, row: u32) -> impl Iterator<Item = (u32, Event)> {
    let at = row as usize;
    let end = match history.outcome[at] {
        Outcome::Info => OPEN,
        _ => history.ret[at],
    };
    let returned = (end != OPEN).then_some((end, Event(row << 1 | 1)));
    std::iter::once((history.inv[at], Event(row << 1))).chain(returned)
}
