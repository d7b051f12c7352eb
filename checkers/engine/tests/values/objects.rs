//! The objects of values, as plain functions.

use crate::oracle::{Object, Rng, V};

/// A register with writes, and cas where `cas`; values are written once but for one in `again`.
pub struct Register {
    model: &'static str,
    cas: bool,
    again: usize,
    initial: V,
}

impl Object for Register {
    fn model(&self) -> &'static str {
        self.model
    }
    fn initial(&self) -> V {
        self.initial.clone()
    }
    fn draw(&self, rng: &mut Rng, fresh: &mut i64) -> (&'static str, V) {
        *fresh += 1;
        let value = V::Int(if rng.below(self.again) == 1 {
            1
        } else {
            *fresh
        });
        match rng.below(20) {
            0..=5 if self.cas => {
                // Of a value that is likely to be there.
                let old = *fresh - 1 - rng.below(3) as i64;
                let old = if old < 1 { self.initial() } else { V::Int(old) };
                ("cas", V::List(vec![old, value]))
            }
            0..=8 => ("write", value),
            _ => ("read", V::Nil),
        }
    }
    fn run(&self, state: &V, f: &str, arg: &V) -> Option<(V, V)> {
        match (f, arg) {
            ("write", new) => Some((V::Nil, new.clone())),
            ("cas", V::List(pair)) => (pair[0] == *state).then(|| (V::Nil, pair[1].clone())),
            _ => Some((state.clone(), state.clone())),
        }
    }
    fn allows(&self, state: &V, f: &str, arg: &V, result: Option<&V>) -> Option<V> {
        let silent = self.model.contains("nil=unknown") && result == Some(&V::Nil);
        let (gives, next) = self.run(state, f, arg)?;
        let fits = f != "read" || silent || result.is_none_or(|result| *result == gives);
        fits.then_some(next)
    }
    fn says(&self, f: &str) -> bool {
        f == "read"
    }
}

pub fn registers() -> Vec<Register> {
    let register = |model, cas, again, initial| Register {
        model,
        cas,
        again,
        initial,
    };
    vec![
        register("register", false, 100, V::Nil),
        register("register(init=0;nil=unknown)", false, 20, V::Int(0)),
        register("cas-register", true, 100, V::Nil),
        register("cas-register(nil=unknown)", true, 100, V::Nil),
        register("cas-register(init=0)", true, 20, V::Int(0)),
    ]
}

pub struct Kv;

impl Object for Kv {
    fn model(&self) -> &'static str {
        "kv"
    }
    fn initial(&self) -> V {
        V::Nil
    }
    fn draw(&self, rng: &mut Rng, fresh: &mut i64) -> (&'static str, V) {
        *fresh += 1;
        match rng.below(20) {
            0 => ("delete", V::Nil),
            1 => ("put", V::Int(1)),
            2..=10 => ("put", V::Int(*fresh)),
            _ => ("get", V::Nil),
        }
    }
    fn run(&self, state: &V, f: &str, arg: &V) -> Option<(V, V)> {
        Some(match f {
            "get" => (state.clone(), state.clone()),
            "put" => (V::Nil, arg.clone()),
            _ => (V::Nil, V::Nil),
        })
    }
    fn says(&self, f: &str) -> bool {
        f == "get"
    }
}

pub struct KvText;

impl Object for KvText {
    fn model(&self) -> &'static str {
        "kv-append"
    }
    fn initial(&self) -> V {
        V::Text(String::new())
    }
    fn draw(&self, rng: &mut Rng, fresh: &mut i64) -> (&'static str, V) {
        *fresh += 1;
        let text = V::Text(format!("x{}y", *fresh % 7));
        match rng.below(20) {
            0 => ("delete", V::Nil),
            1..=3 => ("put", text),
            4..=10 => ("append", text),
            _ => ("get", V::Nil),
        }
    }
    fn run(&self, state: &V, f: &str, arg: &V) -> Option<(V, V)> {
        let (V::Text(old), new) = (state, arg) else {
            return None;
        };
        Some(match (f, new) {
            ("get", _) => (state.clone(), state.clone()),
            ("append", V::Text(new)) => (V::Nil, V::Text(format!("{old}{new}"))),
            ("put", new) => (V::Nil, new.clone()),
            _ => (V::Nil, V::Text(String::new())),
        })
    }
    fn says(&self, f: &str) -> bool {
        f == "get"
    }
    fn twist(&self, _: &mut Rng, result: &V) -> V {
        match result {
            V::Text(text) => V::Text(text.chars().take(text.len() / 2).collect()),
            other => other.clone(),
        }
    }
}

