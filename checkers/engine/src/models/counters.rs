//! Counters: one that is added to and read, and one whose additions say what they found.
//!
//! A state is the sum as 128 bits in four words, the lowest first: 2^32 additions of 64 bits fit.

use crate::budget::{Meter, Stop};
use crate::error::Result;
use crate::fast::{counter, fetched};
use crate::history::{History, Outcome};
use crate::model::{Class, Fast, Model, Step};
use crate::models::{said, start};
use crate::spec::Spec;
use crate::split::Object;
use crate::values::{Val, Values};

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Does {
    Read,
    /// Add so much.
    Add(i64),
}

/// Which sum the result of an addition is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returns {
    Nothing,
    /// The sum before the addition.
    Old,
    New,
}

/// A counter; `fetch` is the one whose additions return the sum: the old one, except from
/// operations that are named "...-and-get", unless `returns=old|new` says which.
pub struct Counter {
    name: String,
    pub init: i64,
    pub fetch: bool,
    returns: Option<Returns>,
    nil_unknown: bool,
}

impl Counter {
    pub fn make(spec: &Spec) -> Result<Counter> {
        let fetch = spec.name == "fetch-and-add";
        if fetch {
            spec.only(&["init", "nil", "returns"])?;
        } else {
            spec.only(&["init", "nil"])?;
        }
        let returns = match start::word(spec, "returns", &["", "old", "new"])? {
            "old" => Some(Returns::Old),
            "new" => Some(Returns::New),
            _ => None,
        };
        Ok(Counter {
            name: start::named(spec),
            init: start::whole(spec, "init", 0)?,
            fetch,
            returns,
            nil_unknown: start::nil_unknown(spec)?,
        })
    }

    /// What an operation does and returns. Err says what is wrong with it.
    pub fn does(
        &self,
        values: &Values,
        f: &str,
        arg: Val,
    ) -> std::result::Result<(Does, Returns), String> {
        let plain = said::plain(f);
        let old = self.returns.unwrap_or(Returns::Old);
        let new = self.returns.unwrap_or(Returns::New);
        let (sign, returns) = match (self.fetch, plain.as_str()) {
            (_, "read" | "get") => return Ok((Does::Read, Returns::Nothing)),
            (false, "add" | "inc" | "increment" | "incr") => (1, Returns::Nothing),
            (false, "dec" | "decrement" | "decr" | "sub" | "subtract") => (-1, Returns::Nothing),
            (true, "fetchandadd" | "getandadd" | "fetchadd" | "faa" | "add") => (1, old),
            (true, "fetchandinc" | "fetchandincrement" | "getandincrement" | "inc") => (1, old),
            (true, "addandget" | "incrementandget" | "incandget") => (1, new),
            _ => return Err(format!("{} has no operation {f}", self.name)),
        };
        if arg.is_none() || arg.is_nil() {
            return match plain.contains("add") || plain.starts_with("sub") {
                true => Err(format!("{f} takes a whole number")),
                false => Ok((Does::Add(sign), returns)),
            };
        }
        match values
            .as_int(arg)
            .and_then(|number| number.checked_mul(sign))
        {
            Some(number) => Ok((Does::Add(number), returns)),
            None => Err(format!(
                "{f} takes a whole number of at most 64 bits, not {}",
                values.json(arg)
            )),
        }
    }

    fn does_of(&self, history: &History, op: &Class) -> Option<(Does, Returns)> {
        let f = history.fs.get(op.f as usize)?;
        self.does(&history.values, f, op.arg).ok()
    }

    /// The sum that the result says, `None` where it says nothing.
    pub fn seen(&self, values: &Values, outcome: Outcome, result: Val) -> Option<i64> {
        match outcome {
            Outcome::Ok => values.as_int(result),
            _ => None,
        }
    }
}

fn words(sum: i128) -> [u32; 4] {
    let sum = sum as u128;
    [
        sum as u32,
        (sum >> 32) as u32,
        (sum >> 64) as u32,
        (sum >> 96) as u32,
    ]
}

fn sum_of(state: &[u32]) -> i128 {
    let mut sum = 0u128;
    for (i, &word) in state.iter().take(4).enumerate() {
        sum |= u128::from(word) << (32 * i);
    }
    sum as i128
}

