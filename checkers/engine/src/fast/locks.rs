//! Locks in one pass over the events: permits by counts, reentrant mutexes by sessions of owners.
//!
//! **Permits** (mutex, semaphore). Acquisitions are all alike, and so are releases, so that a state
//! is how many of each were done. Every operation is put off until it has to return; then it is
//! done, after one of the other kind if that is needed: an acquisition when nothing is left, a
//! release when everything is there. The one that has to return first is taken for that. Putting off
//! is right because of two legal orders the one that has done the fewer of both kinds is one too
//! (both bounds are on the difference of the two numbers), and among operations that are alike the
//! earliest deadline can always go first. What crashed has no deadline, and is taken last.
//!
//! **Reentrant mutex.** A process has one operation at a time, so that its own order says how deep
//! it is. From the return of the acquisition that takes the lock to the invocation of the release
//! that frees it, the lock is its own; legal iff no two such intervals overlap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rustc_hash::FxHashMap;

use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome, OPEN};
use crate::model::Fast;
use crate::models::locks::{Does, Lock, Locking};
use crate::split::Object;
use crate::verdict::{Answer, Core};

use super::places::Index;
use super::{fencing, timeline};

/// Judge a lock; `None` where an operation was refused, which has to find its moment by search.
pub fn judge(
    model: &Locking,
    history: &History,
    object: &Object,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    meter.budget().fits(object.rows.len().saturating_mul(48))?;
    let does = model.table(history);
    let mut ops = Vec::with_capacity(object.rows.len());
    for &row in &object.rows {
        meter.tick()?;
        let at = row as usize;
        let Some(does) = does.get(history.f[at] as usize).copied().flatten() else {
            return Ok(None);
        };
        match history.outcome[at] {
            Outcome::Fail => continue,
            Outcome::Ok if model.refused(history, does, history.result[at]) => return Ok(None),
            _ => ops.push((row, does)),
        }
    }
    match model.lock {
        Lock::Permits { start, cap } => permits(history, &ops, start, cap, meter),
        Lock::Reentrant => owners(history, &ops, meter),
        Lock::Fenced => fencing::judge(history, &ops, meter),
    }
}

/// Rows that are open and not done, the one that has to return first on top.
#[derive(Default)]
pub struct Waiting {
    heap: BinaryHeap<Reverse<(u32, u32)>>,
}

impl Waiting {
    pub fn push(&mut self, history: &History, row: u32) {
        self.heap.push(Reverse((history.end(row as usize), row)));
    }

    /// Take the first that is not done.
    pub fn pop(&mut self, done: &[bool], index: &Index<'_>) -> Option<u32> {
        while let Some(Reverse((_, row))) = self.heap.pop() {
            if !done[index.of(row)] {
                return Some(row);
            }
        }
        None
    }
}

fn permits(
    history: &History,
    ops: &[(u32, Does)],
    start: u32,
    cap: u32,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    const NAME: &str = "hold-intervals";
    let rows: Vec<u32> = ops.iter().map(|&(row, _)| row).collect();
    let index = Index::new(&rows);
    let acquires: Vec<bool> = ops.iter().map(|&(_, does)| does == Does::Acquire).collect();
    let mut done = vec![false; ops.len()];
    let mut waiting = [Waiting::default(), Waiting::default()];
    let mut held: VecDeque<u32> = VecDeque::new();
    let mut order = Vec::with_capacity(ops.len());
    let mut left = start;
    for event in timeline::events(history, &rows) {
        meter.tick()?;
        let row = event.row();
        let acquire = acquires[index.of(row)];
        if !event.is_return() {
            waiting[usize::from(acquire)].push(history, row);
            continue;
        }
        if done[index.of(row)] {
            continue;
        }
        let stopped = if acquire {
            left == 0
        } else {
            left >= crate::planted!("permits-one-too-many", cap, cap.saturating_add(1))
        };
        let mut todo = [None, Some(row)];
        if stopped {
            todo[0] = waiting[usize::from(!acquire)].pop(&done, &index);
            if todo[0].is_none() || cap == 0 {
                let mut rows: Vec<u32> = if acquire { held.into() } else { Vec::new() };
                rows.push(row);
                rows.sort_unstable();
                let core = Core { blocked: row, rows };
                return Ok(Some((NAME, Answer::Illegal(core))));
            }
        }
        for row in todo.into_iter().flatten() {
            if acquires[index.of(row)] {
                left -= 1;
                held.push_back(row);
            } else {
                left += 1;
                held.pop_front();
            }
            done[index.of(row)] = true;
            order.push(row);
        }
    }
    Ok(Some((NAME, Answer::Legal(order))))
}

/// The time in which a process owns a lock: its rows, and from when to when that is certain.
struct Session {
    rows: Vec<u32>,
    from: u32,
    until: u32,
}

fn owners(history: &History, ops: &[(u32, Does)], meter: &mut Meter) -> Result<Fast, Stop> {
    const NAME: &str = "owner-sessions";
    // For each process its session and depth, and when its last operation was over.
    let mut now: FxHashMap<u32, (Option<usize>, u32, u32)> = FxHashMap::default();
    let mut sessions: Vec<Session> = Vec::new();
    for &(row, does) in ops {
        meter.tick()?;
        let at = row as usize;
        let (session, depth, over) = now.entry(history.process[at]).or_insert((None, 0, 0));
        if history.inv[at] < *over {
            // Two operations at once, or one after a crash: the order is not known.
            return Ok(None);
        }
        *over = history.end(at);
        match (does, *session) {
            (Does::Acquire, _) if history.outcome[at] == Outcome::Info => {}
            (Does::Acquire, None) => {
                *session = Some(sessions.len());
                *depth = 1;
                sessions.push(Session {
                    rows: vec![row],
                    from: history.end(at),
                    until: OPEN,
                });
            }
            (Does::Acquire, Some(place)) => {
                *depth += 1;
                sessions[place].rows.push(row);
            }
            (_, None) if history.outcome[at] == Outcome::Info => {}
            (_, None) => {
                let rows = vec![row];
                let core = Core { blocked: row, rows };
                return Ok(Some((NAME, Answer::Illegal(core))));
            }
            (_, Some(place)) => {
                *depth -= 1;
                sessions[place].rows.push(row);
                if *depth == 0 {
                    sessions[place].until = history.inv[at];
                    *session = None;
                }
            }
        }
    }
    sessions.sort_by_key(|session| session.from);
    for pair in sessions.windows(2) {
        let early = crate::planted!("session-ends-early", pair[0].until, pair[0].from);
        if early > pair[1].from {
            let (first, second) = (pair[0].rows[0], pair[1].rows[0]);
            let rows = vec![first.min(second), first.max(second)];
            let core = Core {
                blocked: second,
                rows,
            };
            return Ok(Some((NAME, Answer::Illegal(core))));
        }
    }
    let order = sessions.into_iter().flat_map(|session| session.rows);
    Ok(Some((NAME, Answer::Legal(order.collect()))))
}