/// Additions of `sizes`.
pub struct Counter(pub &'static str, pub &'static [(&'static str, i64)]);

impl Object for Counter {
    fn model(&self) -> &'static str {
        self.0
    }
    fn initial(&self) -> V {
        V::Int(0)
    }
    fn draw(&self, rng: &mut Rng, _: &mut i64) -> (&'static str, V) {
        if rng.chance(50) {
            return ("read", V::Nil);
        }
        let (f, size) = self.1[rng.below(self.1.len())];
        (f, V::Int(size))
    }
    fn run(&self, state: &V, f: &str, arg: &V) -> Option<(V, V)> {
        let old = state.int();
        let new = match f {
            "read" => old,
            "dec" => old - arg.int(),
            _ => old + arg.int(),
        };
        let result = if f == "add-and-get" { new } else { old };
        Some((V::Int(result), V::Int(new)))
    }
    fn says(&self, f: &str) -> bool {
        matches!(f, "read" | "fetch-and-add" | "add-and-get")
    }
}

pub struct Append;

impl Object for Append {
    fn model(&self) -> &'static str {
        "append"
    }
    fn initial(&self) -> V {
        V::List(Vec::new())
    }
    fn draw(&self, rng: &mut Rng, fresh: &mut i64) -> (&'static str, V) {
        *fresh += 1;
        match rng.below(20) {
            0 => ("append", V::Int(1)),
            1..=9 => ("append", V::Int(*fresh)),
            _ => ("read", V::Nil),
        }
    }
    fn run(&self, state: &V, f: &str, arg: &V) -> Option<(V, V)> {
        let mut list = state.list();
        Some(match f {
            "read" => (state.clone(), state.clone()),
            _ => {
                list.push(arg.clone());
                (V::Nil, V::List(list))
            }
        })
    }
    fn says(&self, f: &str) -> bool {
        f == "read"
    }
}

pub struct Log;

impl Object for Log {
    fn model(&self) -> &'static str {
        "log(init=3)"
    }
    fn initial(&self) -> V {
        V::List(Vec::new())
    }
    fn draw(&self, rng: &mut Rng, fresh: &mut i64) -> (&'static str, V) {
        *fresh += 1;
        match rng.below(20) {
            0..=2 => ("append", V::Int(70 + *fresh % 2)),
            3..=9 => ("append", V::Int(100 + *fresh)),
            10..=12 => ("poll", V::Nil),
            _ => ("read", V::Int(3 + rng.below(4) as i64)),
        }
    }
    fn run(&self, state: &V, f: &str, arg: &V) -> Option<(V, V)> {
        let mut list = state.list();
        Some(match f {
            "append" => {
                let offset = V::Int(3 + list.len() as i64);
                list.push(arg.clone());
                (offset, V::List(list))
            }
            "read" => {
                let entry = usize::try_from(arg.int() - 3)
                    .ok()
                    .and_then(|at| list.get(at));
                (entry.cloned().unwrap_or(V::Nil), state.clone())
            }
            _ => {
                let pair =
                    |(at, entry): (usize, &V)| V::List(vec![V::Int(3 + at as i64), entry.clone()]);
                (
                    V::List(list.iter().enumerate().map(pair).collect()),
                    state.clone(),
                )
            }
        })
    }
    fn allows(&self, state: &V, f: &str, arg: &V, result: Option<&V>) -> Option<V> {
        let (gives, next) = self.run(state, f, arg)?;
        let fits = match (f, result) {
            (_, None) => true,
            ("poll", Some(V::List(pairs))) => pairs.iter().all(|pair| gives.list().contains(pair)),
            ("poll", Some(_)) => true,
            (_, Some(result)) => *result == gives,
        };
        fits.then_some(next)
    }
    fn says(&self, _: &str) -> bool {
        true
    }
}

/// Two registers, read and written together.
pub struct Multi;

impl Object for Multi {
    fn model(&self) -> &'static str {
        "multi-register(init=0)"
    }
    fn initial(&self) -> V {
        V::List(vec![V::Int(0), V::Int(0)])
    }
    fn draw(&self, rng: &mut Rng, _: &mut i64) -> (&'static str, V) {
        let mut parts = Vec::new();
        for _ in 0..=rng.below(2) {
            let key = V::Word(["x", "y"][rng.below(2)].to_string());
            parts.push(V::List(match rng.chance(78) {
                true => vec![V::Word("read".to_string()), key, V::Nil],
                false => {
                    let value = V::Int(rng.below(4) as i64);
                    vec![V::Text("w".to_string()), key, value]
                }
            }));
        }
        ("txn", V::List(parts))
    }
    fn run(&self, state: &V, _: &str, arg: &V) -> Option<(V, V)> {
        let mut held = state.list();
        let mut parts = arg.list();
        for part in &mut parts {
            let V::List(part) = part else {
                return None;
            };
            let place = usize::from(part[1] == V::Word("y".to_string()));
            match part[0] == V::Word("read".to_string()) {
                true => part[2] = held[place].clone(),
                false => held[place] = part[2].clone(),
            }
        }
        Some((V::List(parts), V::List(held)))
    }
    fn says(&self, _: &str) -> bool {
        true
    }
    fn alike(&self, left: &V, right: &V) -> bool {
        left == right
    }
    fn twist(&self, rng: &mut Rng, result: &V) -> V {
        let mut parts = result.list();
        for part in &mut parts {
            if let V::List(part) = part {
                if part[0] == V::Word("read".to_string()) {
                    part[2] = V::Int(rng.below(4) as i64);
                }
            }
        }
        V::List(parts)
    }
}
