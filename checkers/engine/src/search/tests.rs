//! The search against brute force on small random histories, in all its modes.

use std::collections::HashSet;

use super::field::Field;
use super::local::Local;
use super::problem::Problem;
use super::table::Table;
use super::{decide, search, witness, Found, Order};
use crate::budget::Budget;
use crate::check::Options;
use crate::history::{History, Outcome, OPEN};
use crate::model::{Class, Judge, Model, Part, Step};
use crate::spec::Spec;
use crate::split;
use crate::values::Val;
use crate::verdict::Answer;

/// A generator of numbers: xorshift.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn model(text: &str) -> Box<dyn Model> {
    match crate::models::make(&Spec::parse(text).unwrap()).unwrap() {
        Judge::Object(model) => model,
        _ => panic!("{text} is no object"),
    }
}

/// Rows that must and rows that may take effect.
fn parts(history: &History, model: &dyn Model) -> (Vec<u32>, Vec<u32>) {
    let (mut must, mut may) = (Vec::new(), Vec::new());
    for row in 0..history.len() {
        match model.part(history, &Class::of(model, history, row)) {
            Part::Must => must.push(row as u32),
            Part::May => may.push(row as u32),
            Part::Drop => {}
        }
    }
    (must, may)
}

/// Brute force: every order of every choice, but for what was tried already.
fn oracle(history: &History, model: &dyn Model) -> bool {
    let (must, may) = parts(history, model);
    let rows: Vec<u32> = must.iter().chain(&may).copied().collect();
    let all = (1u64 << must.len()) - 1;
    let mut seen = HashSet::new();
    let mut ahead = vec![(0u64, model.initial(&history.values))];
    while let Some((done, state)) = ahead.pop() {
        if done & all == all {
            return true;
        }
        if !seen.insert((done, state.clone())) {
            continue;
        }
        for (at, &row) in rows.iter().enumerate() {
            let waits = must.iter().enumerate().any(|(other, &before)| {
                done >> other & 1 == 0 && history.ret[before as usize] < history.inv[row as usize]
            });
            if done >> at & 1 == 1 || waits {
                continue;
            }
            let mut next = Vec::new();
            let class = Class::of(model, history, row as usize);
            match model.step(history, &state, &class, &mut next) {
                Step::No => {}
                Step::Same => ahead.push((done | 1 << at, state.clone())),
                Step::To => ahead.push((done | 1 << at, next)),
            }
        }
    }
    false
}

/// An order of rows is one that the model allows and that keeps real time.
fn replay(history: &History, model: &dyn Model, order: &[u32]) {
    let (must, may) = parts(history, model);
    let mut state = model.initial(&history.values);
    let mut last_inv = 0;
    let mut seen = HashSet::new();
    for &row in order {
        assert!(seen.insert(row), "row {row} twice");
        assert!(must.contains(&row) || may.contains(&row));
        let at = row as usize;
        let end = if must.contains(&row) {
            history.ret[at]
        } else {
            OPEN
        };
        assert!(end > last_inv, "row {row} comes too late in {order:?}");
        last_inv = last_inv.max(history.inv[at]);
        let mut next = Vec::new();
        match model.step(history, &state, &Class::of(model, history, at), &mut next) {
            Step::No => panic!("row {row} is not possible in {order:?}"),
            Step::Same => {}
            Step::To => state = next,
        }
    }
    for row in must {
        assert!(seen.contains(&row), "row {row} has no place in {order:?}");
    }
}

/// A run of a real register, of which some answers and values were changed.
pub fn random_register(random: &mut Random, cas: bool, most: u64) -> History {
    let mut history = random_run(random, cas, most);
    let values = 2 + random.below(3);
    for _ in 0..random.below(8) {
        let row = random.below(history.len() as u64) as usize;
        if history.f_of(row) == "read" && history.outcome[row] == Outcome::Ok {
            history.result[row] = Val(random.below(values) as u32);
        } else if history.f_of(row) == "write" && random.chance(50) {
            history.arg[row] = Val(random.below(values) as u32);
        }
    }
    history
}

/// A run of a real register, a few clients, some of them lost.
pub fn random_run(random: &mut Random, cas: bool, most: u64) -> History {
    let mut history = History::default();
    let (read, write, set) = (
        history.name("read"),
        history.name("write"),
        history.name("cas"),
    );
    let clients = 2 + random.below(4) as usize;
    let domain = 2 + random.below(3);
    let ops = 4 + random.below(most - 3);
    let crash = random.below(30);
    // Process -> its open row, and whether it has taken effect, with what result.
    let mut open: Vec<Option<(usize, bool, Val, bool)>> = vec![None; clients];
    let mut held = Val::NIL;
    let mut position = 0;
    let mut ids: Vec<u32> = (0..clients as u32).collect();
    loop {
        let at = random.below(clients as u64) as usize;
        match open[at] {
            None => {
                if history.len() as u64 == ops {
                    if open.iter().all(Option::is_none) {
                        break;
                    }
                    continue;
                }
                let (a, b) = (random.below(domain) as u32, random.below(domain) as u32);
                let (f, arg) = match random.below(if cas { 3 } else { 2 }) {
                    0 => (read, Val::NIL),
                    1 => (write, Val(a)),
                    _ => (set, history.values.list(&[Val(a), Val(b)])),
                };
                open[at] = Some((history.len(), false, Val::NONE, true));
                push(&mut history, ids[at], f, arg, position);
                position += 1;
            }
            Some((row, false, _, _)) => {
                let mut fine = true;
                let mut result = history.arg[row];
                if history.f[row] == read {
                    result = held;
                } else if history.f[row] == write {
                    held = history.arg[row];
                } else if let Some(&[from, to]) = history.values.as_list(history.arg[row]) {
                    fine = held == from;
                    held = if fine { to } else { held };
                }
                open[at] = Some((row, true, result, fine));
                if random.chance(crash) {
                    // Lost after its effect.
                    open[at] = None;
                    ids[at] += clients as u32;
                }
            }
            Some((row, true, result, fine)) => {
                open[at] = None;
                history.ret[row] = position;
                history.outcome[row] = if fine { Outcome::Ok } else { Outcome::Fail };
                history.result[row] = result;
                position += 1;
                if random.chance(crash) {
                    history.outcome[row] = Outcome::Info;
                    history.result[row] = Val::NONE;
                }
            }
        }
    }
    history.events = position;
    history
}

