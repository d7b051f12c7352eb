//! The rules that look at a history's columns.

use rustc_hash::FxBuildHasher;

use super::seen::Seen;
use super::values::{is_message, role, Acts, Put, Role};
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

/// All findings of all rules. A history has most of what they look for nowhere: each finds that out
/// in a pass over columns, and makes a table of what it must only.
pub fn all(history: &History, budget: &Budget) -> Result<Vec<Lint>> {
    let mut meter = budget.meter();
    let acts = Acts::new(history);
    let mut found = Vec::new();
    found.extend(failed_write_read(&acts, &mut meter)?);
    found.extend(put_twice(&acts, &mut meter)?);
    found.extend(other_value(&acts, &mut meter)?);
    found.extend(nil_read(&acts, &mut meter)?);
    found.extend(indefinite_fail(&acts, &mut meter)?);
    found.extend(process_reused(history, &mut meter)?);
    if !history.times_in_order {
        found.extend(clock_back(history, &mut meter)?);
    }
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

/// Values that were written twice, where a checker presumes that none was: messages, and what
/// transactions append to lists or write into registers.
fn put_twice(acts: &Acts, meter: &mut Meter) -> Result<Vec<Lint>> {
    let h = acts.history;
    let mut message = Lint::new("value-twice", Severity::Warning);
    let mut txn = Lint::new("value-twice", Severity::Warning);
    if h.fs.iter().any(|f| is_message(f) || role(f) == Role::Txn) {
        let mut seen = Seen::default();
        for row in 0..h.len() {
            meter.tick()?;
            if h.outcome[row] == Outcome::Fail {
                continue;
            }
            let of = match acts.role(row) {
                Role::Txn => Some(&mut txn),
                _ if is_message(h.f_of(row)) => Some(&mut message),
                _ => None,
            };
            let mut again = 0;
            acts.each_put(row, |key, value| {
                again += u32::from(!seen.insert(key, value))
            });
            if let Some(lint) = of {
                (0..again).for_each(|_| lint.case(row, h.inv[row]));
            }
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
    Ok(message.into_iter().chain(txn).collect())
}

/// What only failed operations put somewhere, with the first row that did.
fn only_failed(acts: &Acts, meter: &mut Meter) -> Result<Map<Put, u32>> {
    let h = acts.history;
    let mut failed: Map<Put, u32> = Map::default();
    for row in 0..h.len() {
        meter.tick()?;
        if h.outcome[row] == Outcome::Fail {
            acts.each_put(row, |key, value| {
                failed.entry((key, value)).or_insert(row as u32);
            });
        }
    }
    for row in 0..h.len() {
        meter.tick()?;
        if failed.is_empty() {
            break;
        }
        if h.outcome[row] != Outcome::Fail {
            acts.each_put(row, |key, value| {
                failed.remove(&(key, value));
            });
        }
    }
    Ok(failed)
}

/// Reads of a value that only failed operations wrote.
fn failed_write_read(acts: &Acts, meter: &mut Meter) -> Result<Option<Lint>> {
    let h = acts.history;
    let mut lint = Lint::new("failed-write-read", Severity::Warning);
    let failed = only_failed(acts, meter)?;
    if failed.is_empty() {
        return Ok(None);
    }
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
            failed.get(&(key, value)).map(|&writer| (value, writer))
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
    let shape = |txn| {
        acts.ops(txn).map(|(name, key, value)| {
            let read = matches!(name, "r" | "read");
            (read, key, if read { Val::NIL } else { value })
        })
    };
    shape(arg).eq(shape(result))
}

/// Reads of nil after something was written: whether nil is "absent" or "unknown" decides.
fn nil_read(acts: &Acts, meter: &mut Meter) -> Result<Option<Lint>> {
    let h = acts.history;
    let mut found: Vec<(u32, Val)> = Vec::new();
    for row in 0..h.len() {
        meter.tick()?;
        if h.outcome[row] == Outcome::Ok && acts.role(row) == Role::Read {
            let (key, value) = acts.keyed(row, h.result[row]);
            if value.is_nil() {
                found.push((row as u32, key));
            }
        }
    }
    // Position at which the first write of a key had returned. What is invoked behind the last of
    // those reads is before none of them.
    let mut written: Map<Val, u32> = Map::default();
    for row in 0..found.last().map_or(0, |&(row, _)| row as usize) {
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
    for (row, key) in found {
        let row = row as usize;
        let after = written.get(&key).is_some_and(|&first| first < h.inv[row]);
        if planted!("lint-nil-anywhere", after, true) {
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
    for (row, &error) in h.error.iter().enumerate() {
        meter.tick()?;
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
    let mut ended = Seen::default();
    let mut lint = Lint::new("process-reused", Severity::Note);
    for row in 0..h.len() {
        meter.tick()?;
        let process = Val(h.process[row]);
        if ended.remove(Val::NONE, process) {
            lint.case(row, h.inv[row]);
        }
        if h.outcome[row] == Outcome::Info {
            ended.insert(Val::NONE, process);
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
    meter.budget().fits(h.events as usize * 16)?;
    let mut times = Vec::new();
    times.resize(h.events as usize, (NO_TIME, 0u32));
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
