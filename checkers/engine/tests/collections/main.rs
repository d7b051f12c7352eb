//! Models and polynomial algorithms of collections and locks against brute force.

mod games;
mod ops;
mod oracle;

use dissensus_engine::budget::Budget;
use dissensus_engine::history::{History, OPEN};
use dissensus_engine::model::{Class, Judge, Model, Step};
use dissensus_engine::models;
use dissensus_engine::spec::Spec;
use dissensus_engine::split;
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
fn check_core(game: &Game, ops: &[Op], core: &Core) {
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
        "the prefix is legal: {:?}",
        core.rows
    );
    assert!(core.rows.is_empty() || core.rows.contains(&core.blocked));
}

#[derive(Default, Debug)]
struct Counts {
    legal: u32,
    illegal: u32,
    /// Left to the search.
    refused: u32,
}

fn fuzz(game: &Game, seed: u64, closed: bool) -> Counts {
    let model = model(game.model);
    let mut dice = Dice(seed);
    let mut counts = Counts::default();
    for turn in 0..ENOUGH {
        let ops = ops::history(game, &mut dice);
        let history = ops::build(&ops);
        let expected = oracle::judge(game, &ops);
        *(if expected {
            &mut counts.legal
        } else {
            &mut counts.illegal
        }) += 1;
        let object = &split::whole(&history)[0];
        let mut meter = Budget::unlimited().meter();
        let said = || format!("{} turn {turn}: {ops:#?}", game.model);
        match model.fast(&history, object, &mut meter).expect("no bound") {
            None => counts.refused += 1,
            Some((_, Answer::Legal(order))) => {
                assert!(expected, "an illegal history is called legal: {}", said());
                if let Err(why) = oracle::replay(game, &ops, &order) {
                    panic!("{why}: {order:?} of {}", said());
                }
                steps(&*model, &history, &order);
            }
            Some((_, Answer::Illegal(core))) => {
                assert!(
                    !expected,
                    "a legal history is called illegal: {} {:?}",
                    said(),
                    core.rows
                );
                check_core(game, &ops, &core);
                if closed {
                    let part: Vec<Op> = core
                        .rows
                        .iter()
                        .map(|&at| ops[at as usize].clone())
                        .collect();
                    assert!(
                        !oracle::judge(game, &part),
                        "the core is legal: {:?} of {}",
                        core.rows,
                        said()
                    );
                }
            }
            Some((name, Answer::Unknown { .. })) => panic!("{name} does not know"),
        }
    }
    let share = |part: u32| part * 100 / ENOUGH;
    assert!(
        share(counts.legal) >= 30 && share(counts.illegal) >= 30,
        "{counts:?}"
    );
    println!("{}: {counts:?}", game.model);
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
