//! Registers that are read and written together: transactions of `[read key value]` and
//! `[write key value]`, each of which happens at once.
//!
//! A state is key, value, key, value ... of the registers that no longer hold the initial value, in
//! order of their keys. Registers that no transaction has in common are judged apart from each
//! other.

use rustc_hash::FxHashMap;

use crate::error::Result;
use crate::history::{History, Outcome};
use crate::model::{Class, Model, Step};
use crate::models::said;
use crate::models::start::{self, Typed};
use crate::spec::Spec;
use crate::split::Object;
use crate::values::{Look, Val, Values};

/// A part of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Micro {
    /// `None`: what was read is not known.
    Read(Val, Option<Val>),
    Write(Val, Val),
}

/// Registers that all hold `init` (nil) at first.
pub struct MultiRegister {
    name: String,
    pub init: Typed,
    nil_unknown: bool,
}

impl MultiRegister {
    pub fn make(spec: &Spec) -> Result<MultiRegister> {
        spec.only(&["init", "nil"])?;
        Ok(MultiRegister {
            name: start::named(spec),
            init: Typed::parse(spec.get("init").unwrap_or("nil")),
            nil_unknown: start::nil_unknown(spec)?,
        })
    }

    /// The parts of a transaction, in their order. Shapes: a list of `[f key value]`; for read and
    /// write also a map of keys to values, and for read a list of keys.
    pub fn micros(
        &self,
        values: &Values,
        f: &str,
        arg: Val,
        result: Option<Val>,
    ) -> std::result::Result<Vec<Micro>, String> {
        let known = result.filter(|value| !value.is_none() && !value.is_nil());
        let wrong = || {
            format!(
                "{f} takes a list of [read key value] and [write key value], not {}",
                values.json(known.unwrap_or(arg))
            )
        };
        let parts = match said::plain(f).as_str() {
            "txn" => list_of_parts(values, known.unwrap_or(arg), known.is_some()),
            "write" => pairs(values, arg).map(|pairs| {
                let write = |(key, value)| Micro::Write(key, value);
                pairs.into_iter().map(write).collect()
            }),
            "read" => match known {
                Some(known) => pairs(values, known).map(|pairs| {
                    let read = |(key, value)| Micro::Read(key, Some(value));
                    pairs.into_iter().map(read).collect()
                }),
                None => Some(Vec::new()),
            },
            _ => return Err(format!("{} has no operation {f}", self.name)),
        };
        let mut parts: Vec<Micro> = parts.ok_or_else(wrong)?;
        for part in &mut parts {
            if let Micro::Read(_, seen) = part {
                *seen = seen.filter(|value| !(value.is_nil() && self.nil_unknown));
            }
        }
        Ok(parts)
    }

    fn of(&self, history: &History, op: &Class) -> std::result::Result<Vec<Micro>, String> {
        let f = &history.fs[op.f as usize];
        let result = (op.outcome == Outcome::Ok).then_some(op.result);
        self.micros(&history.values, f, op.arg, result)
    }
}

fn list_of_parts(values: &Values, list: Val, known: bool) -> Option<Vec<Micro>> {
    let part = |&item: &Val| match values.as_list(item)? {
        [f, key, rest @ ..] if rest.len() <= 1 => {
            let value = rest.first().copied();
            match values.as_name(*f)? {
                "read" | "r" => Some(Micro::Read(*key, value.filter(|_| known))),
                "write" | "w" => Some(Micro::Write(*key, value?)),
                _ => None,
            }
        }
        _ => None,
    };
    values.as_list(list)?.iter().map(part).collect()
}

fn pairs(values: &Values, map: Val) -> Option<Vec<(Val, Val)>> {
    match values.look(map) {
        Look::Map(items) => Some(
            items
                .chunks_exact(2)
                .map(|pair| (pair[0], pair[1]))
                .collect(),
        ),
        _ => None,
    }
}

/// The value of a key in a state.
fn get(state: &[u32], key: Val) -> Option<u32> {
    let found = state.chunks_exact(2).find(|pair| pair[0] == key.0);
    found.map(|pair| pair[1])
}

