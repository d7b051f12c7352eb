//! The fields of an event, whatever notation they were written in, and the event that they make.

use super::pair::{Event, Sink, Type, NAMES_MAX, NOBODY, NO_NAME, PROCESS_END};
use super::scan::Halt;
use crate::history::{History, NO_TIME};
use crate::values::{Look, Val, Values};

/// A field that a reader knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Field {
    Process,
    Type,
    F,
    Value,
    Key,
    Time,
    Index,
    Node,
    Error,
    /// Hints of the server's order.
    Hints,
    /// What kind of line it is.
    Ev,
    Other,
}

/// Who did it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Who {
    Nobody,
    Number(u32),
    /// A nemesis.
    Name,
}

/// The fields of one event.
pub struct Fields {
    pub event: Event,
    pub who: Who,
    pub kind: Option<Type>,
    /// Whether each field was given, a bit each.
    pub given: u16,
}

impl Fields {
    pub fn new(at: u64) -> Fields {
        Fields {
            event: Event::new(at),
            who: Who::Nobody,
            kind: None,
            given: 0,
        }
    }

    #[inline]
    pub fn has(&self, field: Field) -> bool {
        self.given & (1 << field as u16) != 0
    }

    #[inline]
    pub fn give(&mut self, field: Field) {
        self.given |= 1 << field as u16;
    }

    /// Take a field's value. `at` is where it stands.
    pub fn set(
        &mut self,
        field: Field,
        value: Val,
        at: usize,
        history: &mut History,
    ) -> Result<(), Halt> {
        let values = &history.values;
        self.give(field);
        match field {
            Field::Process => self.who = who(values, value, at)?,
            Field::Type => self.kind = Some(kind(values, value, at)?),
            Field::F => self.event.f = name_of(history, value, at)?,
            Field::Value => self.event.value = value,
            Field::Key if value.is_nil() => self.event.key = Val::NONE,
            Field::Key => self.event.key = value,
            Field::Time => self.event.time = time(values, value, at)?,
            Field::Index => self.event.index = values.as_int(value).unwrap_or(-1),
            Field::Node if value.is_nil() => self.event.node = Val::NONE,
            Field::Node => self.event.node = value,
            Field::Error if value.is_nil() => self.event.error = Val::NONE,
            Field::Error => self.event.error = value,
            Field::Hints => self.event.hint = hint(values, value),
            Field::Ev | Field::Other => {}
        }
        Ok(())
    }

    /// Take a plain number, where the field is one for numbers.
    #[inline]
    pub fn set_number(&mut self, field: Field, number: u64) -> bool {
        match field {
            Field::Process if number < u64::from(PROCESS_END) => {
                self.who = Who::Number(number as u32);
            }
            Field::Time => self.event.time = number as i64,
            Field::Index => self.event.index = number as i64,
            _ => return false,
        }
        self.give(field);
        true
    }

    /// Hand the event over. `at` is where the record begins in its block.
    #[inline(always)]
    pub fn send(&mut self, at: usize, sink: &mut impl Sink) -> Result<(), Halt> {
        let Some(kind) = self.kind else {
            return Err(Halt::bad(at, "no type here: invoke, ok, fail or info"));
        };
        self.event.kind = kind;
        match self.who {
            Who::Number(process) => self.event.process = process,
            Who::Nobody => self.event.process = NOBODY,
            Who::Name => return self.send_fault(at, kind, sink),
        }
        sink.event(&self.event)
            .map_err(|error| Halt::bad(at, error.message))
    }

    #[cold]
    fn send_fault(&mut self, at: usize, kind: Type, sink: &mut impl Sink) -> Result<(), Halt> {
        if kind != Type::Info {
            let why = "process must be a number from 0 where the type is not info";
            return Err(Halt::bad(at, why));
        }
        let history = sink.history();
        let name = match self.event.f {
            NO_NAME => String::new(),
            f => history.fs.get(f as usize).cloned().unwrap_or_default(),
        };
        sink.fault(&name, self.event.value, self.event.time);
        Ok(())
    }
}

fn who(values: &Values, value: Val, at: usize) -> Result<Who, Halt> {
    match values.look(value) {
        Look::Int(number) if (0..i64::from(PROCESS_END)).contains(&number) => {
            Ok(Who::Number(number as u32))
        }
        Look::Nil => Ok(Who::Nobody),
        Look::Str(_) | Look::Keyword(_) => Ok(Who::Name),
        _ => Err(Halt::bad(
            at,
            format!(
                "process must be a number from 0, not {}",
                short(values, value)
            ),
        )),
    }
}

fn kind(values: &Values, value: Val, at: usize) -> Result<Type, Halt> {
    values.as_name(value).and_then(Type::of).ok_or_else(|| {
        let found = short(values, value);
        Halt::bad(
            at,
            format!("type must be invoke, ok, fail or info, not {found}"),
        )
    })
}

fn time(values: &Values, value: Val, at: usize) -> Result<i64, Halt> {
    match values.look(value) {
        Look::Nil => Ok(NO_TIME),
        Look::Int(number) => Ok(number.max(NO_TIME)),
        Look::Float(number) if (0.0..9.2e18).contains(&number) => Ok(number as i64),
        _ => Err(Halt::bad(
            at,
            format!(
                "time must be nanoseconds from 0, not {}",
                short(values, value)
            ),
        )),
    }
}

/// The place of an operation's name.
pub fn name_of(history: &mut History, value: Val, at: usize) -> Result<u16, Halt> {
    let History { values, fs, .. } = history;
    if value.is_nil() {
        return Ok(NO_NAME);
    }
    let Some(name) = values.as_name(value) else {
        let found = short(values, value);
        return Err(Halt::bad(at, format!("f must be a name, not {found}")));
    };
    if let Some(place) = fs.iter().position(|known| known == name) {
        return Ok(place as u16);
    }
    if fs.len() >= NAMES_MAX {
        let why = format!("more than {NAMES_MAX} different names of operations");
        return Err(Halt::bad(at, why));
    }
    fs.push(name.to_string());
    Ok((fs.len() - 1) as u16)
}

/// The server's order, from the hints of an operation: revision, zxid, offset or log index.
fn hint(values: &Values, hints: Val) -> i64 {
    let Look::Map(pairs) = values.look(hints) else {
        return -1;
    };
    for name in ["rev", "revision", "zxid", "offset", "index"] {
        for pair in pairs.chunks_exact(2) {
            if values.as_name(pair[0]) == Some(name) {
                return values.as_int(pair[1]).filter(|&n| n >= 0).unwrap_or(-1);
            }
        }
    }
    -1
}

/// The beginning of a value, for messages.
pub fn short(values: &Values, value: Val) -> String {
    let text = values.json(value);
    if text.chars().count() <= 60 {
        return text;
    }
    text.chars().take(57).chain("...".chars()).collect()
}