pub fn push(history: &mut History, process: u32, f: u16, arg: Val, position: u32) {
    history.process.push(process);
    history.f.push(f);
    history.key.push(Val::NONE);
    history.arg.push(arg);
    history.result.push(Val::NONE);
    history.outcome.push(Outcome::Info);
    history.inv.push(position);
    history.ret.push(OPEN);
    history.inv_ns.push(-1);
    history.ret_ns.push(-1);
}

fn told(history: &History) -> String {
    let mut out = String::new();
    for row in 0..history.len() {
        out.push_str(&format!(
            "{row}: {} {} -> {} {:?} [{}, {}]\n",
            history.f_of(row),
            history.values.json(history.arg[row]),
            history.values.json(history.result[row]),
            history.outcome[row],
            history.inv[row],
            history.ret[row] as i32,
        ));
    }
    out
}

/// All modes of the search say what brute force says. True where it is legal.
pub fn agree(history: &History, model: &dyn Model, proofs: &mut u64) -> bool {
    let legal = oracle(history, model);
    let budget = Budget::unlimited();
    let object = &split::whole(history)[0];
    for prepass in [true, false] {
        let options = Options {
            prepass,
            ..Options::default()
        };
        let keyed = search(history, model, object, &options, &budget, u64::MAX);
        match keyed.answer {
            Answer::Legal(order) => {
                assert!(
                    legal,
                    "{}search: legal, brute force: illegal",
                    told(history)
                );
                replay(history, model, &order);
            }
            Answer::Illegal(core) => {
                let end = history.ret[core.blocked as usize];
                assert!(
                    !legal,
                    "{}search: illegal, brute force: legal",
                    told(history)
                );
                assert_ne!(end, OPEN);
            }
            Answer::Unknown { why, .. } => panic!("unknown: {why:?}"),
        }
    }
    for (order, wide) in [
        (Order::Depth, false),
        (Order::Breadth, false),
        (Order::Depth, true),
        (Order::Breadth, true),
    ] {
        let mut meter = budget.meter();
        let mut table = Table::new(model, history, &Budget::unlimited());
        let problem = Problem::new(&mut table, &object.rows, &[], OPEN, &mut meter).unwrap();
        let mut field = Field::new(&mut table, &problem);
        let outcome = decide(&mut field, u64::MAX, order, wide, &mut meter);
        match outcome.found.unwrap() {
            Found::Legal(way) => {
                assert!(
                    legal,
                    "{}{order:?}: legal, brute force: illegal",
                    told(history)
                );
                replay(history, model, &witness::order(field.table, &problem, &way));
            }
            Found::Illegal(_) => {
                assert!(
                    !legal,
                    "{}{order:?}: illegal, brute force: legal",
                    told(history)
                );
            }
        }
    }
    let mut meter = budget.meter();
    let mut table = Table::new(model, history, &Budget::unlimited());
    let problem = Problem::new(&mut table, &object.rows, &[], OPEN, &mut meter).unwrap();
    for event in 0..problem.len() {
        let mut local = Local::new(&object.rows);
        let proved = local
            .proves(&mut table, &problem, event, 10_000, &mut meter)
            .unwrap();
        assert!(
            !proved || !legal,
            "{}proof from around {event}, but legal",
            told(history)
        );
        *proofs += u64::from(proved);
    }
    legal
}

fn fuzz(name: &str, cas: bool, seed: u64, histories: u64) {
    let model = model(name);
    let mut random = Random(seed);
    let mut legal = 0;
    let mut proofs = 0;
    for _ in 0..histories {
        let history = random_register(&mut random, cas, 12);
        legal += u64::from(agree(&history, &*model, &mut proofs));
    }
    assert!(proofs * 2 > histories - legal, "{proofs} proofs");
    let percent = legal * 100 / histories;
    assert!(
        (30..=70).contains(&percent),
        "{percent} % of {name} are legal"
    );
}

#[test]
fn registers_as_brute_force_says() {
    fuzz("register", false, 0x1234_5678_9abc, 6_000);
}

#[test]
fn cas_registers_as_brute_force_says() {
    fuzz("cas-register", true, 0x9e37_79b9_7f4a, 8_000);
}

#[test]
fn cas_registers_that_trust_a_failure_as_brute_force_says() {
    fuzz(
        "cas-register(failed-cas=asserts;nil=unknown)",
        true,
        0x2545_f491_4f6c,
        6_000,
    );
}

/// What a real register did is legal, however long.
#[test]
fn runs_of_a_real_register_are_legal() {
    let model = model("cas-register");
    let mut random = Random(0x1357_9bdf_0246);
    for _ in 0..2_000 {
        let mut run = random_run(&mut random, true, 120);
        run.events += 1;
        let object = &split::whole(&run)[0];
        let budget = Budget::unlimited();
        let keyed = search(
            &run,
            &*model,
            object,
            &Options::default(),
            &budget,
            u64::MAX,
        );
        match keyed.answer {
            Answer::Legal(order) => replay(&run, &*model, &order),
            _ => panic!("{}is legal", told(&run)),
        }
    }
}
