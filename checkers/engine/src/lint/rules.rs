//! The rules that look at a history's columns.

use hashbrown::hash_map::Entry;
use rustc_hash::FxBuildHasher;

use super::values::{is_message, Acts, Put, Role};
use super::{Lint, Severity};
use crate::budget::{Budget, Meter};
use crate::error::Result;
use crate::history::{History, Outcome, NO_TIME, OPEN};
use crate::planted;
use crate::values::{Look, Val};

type Map<K, V> = hashbrown::HashMap<K, V, FxBuildHasher>;

/// Words in the error of a failed operation that do not say that nothing happened.
const INDEFINITE: &[&str] = &[
    "timeout",
    "timed out",
    "timed-out",
    "time out",
    "unknown",
    "indeterminate",
    "interrupted",
    "connection",
    "socket",
    "broken pipe",
    "no response",
    "closed",
    "eof",
];
/// Threads that take the time before they wait for the file's lock are out of order by less.
const CLOCK_BACK_NS: i64 = 1_000_000;
/// Words that do say so, whatever else stands there.
const DEFINITE: &[&str] = &["refused"];

/// All findings of all rules.
pub fn all(history: &History, budget: &Budget) -> Result<Vec<Lint>> {
    let mut meter = budget.meter();
    let acts = Acts::new(history);
    // A table of all that was written, and the times of all events.
    budget.fits(history.len() * 24 + history.events as usize * 8)?;
    let puts = Puts::new(&acts, &mut meter)?;
    let mut found = Vec::new();
    found.extend(failed_write_read(&acts, &puts, &mut meter)?);
    found.extend(puts.twice(&acts));
    found.extend(other_value(&acts, &mut meter)?);
    found.extend(nil_read(&acts, &mut meter)?);
    found.extend(indefinite_fail(&acts, &mut meter)?);
    found.extend(process_reused(history, &mut meter)?);
    found.extend(clock_back(history, &mut meter)?);
    found.extend(never_completed(history));
    Ok(found)
}

