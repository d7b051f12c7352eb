//! The models of values and their polynomial algorithms against brute force.

mod oracle;

use dissensus_engine::budget::Budget;
use dissensus_engine::history::History;
use dissensus_engine::model::{Class, Judge, Model, Part, Step};
use dissensus_engine::models;
use dissensus_engine::spec::Spec;
use dissensus_engine::split;
use dissensus_engine::values::Val;
use dissensus_engine::verdict::Answer;
use oracle::{Object, Op, Rng, V};

/// Histories for each model. The nightly run sets more.
fn rounds() -> usize {
    let set = std::env::var("DISSENSUS_ROUNDS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

fn make(name: &str) -> Box<dyn Model> {
    match models::make(&Spec::parse(name).unwrap()).unwrap() {
        Judge::Object(model) => model,
        _ => panic!("{name} is no object"),
    }
}

fn class_of(model: &dyn Model, h: &History, row: usize) -> Class {
    Class {
        f: h.f[row],
        key: if model.by_key() {
            Val::NONE
        } else {
            h.key[row]
        },
        arg: h.arg[row],
        result: h.result[row],
        outcome: h.outcome[row],
        process: 0,
    }
}

/// All orders of the model's own steps.
fn by_steps(model: &dyn Model, h: &History) -> bool {
    let classes: Vec<Class> = (0..h.len()).map(|row| class_of(model, h, row)).collect();
    let parts: Vec<Part> = classes.iter().map(|class| model.part(h, class)).collect();
    let must: u64 = (0..h.len())
        .filter(|&row| parts[row] == Part::Must)
        .map(|row| 1 << row)
        .sum();
    let mut seen = std::collections::HashSet::new();
    let mut stack = vec![(0u64, model.initial(&h.values))];
    while let Some((done, state)) = stack.pop() {
        if done & must == must {
            return true;
        }
        let open = (0..h.len()).filter(|&row| done >> row & 1 == 0);
        let first = open.map(|row| h.end(row)).min().unwrap_or(u32::MAX);
        for row in 0..h.len() {
            if done >> row & 1 == 1 || parts[row] == Part::Drop || h.inv[row] > first {
                continue;
            }
            let mut next = Vec::new();
            let after = match model.step(h, &state, &classes[row], &mut next) {
                Step::No => continue,
                Step::Same => state.clone(),
                Step::To => next,
            };
            if seen.insert((done | 1 << row, after.clone())) {
                stack.push((done | 1 << row, after));
            }
        }
    }
    false
}

#[derive(Default, Debug)]
struct Count {
    legal: usize,
    illegal: usize,
    fast_legal: usize,
    fast_illegal: usize,
}

/// Judge one history by the polynomial algorithm and hold it against the truth.
fn judge(object: &dyn Object, model: &dyn Model, ops: &[Op], truth: bool, count: &mut Count) {
    let h = oracle::history(ops, Val(7));
    let whole = &split::whole(&h)[0];
    let mut meter = Budget::unlimited().meter();
    let told = || format!("{} {}", model.name(), oracle::shown(ops));
    match model.fast(&h, whole, &mut meter).unwrap() {
        None => {}
        Some((name, Answer::Legal(order))) => {
            assert!(truth, "{name} says legal: {}", told());
            if let Err(why) = oracle::replay(object, ops, &order) {
                panic!("{name}: {why} in {order:?}: {}", told());
            }
            count.fast_legal += 1;
        }
        Some((name, Answer::Illegal(core))) => {
            assert!(!truth, "{name} says illegal: {}", told());
            let end = ops[core.blocked as usize].end();
            assert_ne!(end, u32::MAX, "{name}: blocked never returned: {}", told());
            assert!(
                !oracle::legal(object, &oracle::cut(ops, end)),
                "{name}: row {} is not where it becomes illegal: {}",
                core.blocked,
                told()
            );
            assert!(
                core.rows.contains(&core.blocked),
                "{name} {core:?}",
                core = core.rows
            );
            count.fast_illegal += 1;
        }
        Some((name, Answer::Unknown { .. })) => panic!("{name} does not know"),
    }
}

/// Fuzz: steps == fast == brute force. At least `fast` of 100 histories are for the polynomial
/// algorithm.
fn fuzz(object: &dyn Object, fast: usize) {
    let model = make(object.model());
    let mut rng = Rng(0x5eed);
    let mut count = Count::default();
    for _ in 0..rounds() {
        let (size, clients) = (5 + rng.below(6), 2 + rng.below(3));
        let mut ops = oracle::run(object, &mut rng, size, clients, 15);
        if rng.chance(65) {
            oracle::mutate(object, &mut rng, &mut ops);
        }
        let truth = oracle::legal(object, &ops);
        *if truth {
            &mut count.legal
        } else {
            &mut count.illegal
        } += 1;
        let h = oracle::history(&ops, Val(7));
        for row in 0..h.len() {
            model.accepts(&h, &class_of(&*model, &h, row)).unwrap();
        }
        assert_eq!(
            by_steps(&*model, &h),
            truth,
            "steps of {}: {}",
            model.name(),
            oracle::shown(&ops)
        );
        judge(object, &*model, &ops, truth, &mut count);
    }
    enough(object.model(), &count, fast);
}

fn enough(name: &str, count: &Count, fast: usize) {
    let all = count.legal + count.illegal;
    println!("{name}: {count:?}");
    assert!(count.legal * 10 >= all * 3, "{name}: {count:?}");
    assert!(count.illegal * 10 >= all * 3, "{name}: {count:?}");
    assert!(
        count.fast_legal * 100 >= count.legal * fast,
        "{name}: {count:?}"
    );
    assert!(
        count.fast_illegal * 100 >= count.illegal * fast,
        "{name}: {count:?}"
    );
}

/// A register with writes, and cas where `cas`; values are written once but for one in `again`.
struct Register {
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

fn registers() -> Vec<Register> {
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

struct Kv;

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

struct KvText;

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
struct Counter(&'static str, &'static [(&'static str, i64)]);

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

struct Append;

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

struct Log;

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
struct Multi;

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
            parts.push(V::List(match rng.chance(65) {
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

#[test]
fn registers_of_unique_values() {
    for register in registers() {
        fuzz(&register, 50);
    }
}

#[test]
fn kv_of_values() {
    fuzz(&Kv, 40);
}

#[test]
fn kv_of_text_with_append() {
    fuzz(&KvText, 0);
}

#[test]
fn counters_of_ones() {
    fuzz(&Counter("counter", &[("inc", 1)]), 100);
    fuzz(&Counter("counter", &[("add", 3)]), 100);
    fuzz(&Counter("counter", &[("dec", 2)]), 100);
}

#[test]
fn counters_of_anything() {
    fuzz(
        &Counter("counter", &[("add", 1), ("add", 2), ("dec", 1), ("add", 0)]),
        0,
    );
}

#[test]
fn fetch_and_add() {
    fuzz(&Counter("fetch-and-add", &[("fetch-and-add", 1)]), 90);
    fuzz(
        &Counter("fetch-and-add", &[("fetch-and-add", 2), ("add-and-get", 2)]),
        90,
    );
    fuzz(
        &Counter("fetch-and-add", &[("fetch-and-add", 1), ("add-and-get", 3)]),
        40,
    );
}

#[test]
fn append_and_full_reads() {
    fuzz(&Append, 60);
}

#[test]
fn log_with_offsets() {
    fuzz(&Log, 60);
}

#[test]
fn registers_in_transactions() {
    fuzz(&Multi, 0);
}
