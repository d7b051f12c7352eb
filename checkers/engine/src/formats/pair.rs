//! Events become operations: each completion finds its invocation.
//!
//! A process has at most one operation open. A strict pairer refuses what does not fit; a lenient
//! one goes on and keeps what it found: a completion without an invocation is left out, and an
//! operation whose process invokes another stays open for ever.

use rustc_hash::FxHashMap;

use crate::error::{Error, Result};
use crate::history::{Fault, History, Outcome, NO_TIME, OPEN};
use crate::planted;
use crate::values::Val;

/// The process of an event that names none.
pub const NOBODY: u32 = u32::MAX;
/// Process ids end here: 2^31 and more are for operations without a process.
pub const PROCESS_END: u32 = 1 << 31;
/// The name of an event that names none.
pub const NO_NAME: u16 = u16::MAX;
/// Different names of operations in one history.
pub const NAMES_MAX: usize = 4096;
/// Processes below this have a place in a table of their own.
const DIRECT: u32 = 1 << 20;
const EVENTS_MAX: u32 = OPEN - 2;

/// What an event says of its operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Type {
    Invoke,
    Ok,
    Fail,
    Info,
}

impl Type {
    pub fn of(name: &str) -> Option<Type> {
        Some(match name {
            "invoke" => Type::Invoke,
            "ok" => Type::Ok,
            "fail" => Type::Fail,
            "info" => Type::Info,
            _ => return None,
        })
    }

    pub fn text(self) -> &'static str {
        match self {
            Type::Invoke => "invoke",
            Type::Ok => "ok",
            Type::Fail => "fail",
            Type::Info => "info",
        }
    }
}

/// An event of a client, as a reader found it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Event {
    /// `NOBODY` where none was given.
    pub process: u32,
    pub kind: Type,
    /// Place in the history's `fs`; `NO_NAME` where none was given.
    pub f: u16,
    /// `NONE` where none was given; so are the other values.
    pub key: Val,
    pub value: Val,
    pub node: Val,
    pub error: Val,
    /// `NO_TIME` where none was given.
    pub time: i64,
    /// The number that the file gives it; -1 where none was given.
    pub index: i64,
    /// The server's own order: -1 where none was given.
    pub hint: i64,
    /// Offset in the file.
    pub at: u64,
}

impl Event {
    pub fn new(at: u64) -> Event {
        Event {
            process: NOBODY,
            kind: Type::Invoke,
            f: NO_NAME,
            key: Val::NONE,
            value: Val::NONE,
            node: Val::NONE,
            error: Val::NONE,
            time: NO_TIME,
            index: -1,
            hint: -1,
            at,
        }
    }
}

/// What takes the events of a file, in order.
pub trait Sink {
    fn history(&mut self) -> &mut History;

    fn event(&mut self, event: &Event) -> Result<()>;

    /// What a nemesis did.
    fn fault(&mut self, name: &str, value: Val, time: i64) {
        let history = self.history();
        history.faults.push(Fault {
            f: name.to_string(),
            value,
            position: history.events,
            time_ns: time,
        });
    }

    /// Something at this offset was left out because it cannot be read.
    fn hole(&mut self, at: u64, why: String);
}

/// Something that was left out or does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// Offset in the file.
    pub at: u64,
    /// Number of client events before it.
    pub position: u32,
    /// "unreadable", "no-invocation", "still-open", "other-name", "other-key".
    pub rule: &'static str,
    pub text: String,
}

/// Builds a history from events.
#[derive(Default)]
pub struct Pairer {
    pub history: History,
    lenient: bool,
    /// What a lenient pairer left out, and every hole.
    pub odd: Vec<Odd>,
    /// Row of the open operation of a small process id, `OPEN` where there is none.
    direct: Vec<u32>,
    far: FxHashMap<u32, u32>,
    /// Rows of open operations without a process.
    loose: Vec<u32>,
    nobodies: u32,
    /// The time of the last event that has one, and whether one was before an earlier one's.
    latest: i64,
    back: bool,
}

impl Pairer {
    pub fn new(lenient: bool) -> Pairer {
        Pairer {
            lenient,
            ..Pairer::default()
        }
    }

    /// The history: all that is open stays open.
    pub fn finish(self) -> (History, Vec<Odd>) {
        let mut history = self.history;
        history.times_in_order = !self.back;
        if !history.faults.is_empty() {
            // What a nemesis did is no operation, and a model need not have it.
            history.drop_unused_names();
        }
        let rows = history.len();
        for column in [&mut history.node, &mut history.error] {
            if !column.is_empty() {
                column.resize(rows, Val::NONE);
            }
        }
        if !history.hint.is_empty() {
            history.hint.resize(rows, -1);
        }
        if history
            .process
            .iter()
            .all(|&process| process >= PROCESS_END)
        {
            history
                .process
                .iter_mut()
                .for_each(|process| *process -= PROCESS_END);
        }
        (history, self.odd)
    }

    fn odd(&mut self, at: u64, rule: &'static str, text: String) -> Result<()> {
        if !self.lenient {
            return Err(Error::at_byte(at, text));
        }
        let position = self.history.events;
        self.odd.push(Odd {
            at,
            position,
            rule,
            text,
        });
        Ok(())
    }

    #[inline]
    fn open_of(&mut self, process: u32) -> u32 {
        if process < DIRECT {
            return self.direct.get(process as usize).copied().unwrap_or(OPEN);
        }
        self.far.get(&process).copied().unwrap_or(OPEN)
    }

    #[inline]
    fn set_open(&mut self, process: u32, row: u32) {
        if process < DIRECT {
            let at = process as usize;
            if at >= self.direct.len() {
                self.direct.resize((at + 1).next_power_of_two(), OPEN);
            }
            self.direct[at] = row;
        } else if row == OPEN {
            self.far.remove(&process);
        } else {
            self.far.insert(process, row);
        }
    }

