//! The models of values and their polynomial algorithms against brute force.

mod objects;
mod oracle;

use dissensus_engine::budget::Budget;
use dissensus_engine::check::Options;
use dissensus_engine::history::History;
use dissensus_engine::model::{Class, Judge, Model, Part, Step};
use dissensus_engine::models;
use dissensus_engine::search;
use dissensus_engine::spec::Spec;
use dissensus_engine::split;
use dissensus_engine::values::Val;
use dissensus_engine::verdict::Answer;
use objects::{registers, Append, Counter, Kv, KvText, Log, Multi};
use oracle::{Object, Op, Rng};

/// Histories for each model. The nightly run sets more.
fn rounds() -> usize {
    let set = std::env::var("DISSENSUS_ROUNDS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(4_000)
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
        let open = (0..h.len()).filter(|&row| done >> row & 1 == 0 && parts[row] != Part::Drop);
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
        if rng.chance(78) {
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

/// Longer histories, which only the general search can judge beside the polynomial algorithm.
fn against_search(object: &dyn Object, crashes: u64) {
    let model = make(object.model());
    let mut rng = Rng(0xace);
    let (mut count, mut judged) = (Count::default(), 0);
    for _ in 0..rounds() / 4 {
        let (size, clients) = (12 + rng.below(29), 2 + rng.below(4));
        let mut ops = oracle::run(object, &mut rng, size, clients, crashes);
        if rng.chance(60) {
            oracle::change(object, &mut rng, &mut ops);
        }
        let h = oracle::history(&ops, Val(7));
        let whole = &split::whole(&h)[0];
        let budget = Budget::unlimited();
        let found = search::search(&h, &*model, whole, &Options::default(), &budget, u64::MAX);
        let truth = match found.answer {
            Answer::Legal(_) => true,
            Answer::Illegal(_) => false,
            Answer::Unknown { .. } => continue,
        };
        *if truth {
            &mut count.legal
        } else {
            &mut count.illegal
        } += 1;
        match model.fast(&h, whole, &mut budget.meter()).unwrap() {
            Some((name, Answer::Legal(order))) => {
                assert!(truth, "{name} says legal: {}", oracle::shown(&ops));
                oracle::replay(object, &ops, &order).unwrap();
                judged += 1;
            }
            Some((name, _)) => {
                assert!(!truth, "{name} says illegal: {}", oracle::shown(&ops));
                judged += 1;
            }
            None => {}
        }
    }
    println!("{}: {count:?} {judged}", object.model());
    assert!(judged * 3 > rounds() / 4, "{}: {judged}", object.model());
    assert!(
        count.legal.min(count.illegal) * 5 > rounds() / 4,
        "{count:?}"
    );
}

#[test]
fn long_histories_against_the_search() {
    for register in registers() {
        against_search(&register, 8);
    }
    against_search(&Counter("counter", &[("inc", 1)]), 8);
    against_search(&Counter("fetch-and-add", &[("fetch-and-add", 1)]), 8);
    against_search(&Append, 8);
    against_search(&Log, 4);
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