impl Model for Counter {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fs(&self) -> &[&'static str] {
        if self.fetch {
            &[
                "fetch-and-add",
                "fetch-and-inc",
                "add-and-get",
                "inc-and-get",
                "get-and-add",
                "fetch-add",
                "faa",
                "fetch-and-increment",
                "get-and-increment",
                "increment-and-get",
                "add",
                "inc",
                "read",
                "get",
            ]
        } else {
            &[
                "add",
                "inc",
                "dec",
                "read",
                "increment",
                "incr",
                "decrement",
                "decr",
                "sub",
                "subtract",
                "get",
            ]
        }
    }

    fn order_free(&self) -> bool {
        true
    }

    fn initial(&self, _: &Values) -> Vec<u32> {
        words(i128::from(self.init)).to_vec()
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        let Some((does, returns)) = self.does_of(history, op) else {
            return Step::No;
        };
        let old = sum_of(state);
        let add = match does {
            Does::Read => 0,
            Does::Add(number) => i128::from(number),
        };
        let new = old.wrapping_add(add);
        if let Some(seen) = self.seen(&history.values, op.outcome, op.result) {
            let said = match (does, returns) {
                (Does::Read, _) | (_, Returns::Old) => Some(old),
                (_, Returns::New) => Some(new),
                (_, Returns::Nothing) => None,
            };
            if said.is_some_and(|sum| sum != i128::from(seen)) {
                return Step::No;
            }
        }
        if add == 0 {
            return Step::Same;
        }
        next.extend_from_slice(&words(new));
        Step::To
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        matches!(
            self.does_of(history, op),
            Some((Does::Read | Does::Add(0), _))
        )
    }

    fn is_blind(&self, history: &History, op: &Class) -> bool {
        match self.does_of(history, op) {
            Some((Does::Read, _)) => self.seen(&history.values, op.outcome, op.result).is_none(),
            Some((Does::Add(0), returns)) => returns == Returns::Nothing,
            _ => false,
        }
    }

    fn accepts(&self, history: &History, op: &Class) -> std::result::Result<(), String> {
        let values = &history.values;
        let f = &history.fs[op.f as usize];
        let (does, returns) = self.does(values, f, op.arg)?;
        let says = does == Does::Read || returns != Returns::Nothing;
        if op.outcome != Outcome::Ok || !says || op.result.is_none() {
            return Ok(());
        }
        if op.result.is_nil() && (self.nil_unknown || does != Does::Read) {
            return Ok(());
        }
        match self.seen(values, op.outcome, op.result) {
            Some(_) => Ok(()),
            None => Err(format!(
                "{}: result {} is no whole number of at most 64 bits",
                said::shown(values, f, op),
                values.json(op.result)
            )),
        }
    }

    fn fast(
        &self,
        history: &History,
        object: &Object,
        meter: &mut Meter,
    ) -> std::result::Result<Fast, Stop> {
        let values = &history.values;
        let told = |row: u32, known: bool| {
            let row = row as usize;
            let does = self.does(values, history.f_of(row), history.arg[row]).ok();
            let seen = known.then(|| values.as_int(history.result[row])).flatten();
            (does, seen)
        };
        if self.fetch {
            let label = |row, known| match told(row, known) {
                (Some((Does::Read, _)), seen) => {
                    seen.map_or(fetched::Label::Nothing, fetched::Label::Read)
                }
                (Some((Does::Add(more), Returns::New)), seen) => {
                    fetched::Label::Add(more, seen.and_then(|seen| seen.checked_sub(more)))
                }
                (Some((Does::Add(more), _)), seen) => fetched::Label::Add(more, seen),
                (None, _) => fetched::Label::Nothing,
            };
            return fetched::judge(history, object, self.init, label, meter);
        }
        let label = |row, known| match told(row, known) {
            (Some((Does::Read, _)), seen) => {
                seen.map_or(counter::Label::Nothing, counter::Label::Read)
            }
            (Some((Does::Add(more), _)), _) => counter::Label::Add(more),
            (None, _) => counter::Label::Nothing,
        };
        counter::judge(history, object, self.init, label, meter)
    }
}
