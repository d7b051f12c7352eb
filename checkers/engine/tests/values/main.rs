//! The models of values and their polynomial algorithms against brute force.

mod objects;
mod oracle;

use dissensus_engine::budget::Budget;
use dissensus_engine::check::Options;
use dissensus_engine::fast;
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
        let found = search::search(&h, &*model, whole, &Options::default(), &budget, 50_000);
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

/// Operations that say their place in the order in which they took effect: some of them, and some
/// wrongly.
#[test]
fn orders_of_the_server() {
    let mut rng = Rng(0x0de5);
    let (mut found, mut wrong) = (0, 0);
    for register in registers() {
        let model = make(register.model());
        for _ in 0..rounds() / 4 {
            let mut ops = oracle::run(&register, &mut rng, 10, 3, 15);
            let order = match oracle::order(&register, &ops) {
                Some(order) => order,
                None => panic!("a run is legal: {}", oracle::shown(&ops)),
            };
            let lies = rng.chance(40);
            if lies {
                oracle::mutate(&register, &mut rng, &mut ops);
            }
            let mut h = oracle::history(&ops, Val(7));
            h.hint = vec![-1; h.len()];
            for (place, &row) in order.iter().enumerate() {
                if rng.chance(80) {
                    h.hint[row as usize] = 100 + place as i64;
                }
            }
            let whole = &split::whole(&h)[0];
            let mut meter = Budget::unlimited().meter();
            match fast::order::judge(&h, whole, &*model, &mut meter).unwrap() {
                Some(rows) => {
                    oracle::replay(&register, &ops, &rows).unwrap();
                    found += 1;
                }
                None => wrong += 1,
            }
        }
    }
    println!("orders: {found} {wrong}");
    assert!(found > wrong, "{found} {wrong}");
    assert!(wrong * 8 > found, "{found} {wrong}");
}

/// The figures of stale reads, by their definition.
#[test]
fn staleness_of_reads() {
    let register = &registers()[0];
    let model = make(register.model());
    let mut rng = Rng(0x57a1e);
    let (mut stale, mut deep) = (0, 0);
    for _ in 0..rounds() {
        let mut ops = oracle::run(register, &mut rng, 12, 3, 15);
        if rng.chance(70) {
            oracle::change(register, &mut rng, &mut ops);
        }
        let h = oracle::history(&ops, Val(7));
        let whole = &split::whole(&h)[0];
        let mut meter = Budget::unlimited().meter();
        let Some(found) = model.staleness(&h, whole, &mut meter).unwrap() else {
            continue;
        };
        let (ns, versions) = oracle::staleness(&ops);
        assert_eq!(
            (found.ns, found.versions as usize),
            (ns, versions),
            "{}",
            oracle::shown(&ops)
        );
        assert!(versions == 0 || !oracle::legal(register, &ops));
        stale += usize::from(versions > 0);
        deep += usize::from(versions > 1);
    }
    assert!(
        stale * 20 > rounds() && deep * 100 > rounds(),
        "{stale} {deep}"
    );
}

/// Other names of values and processes change nothing.
#[test]
fn names_change_nothing() {
    let mut rng = Rng(0x4a3e);
    for register in registers() {
        let model = make(register.model());
        for _ in 0..rounds() / 8 {
            let mut ops = oracle::run(&register, &mut rng, 12, 3, 15);
            oracle::mutate(&register, &mut rng, &mut ops);
            let verdict = |ops: &[Op], key: Val| {
                let h = oracle::history(ops, key);
                let whole = &split::whole(&h)[0];
                let mut meter = Budget::unlimited().meter();
                match model.fast(&h, whole, &mut meter).unwrap() {
                    None => None,
                    Some((_, Answer::Illegal(core))) => Some(Err(core.blocked)),
                    Some((_, Answer::Legal(rows))) => Some(Ok(rows)),
                    Some(_) => panic!("unknown"),
                }
            };
            let before = verdict(&ops, Val(7));
            let named: Vec<Op> = ops.iter().map(oracle::renamed).collect();
            assert_eq!(before, verdict(&named, Val::NIL), "{}", oracle::shown(&ops));
        }
    }
}

/// Two objects in one history have the verdicts that each has alone.
#[test]
fn splitting_changes_nothing() {
    let mut rng = Rng(0x5b117);
    for register in registers() {
        let model = make(register.model());
        for _ in 0..rounds() / 8 {
            let mut one = oracle::run(&register, &mut rng, 8, 3, 15);
            let mut two = oracle::run(&register, &mut rng, 8, 3, 15);
            oracle::mutate(&register, &mut rng, &mut one);
            oracle::mutate(&register, &mut rng, &mut two);
            let truths = [&one, &two].map(|ops| oracle::legal(&register, ops));
            let h = oracle::merged(&mut rng, &one, &two);
            for object in model.objects(&h) {
                let truth = truths[object.key.small().unwrap() as usize];
                let mut meter = Budget::unlimited().meter();
                match model.fast(&h, &object, &mut meter).unwrap() {
                    Some((_, Answer::Legal(_))) => assert!(truth),
                    Some(_) => assert!(!truth),
                    None => {}
                }
            }
        }
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
