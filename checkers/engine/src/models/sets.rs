//! Sets: with add, remove and contains of single elements, and the one that only grows and is read
//! whole.
//!
//! A state is the elements, sorted.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::budget::{Meter, Stop};
use crate::error::{Error, Result};
use crate::fast;
use crate::history::{History, Outcome};
use crate::model::{Class, Fast, Model, Step};
use crate::models::said;
use crate::spec::Spec;
use crate::split::{self, Object};
use crate::values::{Val, Values};

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Does {
    Add,
    Remove,
    Contains,
    Read,
}

/// A set; `grows` is the one without remove and contains.
pub struct Set {
    pub grows: bool,
}

impl Set {
    pub fn make(spec: &Spec, grows: bool) -> Result<Set> {
        spec.only(&["init"])?;
        if !matches!(spec.get("init"), None | Some("empty")) {
            return Err(Error::new(format!(
                "model {}: init can only be empty",
                spec.name
            )));
        }
        Ok(Set { grows })
    }

    /// What the operation of a name does, `None` where there is no such operation.
    pub fn does(&self, name: &str) -> Option<Does> {
        Some(match (self.grows, said::plain(name).as_str()) {
            (false, "add" | "insert") => Does::Add,
            (false, "remove" | "delete") => Does::Remove,
            (false, "contains" | "member") => Does::Contains,
            (true, "add" | "broadcast") => Does::Add,
            (_, "read") => Does::Read,
            _ => return None,
        })
    }

    /// What an operation does, by its place in the history's names.
    pub fn table(&self, history: &History) -> Vec<Option<Does>> {
        history.fs.iter().map(|name| self.does(name)).collect()
    }

    fn does_of(&self, history: &History, op: &Class) -> Option<Does> {
        self.does(&history.fs[op.f as usize])
    }
}

/// The elements of a full read, sorted; `None` for a read that says nothing.
pub fn elements(values: &Values, op: &Class) -> Option<Vec<u32>> {
    let items = values.as_items(op.result)?;
    let mut words: Vec<u32> = items.iter().map(|item| item.0).collect();
    words.sort_unstable();
    words.dedup();
    Some(words)
}

impl Model for Set {
    fn name(&self) -> String {
        if self.grows { "g-set" } else { "set" }.to_string()
    }

    fn fs(&self) -> &[&'static str] {
        if self.grows {
            &["add", "read", "broadcast"]
        } else {
            &[
                "add", "remove", "contains", "read", "insert", "delete", "member",
            ]
        }
    }

    /// Each element is an object of its own, where the set is not read whole.
    fn objects(&self, history: &History) -> Vec<Object> {
        let table = self.table(history);
        let reads = |row: usize| table[history.f[row] as usize] == Some(Does::Read);
        if self.grows {
            return split::by_key(history);
        }
        let whole: FxHashSet<Val> = (0..history.len())
            .filter(|&row| reads(row))
            .map(|row| history.key[row])
            .collect();
        let mut place: FxHashMap<(Val, Val), usize> = FxHashMap::default();
        let mut objects: Vec<Object> = Vec::new();
        for row in 0..history.len() {
            let (key, element) = (history.key[row], history.arg[row]);
            let (name, part) = if whole.contains(&key) {
                (key, Val::NONE)
            } else if key.is_none() {
                (element, element)
            } else {
                (key, element)
            };
            let at = *place.entry((key, part)).or_insert_with(|| {
                objects.push(Object {
                    key: name,
                    rows: Vec::new(),
                });
                objects.len() - 1
            });
            objects[at].rows.push(row as u32);
        }
        objects
    }

    fn order_free(&self) -> bool {
        self.grows
    }

    fn initial(&self, _: &Values) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        let Some(does) = self.does_of(history, op) else {
            return Step::No;
        };
        let values = &history.values;
        if does == Does::Read {
            return match elements(values, op) {
                Some(found) if found != state => Step::No,
                _ => Step::Same,
            };
        }
        let place = state.binary_search(&op.arg.0);
        let effect = match does {
            Does::Contains => said::flag(values, op.result).map(|found| found == place.is_ok()),
            Does::Add => said::effect(values, op)
                .ok()
                .flatten()
                .map(|new| new == place.is_err()),
            _ => said::effect(values, op)
                .ok()
                .flatten()
                .map(|gone| gone == place.is_ok()),
        };
        if effect == Some(false) {
            return Step::No;
        }
        match (does, place) {
            (Does::Add, Err(at)) => {
                next.extend_from_slice(&state[..at]);
                next.push(op.arg.0);
                next.extend_from_slice(&state[at..]);
                Step::To
            }
            (Does::Remove, Ok(at)) => {
                next.extend_from_slice(&state[..at]);
                next.extend_from_slice(&state[at + 1..]);
                Step::To
            }
            _ => Step::Same,
        }
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        match self.does_of(history, op) {
            Some(Does::Contains | Does::Read) => true,
            Some(Does::Add | Does::Remove) => said::effect(&history.values, op) == Ok(Some(false)),
            None => false,
        }
    }

    fn is_blind(&self, history: &History, op: &Class) -> bool {
        match self.does_of(history, op) {
            Some(Does::Read) => {
                op.outcome == Outcome::Ok && elements(&history.values, op).is_none()
            }
            Some(Does::Contains) => said::flag(&history.values, op.result).is_none(),
            _ => false,
        }
    }

    /// Elements do not know of each other. A full read that does not have an element stays legal
    /// when everything goes that was done with it.
    fn matters(&self, history: &History, update: &Class, other: &Class) -> bool {
        match self.does_of(history, other) {
            Some(Does::Read) => match history.values.as_items(other.result) {
                Some(items) => items.contains(&update.arg),
                None => false,
            },
            _ => update.arg == other.arg,
        }
    }

    fn accepts(&self, history: &History, op: &Class) -> std::result::Result<(), String> {
        let values = &history.values;
        let f = &history.fs[op.f as usize];
        let wrong = |text: String| Err(format!("{}: {text}", said::shown(values, f, op)));
        match self.does(f) {
            None => Err(format!("{} has no operation {f}", self.name())),
            Some(Does::Read) => {
                let nothing = op.result.is_none() || op.result.is_nil();
                if op.outcome == Outcome::Ok && !nothing && elements(values, op).is_none() {
                    return wrong(format!("result {} is no set", values.json(op.result)));
                }
                Ok(())
            }
            Some(_) if op.arg.is_none() || op.arg.is_nil() => wrong("there is no element".into()),
            Some(Does::Contains) => {
                let nothing = op.result.is_none() || op.result.is_nil();
                if !nothing && said::flag(values, op.result).is_none() {
                    return wrong(format!(
                        "result {} is neither true nor false",
                        values.json(op.result)
                    ));
                }
                Ok(())
            }
            Some(_) => said::effect(values, op).map(|_| ()).or_else(wrong),
        }
    }

    fn fast(
        &self,
        history: &History,
        object: &Object,
        meter: &mut Meter,
    ) -> std::result::Result<Fast, Stop> {
        if self.grows {
            fast::inclusion::judge(self, history, object, meter)
        } else {
            fast::elements::judge(self, history, object, meter)
        }
    }
}