    fn invoke(&mut self, event: &Event) -> Result<()> {
        let process = event.process;
        let row = self.history.len() as u32;
        let number = if process == NOBODY {
            self.loose.push(row);
            self.nobodies += 1;
            PROCESS_END + (self.nobodies - 1)
        } else {
            let open = self.open_of(process);
            if open != OPEN {
                let f = self.name(event.f).to_string();
                let since = self.history.inv[open as usize];
                let text = format!(
                    "event {}: process {process} invokes {f:?} while event {since} of the same \
                     process is still open",
                    self.history.events
                );
                self.odd(event.at, "still-open", text)?;
            }
            self.set_open(process, row);
            process
        };
        let f = if event.f == NO_NAME {
            self.history.name("txn")
        } else {
            event.f
        };
        let h = &mut self.history;
        h.process.push(number);
        h.f.push(f);
        h.key.push(event.key);
        h.arg.push(if event.value.is_none() {
            Val::NIL
        } else {
            event.value
        });
        h.result.push(Val::NONE);
        h.outcome.push(Outcome::Info);
        h.inv.push(h.events);
        h.ret.push(OPEN);
        h.inv_ns.push(event.time);
        h.ret_ns.push(NO_TIME);
        h.events += 1;
        self.extras(row as usize, event);
        Ok(())
    }

    fn complete(&mut self, event: &Event) -> Result<()> {
        let row = if event.process == NOBODY {
            self.loose_row(event)
        } else {
            self.open_of(event.process)
        };
        if row == OPEN {
            let (f, kind) = (self.name(event.f).to_string(), event.kind.text());
            let who = match event.process {
                NOBODY => "an operation without a process".to_string(),
                process => format!("process {process}"),
            };
            let position = self.history.events;
            let text =
                format!("event {position}: {who} completes {f:?} ({kind}) without an invoke");
            return self.odd(event.at, "no-invocation", text);
        }
        let at = row as usize;
        if event.f != NO_NAME && event.f != self.history.f[at] {
            let (was, is) = (self.name(self.history.f[at]), self.name(event.f));
            let text = format!(
                "process {} completes {is:?}, and invoked {was:?}",
                event.process
            );
            return self.odd(event.at, "other-name", text);
        }
        let h = &mut self.history;
        if !event.key.is_none() && event.key != h.key[at] {
            let (was, is) = (h.values.json(h.key[at]), h.values.json(event.key));
            let text = format!("process {} completes key {is}, not {was}", event.process);
            return self.odd(event.at, "other-key", text);
        }
        h.outcome[at] = match event.kind {
            Type::Ok => Outcome::Ok,
            Type::Fail => Outcome::Fail,
            _ => planted!("pair-info", Outcome::Info, Outcome::Fail),
        };
        h.result[at] = match event.value {
            Val::NONE if event.kind == Type::Ok => Val::NIL,
            value => value,
        };
        h.ret[at] = h.events;
        h.ret_ns[at] = event.time;
        h.events += 1;
        match event.process {
            NOBODY => self.loose.retain(|&open| open != row),
            process => self.set_open(process, OPEN),
        }
        self.extras(at, event);
        Ok(())
    }

    /// The open operation that an event without a process completes: the only one of its name, or
    /// the only one of its name and value.
    fn loose_row(&self, event: &Event) -> u32 {
        let h = &self.history;
        let named = |row: &&u32| event.f == NO_NAME || h.f[**row as usize] == event.f;
        let mut found = self.loose.iter().filter(named);
        match (found.next(), found.next()) {
            (Some(&row), None) => row,
            (None, _) => OPEN,
            _ => {
                let mut same = self
                    .loose
                    .iter()
                    .filter(named)
                    .filter(|row| h.arg[**row as usize] == event.value);
                match (same.next(), same.next()) {
                    (Some(&row), None) => row,
                    _ => OPEN,
                }
            }
        }
    }

    #[inline(always)]
    fn extras(&mut self, row: usize, event: &Event) {
        if (event.node.0 & event.error.0) != Val::NONE.0 || event.hint >= 0 {
            self.put_extras(row, event);
        }
    }

    fn put_extras(&mut self, row: usize, event: &Event) {
        let h = &mut self.history;
        if !event.node.is_none() {
            h.node.resize(h.node.len().max(row + 1), Val::NONE);
            h.node[row] = event.node;
        }
        if !event.error.is_none() && event.kind != Type::Invoke {
            h.error.resize(h.error.len().max(row + 1), Val::NONE);
            h.error[row] = event.error;
        }
        if event.hint >= 0 {
            h.hint.resize(h.hint.len().max(row + 1), -1);
            h.hint[row] = event.hint;
        }
    }

    fn name(&self, f: u16) -> &str {
        self.history.fs.get(f as usize).map_or("?", String::as_str)
    }
}

impl Sink for Pairer {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    #[inline]
    fn event(&mut self, event: &Event) -> Result<()> {
        if self.history.events >= EVENTS_MAX || self.history.len() >= PROCESS_END as usize - 1 {
            return Err(Error::at_byte(
                event.at,
                "more events than 32 bits can count",
            ));
        }
        if event.time != NO_TIME {
            self.back |= event.time < self.latest;
            self.latest = event.time;
        }
        if event.kind == Type::Invoke {
            self.invoke(event)
        } else {
            self.complete(event)
        }
    }

    fn hole(&mut self, at: u64, text: String) {
        let position = self.history.events;
        self.odd.push(Odd {
            at,
            position,
            rule: "unreadable",
            text,
        });
    }
}