/// A value as it is shown, cut where it is long.
fn show(history: &History, value: Val) -> String {
    let text = history.values.json(value);
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

/// Who put a value somewhere.
#[derive(Clone, Copy)]
struct Writers {
    /// The first row that did, and the first that may have: `OPEN` where all failed.
    failed: u32,
    other: u32,
    times: u32,
}

struct Puts {
    by: Map<Put, Writers>,
    /// Rows that put what another row had put, in order.
    again: Vec<u32>,
}

impl Puts {
    fn new(acts: &Acts, meter: &mut Meter) -> Result<Puts> {
        let mut puts = Puts {
            by: Map::default(),
            again: Vec::new(),
        };
        for row in 0..acts.history.len() {
            meter.tick()?;
            let failed = acts.history.outcome[row] == Outcome::Fail;
            for put in acts.puts(row) {
                let at = row as u32;
                match puts.by.entry(put) {
                    Entry::Vacant(entry) => {
                        entry.insert(Writers {
                            failed: if failed { at } else { OPEN },
                            other: if failed { OPEN } else { at },
                            times: u32::from(!failed),
                        });
                    }
                    Entry::Occupied(mut entry) => {
                        let writers = entry.get_mut();
                        if failed {
                            writers.failed = writers.failed.min(at);
                            continue;
                        }
                        writers.other = writers.other.min(at);
                        writers.times += 1;
                        let told =
                            acts.role(row) == Role::Txn || is_message(acts.history.f_of(row));
                        if writers.times > 1 && told {
                            puts.again.push(at);
                        }
                    }
                }
            }
        }
        Ok(puts)
    }

    /// Values that were written twice, where a checker presumes that none was: messages, and what
    /// transactions append to lists or write into registers.
    fn twice(&self, acts: &Acts) -> Vec<Lint> {
        let h = acts.history;
        let mut message = Lint::new("value-twice", Severity::Warning);
        let mut txn = Lint::new("value-twice", Severity::Warning);
        for &row in &self.again {
            let row = row as usize;
            if acts.role(row) == Role::Txn {
                txn.case(row, h.inv[row]);
            } else if is_message(h.f_of(row)) {
                message.case(row, h.inv[row]);
            }
        }
        let first = |lint: &Lint| {
            let row = lint.rows.first().map_or(0, |&row| row as usize);
            let what = show(h, h.arg[row]);
            format!("event {}: {} {what}", h.inv[row], h.f_of(row))
        };
        let message = message.told(|lint| {
            let n = plural(lint.count, "message was", "messages were");
            let first = first(lint);
            format!("{n} sent more than once ({first}): delivered twice looks the same")
        });
        let txn = txn.told(|lint| {
            let n = plural(lint.count, "transaction writes", "transactions write");
            let first = first(lint);
            format!("{n} a value that was written before ({first}): a read does not tell which")
        });
        message.into_iter().chain(txn).collect()
    }
}

/// Reads of a value that only failed operations wrote.
fn failed_write_read(acts: &Acts, puts: &Puts, meter: &mut Meter) -> Result<Option<Lint>> {
    let h = acts.history;
    let mut lint = Lint::new("failed-write-read", Severity::Warning);
    let mut example = None;
    for row in 0..h.len() {
        meter.tick()?;
        if h.outcome[row] != Outcome::Ok {
            continue;
        }
        let sees = acts.sees(row);
        let found = sees.iter().find_map(|&(key, value)| {
            // Nothing and zero may be what was there at the beginning.
            if value.is_nil() || value == Val(0) {
                return None;
            }
            let writers = puts.by.get(&(key, value))?;
            (writers.other == OPEN && writers.failed != OPEN).then_some((value, writers.failed))
        });
        if let Some(found) = found {
            lint.case(row, h.ret[row]);
            example.get_or_insert((row, found));
        }
    }
    Ok(lint.told(|lint| {
        let n = plural(lint.count, "operation saw", "operations saw");
        let (row, (value, writer)) = example.unwrap_or((0, (Val::NIL, 0)));
        let writer = writer as usize;
        format!(
            "{n} a value whose only writer failed: process {} saw {} (event {}), which event {} \
             says was not written; perhaps that fail should be an info",
            h.process[row],
            show(h, value),
            h.ret[row],
            h.ret[writer],
        )
    }))
}

/// Completions with another value than was invoked.
fn other_value(acts: &Acts, meter: &mut Meter) -> Result<Option<Lint>> {
    let h = acts.history;
    let mut lint = Lint::new("other-value", Severity::Warning);
    for row in 0..h.len() {
        meter.tick()?;
        let (arg, result) = (h.arg[row], h.result[row]);
        if h.outcome[row] != Outcome::Ok || arg == result || arg.is_nil() || result.is_nil() {
            continue;
        }
        let other = match acts.role(row) {
            Role::Txn => !same_shape(acts, arg, result),
            // A result of another kind is an answer and not the value again.
            Role::Write | Role::Cas => {
                std::mem::discriminant(&h.values.look(arg))
                    == std::mem::discriminant(&h.values.look(result))
            }
            _ => false,
        };
        if other {
            lint.case(row, h.ret[row]);
        }
    }
    Ok(lint.told(|lint| {
        let n = plural(lint.count, "operation completes", "operations complete");
        let row = lint.rows.first().map_or(0, |&row| row as usize);
        format!(
            "{n} with another value than was invoked: process {} invoked {} {} and completed {} \
             (event {})",
            h.process[row],
            h.f_of(row),
            show(h, h.arg[row]),
            show(h, h.result[row]),
            h.ret[row]
        )
    }))
}

/// A transaction's result is the transaction, with what was read filled in.
fn same_shape(acts: &Acts, arg: Val, result: Val) -> bool {
    let list = |txn| {
        let mut ops: Vec<(bool, Val, Val)> = Vec::new();
        acts.each_op(txn, |name, key, value| {
            let read = matches!(name, "r" | "read");
            ops.push((read, key, if read { Val::NIL } else { value }));
        });
        ops
    };
    list(arg) == list(result)
}

/// Reads of nil after something was written: whether nil is "absent" or "unknown" decides.
fn nil_read(acts: &Acts, meter: &mut Meter) -> Result<Option<Lint>> {
    let h = acts.history;
    // Position at which the first write of a key had returned.
    let mut written: Map<Val, u32> = Map::default();
    for row in 0..h.len() {
        meter.tick()?;
        if h.outcome[row] == Outcome::Ok && acts.role(row) == Role::Write {
            let (key, _) = match h.values.as_list(h.arg[row]) {
                Some(&[key, value]) if h.key[row].is_none() => (key, value),
                _ => (h.key[row], h.arg[row]),
            };
            for key in [key, h.key[row]] {
                let first = written.entry(key).or_insert(OPEN);
                *first = (*first).min(h.ret[row]);
            }
        }
    }
    let mut lint = Lint::new("nil-read", Severity::Warning);
    for row in 0..h.len() {
        meter.tick()?;
        if h.outcome[row] != Outcome::Ok || acts.role(row) != Role::Read {
            continue;
        }
        let (key, value) = acts.keyed(row, h.result[row]);
        let after = written.get(&key).is_some_and(|&first| first < h.inv[row]);
        if value.is_nil() && planted!("lint-nil-anywhere", after, true) {
            lint.case(row, h.ret[row]);
        }
    }
    Ok(lint.told(|lint| {
        let n = plural(lint.count, "read after a write", "reads after a write");
        let row = lint.rows.first().map_or(0, |&row| row as usize);
        format!(
            "{n} returned nil (the first: process {}, event {}): nil=absent and nil=unknown give \
             different verdicts",
            h.process[row], h.ret[row]
        )
    }))
}

/// Updates that failed with an error that does not say that nothing happened.
fn indefinite_fail(acts: &Acts, meter: &mut Meter) -> Result<Option<Lint>> {
    let h = acts.history;
    let mut lint = Lint::new("indefinite-fail", Severity::Warning);
    // Errors repeat: each is looked at once.
    let mut known: Map<Val, bool> = Map::default();
    for row in 0..h.len() {
        meter.tick()?;
        let error = h.error.get(row).copied().unwrap_or(Val::NONE);
        if error.is_none() || h.outcome[row] != Outcome::Fail || acts.role(row) == Role::Read {
            continue;
        }
        let indefinite = *known.entry(error).or_insert_with(|| {
            let text = h.values.json(error).to_lowercase();
            let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
            any(INDEFINITE) && !any(DEFINITE)
        });
        if indefinite {
            lint.case(row, h.ret[row]);
        }
    }
    Ok(lint.told(|lint| {
        let n = plural(lint.count, "update failed", "updates failed");
        let row = lint.rows.first().map_or(0, |&row| row as usize);
        let error = h.error.get(row).copied().unwrap_or(Val::NIL);
        format!(
            "{n} with an error that does not say that nothing happened: process {}, {} {}, error \
             {} (event {}); if it may have happened it is an info",
            h.process[row],
            h.f_of(row),
            show(h, h.arg[row]),
            show(h, error),
            h.ret[row]
        )
    }))
}

/// Processes that go on after an operation whose outcome they never learned.
fn process_reused(history: &History, meter: &mut Meter) -> Result<Option<Lint>> {
    let h = history;
    let mut ended: Map<u32, u32> = Map::default();
    let mut lint = Lint::new("process-reused", Severity::Note);
    for row in 0..h.len() {
        meter.tick()?;
        if ended.remove(&h.process[row]).is_some() {
            lint.case(row, h.inv[row]);
        }
        if h.outcome[row] == Outcome::Info {
            ended.insert(h.process[row], row as u32);
        }
    }
    Ok(lint.told(|lint| {
        let n = plural(lint.count, "process goes", "times a process goes");
        let row = lint.rows.first().map_or(0, |&row| row as usize);
        format!(
            "{n} on after an info (the first: process {} at event {}): its old operation may still \
             take effect while it does the next",
            h.process[row], h.inv[row]
        )
    }))
}

/// Events whose time is before that of an event before them.
fn clock_back(history: &History, meter: &mut Meter) -> Result<Option<Lint>> {
    let h = history;
    let mut times = vec![(NO_TIME, 0u32); 0];
    times.resize(h.events as usize, (NO_TIME, 0));
    for row in 0..h.len() {
        meter.tick()?;
        for (event, time) in [(h.inv[row], h.inv_ns[row]), (h.ret[row], h.ret_ns[row])] {
            if let Some(slot) = times.get_mut(event as usize) {
                *slot = (time, row as u32);
            }
        }
    }
    let mut lint = Lint::new("clock-back", Severity::Note);
    let (mut latest, mut largest) = (NO_TIME, 0);
    for (event, &(time, row)) in times.iter().enumerate() {
        meter.tick()?;
        if time == NO_TIME {
            continue;
        }
        if time < latest {
            lint.case(row as usize, event as u32);
            largest = largest.max(latest - time);
        }
        latest = planted!("lint-clock", latest.max(time), latest);
    }
    if largest >= CLOCK_BACK_NS {
        lint.severity = Severity::Warning;
    }
    Ok(lint.told(|lint| {
        let n = plural(lint.count, "event has", "events have");
        let event = lint.events.first().copied().unwrap_or(0);
        format!(
            "{n} an earlier time than one before it (the first: event {event}; at most {} ns \
             back): what counts is the order of the events, not their times",
            largest
        )
    }))
}

/// Operations without a completion.
fn never_completed(history: &History) -> Option<Lint> {
    let h = history;
    let mut lint = Lint::new("never-completed", Severity::Note);
    for row in 0..h.len() {
        if h.ret[row] == OPEN {
            lint.case(row, h.inv[row]);
        }
    }
    lint.told(|lint| {
        let n = plural(
            lint.count,
            "operation never completes",
            "operations never complete",
        );
        let row = lint.rows.first().map_or(0, |&row| row as usize);
        let what = match h.values.look(h.arg[row]) {
            Look::Nil => h.f_of(row).to_string(),
            _ => format!("{} {}", h.f_of(row), show(h, h.arg[row])),
        };
        format!(
            "{n} (the first: process {}, {what}, event {}): they count as info, for ever",
            h.process[row], h.inv[row]
        )
    })
}