fn set(state: &mut Vec<u32>, key: Val, value: Val, init: Val) {
    let at = state
        .chunks_exact(2)
        .take_while(|pair| pair[0] < key.0)
        .count()
        * 2;
    let there = state.get(at) == Some(&key.0);
    match (there, value == init) {
        (true, true) => drop(state.drain(at..at + 2)),
        (true, false) => state[at + 1] = value.0,
        (false, true) => {}
        (false, false) => drop(state.splice(at..at, [key.0, value.0])),
    }
}

impl Model for MultiRegister {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fs(&self) -> &[&'static str] {
        &["txn", "read", "write"]
    }

    fn by_key(&self) -> bool {
        false
    }

    /// Groups of registers that transactions connect: a group is an object of its own, as locality
    /// says of the one register that holds a tuple. Its key is the first register seen of it.
    fn objects(&self, history: &History) -> Vec<Object> {
        let mut groups = Groups::default();
        let mut group_of: Vec<u32> = Vec::with_capacity(history.len());
        for row in 0..history.len() {
            let result = (history.outcome[row] == Outcome::Ok).then_some(history.result[row]);
            let parts = self.micros(&history.values, history.f_of(row), history.arg[row], result);
            let mut group = None;
            for part in parts.unwrap_or_default() {
                let (Micro::Read(key, _) | Micro::Write(key, _)) = part;
                let more = groups.of(key);
                group = Some(group.map_or(more, |group| groups.join(group, more)));
            }
            group_of.push(group.unwrap_or(u32::MAX));
        }
        let mut objects: Vec<Object> = Vec::new();
        let mut place: FxHashMap<u32, usize> = FxHashMap::default();
        for (row, &group) in group_of.iter().enumerate() {
            if group == u32::MAX {
                continue;
            }
            let root = groups.root(group);
            let at = *place.entry(root).or_insert_with(|| {
                objects.push(Object {
                    key: groups.keys[root as usize],
                    rows: Vec::new(),
                });
                objects.len() - 1
            });
            objects[at].rows.push(row as u32);
        }
        objects
    }

    fn initial(&self, _: &Values) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        let Ok(parts) = self.of(history, op) else {
            return Step::No;
        };
        let init = self.init.find(&history.values);
        next.extend_from_slice(state);
        for part in parts {
            match part {
                Micro::Write(key, value) => set(next, key, value, init),
                Micro::Read(key, Some(seen)) if get(next, key).unwrap_or(init.0) != seen.0 => {
                    return Step::No;
                }
                Micro::Read(..) => {}
            }
        }
        if next == state {
            Step::Same
        } else {
            Step::To
        }
    }

    fn is_read(&self, history: &History, op: &Class) -> bool {
        let read = |part: &Micro| matches!(part, Micro::Read(..));
        self.of(history, op)
            .is_ok_and(|parts| parts.iter().all(read))
    }

    fn is_blind(&self, history: &History, op: &Class) -> bool {
        let says_nothing = |part: &Micro| matches!(part, Micro::Read(_, None));
        self.of(history, op)
            .is_ok_and(|parts| parts.iter().all(says_nothing))
    }

    fn accepts(&self, history: &History, op: &Class) -> std::result::Result<(), String> {
        self.of(history, op).map(|_| ())
    }
}

/// Registers that belong together (union-find; the root is the one that was seen first).
#[derive(Default)]
struct Groups {
    place: FxHashMap<Val, u32>,
    keys: Vec<Val>,
    up: Vec<u32>,
}

impl Groups {
    fn of(&mut self, key: Val) -> u32 {
        let next = self.keys.len() as u32;
        let at = *self.place.entry(key).or_insert(next);
        if at == next {
            self.keys.push(key);
            self.up.push(next);
        }
        at
    }

    fn root(&mut self, mut at: u32) -> u32 {
        while self.up[at as usize] != at {
            let up = self.up[self.up[at as usize] as usize];
            self.up[at as usize] = up;
            at = up;
        }
        at
    }

    fn join(&mut self, a: u32, b: u32) -> u32 {
        let (a, b) = (self.root(a), self.root(b));
        self.up[a.max(b) as usize] = a.min(b);
        a.min(b)
    }
}
