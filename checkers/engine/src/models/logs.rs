//! Lists that are only appended to: a log in which entries have offsets, and a list that is read
//! whole.
//!
//! A state is the entries in their order.

use crate::budget::{Meter, Stop};
use crate::error::Result;
use crate::fast::{lists, offsets};
use crate::history::{History, Outcome};
use crate::model::{Class, Fast, Model, Step};
use crate::models::{said, start};
use crate::spec::Spec;
use crate::split::Object;
use crate::values::{Val, Values};

/// A log: append returns the offset of the entry, the first of which is `init` (0). Its reads:
///
/// - read of an offset returns the entry there; nil: there was none yet (`nil=unknown`: says
///   nothing);
/// - poll returns pairs `[offset, entry]`, or one list of such pairs under one key, as in Jepsen's
///   kafka: each of them was there. It says nothing of what it does not return.
pub struct Log {
    name: String,
    pub init: i64,
    nil_unknown: bool,
}

/// What an operation on a log does, as far as its result is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Does {
    /// The entry, and the offset that it got.
    Append(Val, Option<i64>),
    /// The entry at an offset, or that there was none yet.
    Read(i64, Option<Val>),
    /// Entries that were there.
    Poll(Vec<(i64, Val)>),
    /// A read that says nothing.
    Nothing,
}

impl Log {
    pub fn make(spec: &Spec) -> Result<Log> {
        spec.only(&["init", "nil"])?;
        Ok(Log {
            name: start::named(spec),
            init: start::whole(spec, "init", 0)?,
            nil_unknown: start::nil_unknown(spec)?,
        })
    }

    /// What an operation does. Err says what is wrong with it.
    pub fn does(
        &self,
        values: &Values,
        f: &str,
        arg: Val,
        result: Option<Val>,
    ) -> std::result::Result<Does, String> {
        let nothing = |value: Val| value.is_none() || value.is_nil();
        match said::plain(f).as_str() {
            "append" | "send" => {
                if nothing(arg) {
                    return Err(format!("{f} takes the entry"));
                }
                let known = result.filter(|value| !nothing(*value));
                let offset = known.map(|value| offset_in(values, f, arg, value));
                Ok(Does::Append(arg, offset.transpose()?))
            }
            "read" if !nothing(arg) => {
                let Some(offset) = values.as_int(arg) else {
                    return Err(format!("{f} takes an offset, not {}", values.json(arg)));
                };
                Ok(match result {
                    Some(value) if !nothing(value) => Does::Read(offset, Some(value)),
                    Some(value) if value.is_nil() && !self.nil_unknown => Does::Read(offset, None),
                    _ => Does::Nothing,
                })
            }
            "poll" | "read" => match result.filter(|value| !nothing(*value)) {
                None => Ok(Does::Nothing),
                Some(value) => match pairs_in(values, value) {
                    Some(pairs) if pairs.is_empty() => Ok(Does::Nothing),
                    Some(pairs) => Ok(Does::Poll(pairs)),
                    None => Err(format!(
                        "{f} returns pairs of offset and entry, not {}",
                        values.json(value)
                    )),
                },
            },
            _ => Err(format!("{} has no operation {f}", self.name)),
        }
    }

    fn does_of(&self, history: &History, op: &Class) -> std::result::Result<Does, String> {
        let f = &history.fs[op.f as usize];
        let result = (op.outcome == Outcome::Ok).then_some(op.result);
        self.does(&history.values, f, op.arg, result)
    }

    /// The entry at an offset is this one.
    fn holds(&self, state: &[u32], offset: i64, entry: Val) -> bool {
        let place = offset
            .checked_sub(self.init)
            .and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| state.get(place)) == Some(&entry.0)
    }
}

/// The offset that an append says: a number, or a pair of it and the entry.
fn offset_in(values: &Values, f: &str, arg: Val, result: Val) -> std::result::Result<i64, String> {
    let offset = match values.as_list(result) {
        Some([offset, entry]) if *entry == arg => *offset,
        _ => result,
    };
    values.as_int(offset).ok_or_else(|| {
        format!(
            "{f} {}: result {} is no offset",
            values.json(arg),
            values.json(result)
        )
    })
}

/// Pairs of offset and entry: a list of them, or a map of one key to such a list.
fn pairs_in(values: &Values, result: Val) -> Option<Vec<(i64, Val)>> {
    use crate::values::Look;
    let list = match values.look(result) {
        Look::List(items) => items,
        Look::Map([]) => &[],
        Look::Map([_, list]) => values.as_list(*list)?,
        _ => return None,
    };
    list.iter()
        .map(|&pair| match values.as_list(pair)? {
            [offset, entry] => Some((values.as_int(*offset)?, *entry)),
            _ => None,
        })
        .collect()
}

impl Model for Log {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fs(&self) -> &[&'static str] {
        &["append", "read", "send", "poll"]
    }

