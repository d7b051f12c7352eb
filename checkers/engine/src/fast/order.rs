//! The order that the server itself gave (`History::hint`): a revision, zxid or log index.
//!
//! Operations are put in the order of their hints, where these are equal updates before reads; one
//! without a hint goes where it has to, before what was invoked after its return, or where it is
//! needed for the next one. The model is replayed along that order. If it agrees and real time is
//! kept, the history is legal, whoever gave the hints; if not, that says nothing, and the general
//! search decides.

use rustc_hash::FxHashSet;

use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome, OPEN};
use crate::model::{Class, Model, Part, Step};
use crate::split::Object;
use crate::values::Val;

/// An order of the object's rows that the model allows and real time too, if the hints give one.
pub fn judge(
    history: &History,
    object: &Object,
    model: &dyn Model,
    meter: &mut Meter,
) -> Result<Option<Vec<u32>>, Stop> {
    if history.hint.len() != history.len() {
        return Ok(None);
    }
    meter.budget().fits(object.rows.len().saturating_mul(48))?;
    let mut replay = Replay::new(history, model);
    let mut hinted: Vec<(i64, bool, u32)> = Vec::new();
    let mut free = Free::default();
    for &row in &object.rows {
        meter.tick()?;
        let class = class_of(history, model, row);
        if model.part(history, &class) == Part::Drop {
            continue;
        }
        match history.hint[row as usize] {
            hint if hint >= 0 => hinted.push((hint, model.is_read(history, &class), row)),
            _ if history.end(row as usize) == OPEN => free.lost.push(row),
            _ => free.over.push(row),
        }
    }
    if hinted.is_empty() {
        return Ok(None);
    }
    hinted.sort_unstable();
    let deadlines = deadlines(history, &hinted);
    for (place, &(_, _, row)) in hinted.iter().enumerate() {
        meter.tick()?;
        if !replay.up_to(&mut free, row, deadlines[place], meter)? {
            return Ok(None);
        }
    }
    free.over
        .sort_unstable_by_key(|&row| history.end(row as usize));
    for row in free.over {
        meter.tick()?;
        if !replay.apply(row) {
            return Ok(None);
        }
    }
    Ok(replay.keeps_real_time(&object.rows).then_some(replay.order))
}

/// For each place in the order of the hints, the last invocation up to there: whatever returned
/// before it has to be done by then.
fn deadlines(history: &History, hinted: &[(i64, bool, u32)]) -> Vec<u32> {
    let mut last = 0;
    hinted
        .iter()
        .map(|&(_, _, row)| {
            last = last.max(history.inv[row as usize]);
            last
        })
        .collect()
}

fn class_of(history: &History, model: &dyn Model, row: u32) -> Class {
    let row = row as usize;
    let outcome = history.outcome[row];
    Class {
        f: history.f[row],
        key: if model.by_key() {
            Val::NONE
        } else {
            history.key[row]
        },
        arg: history.arg[row],
        result: match outcome {
            Outcome::Ok => history.result[row],
            _ => Val::NONE,
        },
        outcome,
        process: if model.by_process() {
            history.process[row]
        } else {
            0
        },
    }
}

/// Rows without a hint that are still to be done, in order of their invocations.
#[derive(Default)]
struct Free {
    over: Vec<u32>,
    /// Those that never returned.
    lost: Vec<u32>,
}

struct Replay<'a> {
    history: &'a History,
    model: &'a dyn Model,
    state: Vec<u32>,
    next: Vec<u32>,
    order: Vec<u32>,
}

impl<'a> Replay<'a> {
    fn new(history: &'a History, model: &'a dyn Model) -> Replay<'a> {
        Replay {
            history,
            model,
            state: model.initial(&history.values),
            next: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Do an operation, if it can be done now.
    fn apply(&mut self, row: u32) -> bool {
        let class = class_of(self.history, self.model, row);
        self.next.clear();
        match self
            .model
            .step(self.history, &self.state, &class, &mut self.next)
        {
            Step::No => return false,
            Step::Same => {}
            Step::To => std::mem::swap(&mut self.state, &mut self.next),
        }
        self.order.push(row);
        true
    }

    /// Do a row with a hint, and before it what has to be done by `deadline`. Where it cannot be
    /// done, one of the others that have begun may make it possible.
    fn up_to(
        &mut self,
        free: &mut Free,
        row: u32,
        deadline: u32,
        meter: &mut Meter,
    ) -> Result<bool, Stop> {
        let mut due: Vec<u32> = Vec::new();
        let history = self.history;
        let begun =
            |rows: &[u32], by| rows.partition_point(|&other| history.inv[other as usize] < by);
        for at in (0..begun(&free.over, deadline)).rev() {
            meter.tick()?;
            if history.end(free.over[at] as usize) < deadline {
                due.push(free.over.remove(at));
            }
        }
        due.sort_unstable_by_key(|&other| history.end(other as usize));
        for other in due {
            if !self.apply(other) {
                return Ok(false);
            }
        }
        if self.apply(row) {
            return Ok(true);
        }
        let end = history.end(row as usize);
        for rows in [&mut free.over, &mut free.lost] {
            for at in 0..begun(rows, end) {
                meter.tick()?;
                let state = self.state.clone();
                if self.apply(rows[at]) {
                    if self.apply(row) {
                        rows.remove(at);
                        return Ok(true);
                    }
                    self.order.pop();
                    self.state = state;
                }
            }
        }
        Ok(false)
    }

    /// No operation stands behind one that began after its return, and none that is over is
    /// missing.
    fn keeps_real_time(&self, rows: &[u32]) -> bool {
        let history = self.history;
        let mut last = 0;
        let mut done: FxHashSet<u32> = FxHashSet::default();
        for &row in &self.order {
            if history.end(row as usize) < last {
                return false;
            }
            last = last.max(history.inv[row as usize]);
            done.insert(row);
        }
        rows.iter().all(|&row| {
            let class = class_of(history, self.model, row);
            self.model.part(history, &class) != Part::Must || done.contains(&row)
        })
    }
}
