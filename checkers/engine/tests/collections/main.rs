//! Models and polynomial algorithms of collections and locks against brute force.

mod folds;
mod games;
mod labelled;
mod ops;
mod oracle;

use dissensus_engine::budget::Budget;
use dissensus_engine::check::Options;
use dissensus_engine::history::{History, OPEN};
use dissensus_engine::model::{Class, Judge, Model, Step};
use dissensus_engine::models;
use dissensus_engine::search;
use dissensus_engine::spec::Spec;
use dissensus_engine::split::Object;
use dissensus_engine::values::Val;
use dissensus_engine::verdict::{Answer, Core};

use ops::{Dice, Game, Op};

/// Histories for each model.
const ENOUGH: u32 = 20_000;

fn model(name: &str) -> Box<dyn Model> {
    match models::make(&Spec::parse(name).expect("a name")) {
        Ok(Judge::Object(model)) => model,
        _ => panic!("{name} is no object"),
    }
}

fn class(history: &History, row: usize, model: &dyn Model) -> Class {
    Class {
        f: history.f[row],
        key: Val::NONE,
        arg: history.arg[row],
        result: history.result[row],
        outcome: history.outcome[row],
        process: if model.by_process() {
            history.process[row]
        } else {
            0
        },
    }
}

/// The model's own steps along an order that the oracle has found legal.
fn steps(model: &dyn Model, history: &History, order: &[u32]) {
    let mut state = model.initial(&history.values);
    for &row in order {
        let class = class(history, row as usize, model);
        model
            .accepts(history, &class)
            .expect("an operation of the model");
        let mut next = Vec::new();
        match model.step(history, &state, &class, &mut next) {
            Step::No => panic!("{}: row {row} in {state:?}", model.name()),
            Step::Same => {}
            Step::To => {
                assert!(!model.is_read(history, &class));
                state = next;
            }
        }
    }
}

/// A core says too much where its rows, or what had begun before its row returned, are legal.
fn check_core(game: &Game, ops: &[Op], core: &Core, said: &dyn Fn() -> String) {
    let blocked = &ops[core.blocked as usize];
    assert_ne!(blocked.end(), OPEN, "the blocked row never returns");
    let begun: Vec<Op> = ops
        .iter()
        .filter(|op| op.inv < blocked.end())
        .cloned()
        .collect();
    let must: Vec<bool> = begun
        .iter()
        .map(|op| op.known() && op.end() <= blocked.end())
        .collect();
    assert!(
        !oracle::legal(game, &begun, &must),
        "the prefix is legal: {:?} of {}",
        core.rows,
        said()
    );
    assert!(core.rows.is_empty() || core.rows.contains(&core.blocked));
}

/// What the general search says.
fn search(model: &dyn Model, history: &History, object: &Object) -> bool {
    let budget = Budget::unlimited();
    let options = Options::default();
    match search::search(history, model, object, &options, &budget, u64::MAX).answer {
        Answer::Legal(_) => true,
        Answer::Illegal(_) => false,
        Answer::Unknown { .. } => panic!("the search does not know"),
    }
}

#[derive(Default, Debug)]
struct Counts {
    legal: u32,
    illegal: u32,
    /// Left to the search.
    refused: u32,
}

/// Compare every object of many histories. `closed`: the rows of a core are illegal by themselves.
fn fuzz(game: &Game, seed: u64, closed: bool) -> Counts {
    let model = model(game.model);
    let mut dice = Dice(seed);
    let mut counts = Counts::default();
    for turn in 0..ENOUGH {
        let all = ops::history(game, &mut dice);
        let history = ops::build(&all);
        let mut legal = true;
        for object in model.objects(&history) {
            let ops = object
                .rows
                .iter()
                .map(|&row| all[row as usize].clone())
                .collect::<Vec<_>>();
            let expected = oracle::judge(game, &ops);
            legal &= expected;
            let mut meter = Budget::unlimited().meter();
            let said = || format!("{} turn {turn}: {ops:#?}", game.model);
            let searched = search(&*model, &history, &object);
            assert_eq!(searched, expected, "the search is wrong: {}", said());
            let place = |row: u32| object.rows.binary_search(&row).expect("a row") as u32;
            match model.fast(&history, &object, &mut meter).expect("no bound") {
                None => counts.refused += 1,
                Some((_, Answer::Legal(order))) => {
                    assert!(expected, "an illegal history is called legal: {}", said());
                    steps(&*model, &history, &order);
                    let order: Vec<u32> = order.into_iter().map(place).collect();
                    if let Err(why) = oracle::replay(game, &ops, &order) {
                        panic!("{why}: {order:?} of {}", said());
                    }
                }
                Some((_, Answer::Illegal(core))) => {
                    let rows: Vec<u32> = core.rows.into_iter().map(place).collect();
                    let core = Core {
                        blocked: place(core.blocked),
                        rows,
                    };
                    assert!(
                        !expected,
                        "a legal history is called illegal: {} {:?}",
                        said(),
                        core.rows
                    );
                    check_core(game, &ops, &core, &said);
                    let part: Vec<Op> = core
                        .rows
                        .iter()
                        .map(|&at| ops[at as usize].clone())
                        .collect();
                    assert!(
                        !closed || !oracle::judge(game, &part),
                        "the core is legal: {:?} of {}",
                        core.rows,
                        said()
                    );
                }
                Some((name, Answer::Unknown { .. })) => panic!("{name} does not know"),
            }
        }
        assert_eq!(legal, oracle::judge(game, &all), "objects: {all:#?}");
        *(if legal {
            &mut counts.legal
        } else {
            &mut counts.illegal
        }) += 1;
    }
    println!("{}: {counts:?}", game.model);
    let share = |part: u32| part * 100 / ENOUGH;
    assert!(
        share(counts.legal) >= 30 && share(counts.illegal) >= 30,
        "{counts:?}"
    );
    counts
}

#[test]
fn queues() {
    assert!(fuzz(&games::QUEUE, 1, true).refused < ENOUGH / 50);
}

#[test]
fn stacks() {
    assert!(fuzz(&games::STACK, 2, true).refused < ENOUGH / 50);
}

#[test]
fn priority_queues() {
    assert!(fuzz(&games::PRIORITY, 3, true).refused < ENOUGH / 20);
}

/// Both ends: there is no algorithm of its own for it.
#[test]
fn deques() {
    fuzz(&games::DEQUE, 13, true);
}

#[test]
fn sets() {
    fuzz(&games::SET, 4, true);
    assert!(fuzz(&games::SET_ONCE, 5, true).refused < ENOUGH / 5);
}

#[test]
fn sets_that_grow() {
    assert_eq!(fuzz(&games::GROW, 6, true).refused, 0);
}

#[test]
fn mutexes() {
    fuzz(&games::MUTEX, 7, true);
}

#[test]
fn semaphores() {
    fuzz(&games::SEMAPHORE, 8, true);
    fuzz(&games::COUNTING, 9, true);
}

#[test]
fn reentrant_mutexes() {
    fuzz(&games::REENTRANT, 10, true);
}

#[test]
fn fenced_locks() {
    fuzz(&games::FENCED, 11, false);
    fuzz(&games::FENCED_NAMED, 12, false);
}