    fn initial(&self, _: &Values) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        let length = self.init.saturating_add(state.len() as i64);
        let legal = match self.does_of(history, op) {
            Err(_) => false,
            Ok(Does::Nothing) => true,
            Ok(Does::Append(entry, offset)) => {
                if offset.is_some_and(|offset| offset != length) {
                    return Step::No;
                }
                next.extend_from_slice(state);
                next.push(entry.0);
                return Step::To;
            }
            Ok(Does::Read(offset, Some(entry))) => self.holds(state, offset, entry),
            Ok(Does::Read(offset, None)) => offset < self.init || offset >= length,
            Ok(Does::Poll(pairs)) => pairs
                .iter()
                .all(|&(offset, entry)| self.holds(state, offset, entry)),
        };
        if legal {
            Step::Same
        } else {
            Step::No
        }
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        !matches!(self.does_of(history, op), Ok(Does::Append(..)) | Err(_))
    }

    fn is_blind(&self, history: &History, op: &Class) -> bool {
        self.does_of(history, op) == Ok(Does::Nothing)
    }

    fn accepts(&self, history: &History, op: &Class) -> std::result::Result<(), String> {
        self.does_of(history, op).map(|_| ())
    }

    fn fast(
        &self,
        history: &History,
        object: &Object,
        meter: &mut Meter,
    ) -> std::result::Result<Fast, Stop> {
        let label = |row: u32, known: bool| {
            let row = row as usize;
            let result = known.then(|| history.result[row]);
            let does = self.does(&history.values, history.f_of(row), history.arg[row], result);
            does.unwrap_or(Does::Nothing)
        };
        offsets::judge(history, object, self.init, label, meter)
    }
}

/// A list that is appended to and read whole. A read of nil saw the empty list (`nil=unknown`:
/// says nothing).
pub struct Append {
    name: String,
    nil_unknown: bool,
}

impl Append {
    pub fn make(spec: &Spec) -> Result<Append> {
        spec.only(&["init", "nil"])?;
        start::word(spec, "init", &["empty"])?;
        Ok(Append {
            name: start::named(spec),
            nil_unknown: start::nil_unknown(spec)?,
        })
    }

    /// The name is that of a read; `None` where there is no such operation.
    pub fn reads(&self, f: &str) -> Option<bool> {
        match said::plain(f).as_str() {
            "append" | "add" => Some(false),
            "read" | "get" => Some(true),
            _ => None,
        }
    }

    /// The list that a read returned; `None` where it says nothing.
    pub fn seen<'a>(&self, values: &'a Values, outcome: Outcome, result: Val) -> Option<&'a [Val]> {
        if outcome != Outcome::Ok {
            return None;
        }
        match values.as_list(result) {
            None if result.is_nil() && !self.nil_unknown => Some(&[]),
            list => list,
        }
    }

    fn reads_of(&self, history: &History, op: &Class) -> Option<bool> {
        self.reads(history.fs.get(op.f as usize)?)
    }
}

impl Model for Append {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fs(&self) -> &[&'static str] {
        &["append", "read", "add", "get"]
    }

    fn initial(&self, _: &Values) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        match self.reads_of(history, op) {
            None => Step::No,
            Some(false) => {
                next.extend_from_slice(state);
                next.push(op.arg.0);
                Step::To
            }
            Some(true) => match self.seen(&history.values, op.outcome, op.result) {
                Some(list) if !list.iter().map(|value| &value.0).eq(state) => Step::No,
                _ => Step::Same,
            },
        }
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        self.reads_of(history, op) == Some(true)
    }

    fn is_blind(&self, history: &History, op: &Class) -> bool {
        self.is_read(history, op) && self.seen(&history.values, op.outcome, op.result).is_none()
    }

    fn accepts(&self, history: &History, op: &Class) -> std::result::Result<(), String> {
        let values = &history.values;
        let f = &history.fs[op.f as usize];
        match self.reads(f) {
            None => Err(format!("{} has no operation {f}", self.name)),
            Some(false) if op.arg.is_none() => Err(format!("{f} takes the element")),
            Some(true)
                if op.outcome == Outcome::Ok
                    && !op.result.is_none()
                    && !op.result.is_nil()
                    && values.as_list(op.result).is_none() =>
            {
                Err(format!(
                    "{f} returns a list, not {}",
                    values.json(op.result)
                ))
            }
            Some(_) => Ok(()),
        }
    }

    fn fast(
        &self,
        history: &History,
        object: &Object,
        meter: &mut Meter,
    ) -> std::result::Result<Fast, Stop> {
        let label = |row: u32, known: bool| {
            let row = row as usize;
            if self.reads(history.f_of(row)) == Some(false) {
                return lists::Label::Append(history.arg[row]);
            }
            match self.seen(&history.values, history.outcome[row], history.result[row]) {
                Some(list) if known => lists::Label::Read(list),
                _ => lists::Label::Nothing,
            }
        };
        lists::judge(history, object, label, meter)
    }
}
