//! What queues, stacks, sets and locks do, in a few lines each, written apart from the models.

use dissensus_engine::history::Outcome;

use crate::ops::{Dice, Game, Op, R};

fn other_value(dice: &mut Dice, ops: &[Op], _: usize) -> R {
    if dice.chance(15) {
        return if dice.chance(50) { R::Nil } else { R::Int(-1) };
    }
    R::Int(dice.roll(ops.len() + 1) as i64 + 1)
}

fn put_or_take(
    put: &'static str,
    take: &'static str,
    dice: &mut Dice,
    fresh: i64,
) -> (&'static str, Option<i64>) {
    if dice.chance(50) {
        (put, Some(fresh))
    } else {
        (take, None)
    }
}

fn nothing(op: &Op) -> bool {
    matches!(op.result, R::Nil | R::Int(-1))
}

/// An element comes out at a place that the state and the type say.
fn come_out(state: &[i64], op: &Op, place: Option<usize>, stays: bool) -> Option<Vec<i64>> {
    let Some(place) = place else {
        return (op.outcome == Outcome::Info || nothing(op)).then(|| state.to_vec());
    };
    if op.known() && op.result != R::Int(state[place]) {
        return None;
    }
    let mut after = state.to_vec();
    if !stays {
        after.remove(place);
    }
    Some(after)
}

/// Run what has a legal result in every state.
fn run_any(
    game: fn(&[i64], &Op) -> Option<Vec<i64>>,
    state: &[i64],
    op: &Op,
    choices: &[R],
) -> Option<(Vec<i64>, R)> {
    choices.iter().find_map(|result| {
        let done = Op {
            result: result.clone(),
            outcome: Outcome::Ok,
            ..op.clone()
        };
        game(state, &done).map(|after| (after, result.clone()))
    })
}

fn run_collection(
    game: fn(&[i64], &Op) -> Option<Vec<i64>>,
    state: &[i64],
    op: &Op,
) -> Option<(Vec<i64>, R)> {
    let mut choices: Vec<R> = state.iter().map(|&x| R::Int(x)).collect();
    choices.push(if op.process % 2 == 0 {
        R::Nil
    } else {
        R::Int(-1)
    });
    if op.arg.is_some() {
        choices = vec![R::Nothing];
    }
    run_any(game, state, op, &choices)
}

fn queue(state: &[i64], op: &Op) -> Option<Vec<i64>> {
    match (op.f, op.arg) {
        ("enqueue", Some(x)) => Some([state, &[x]].concat()),
        _ => come_out(state, op, (!state.is_empty()).then_some(0), false),
    }
}

fn stack(state: &[i64], op: &Op) -> Option<Vec<i64>> {
    match (op.f, op.arg) {
        ("push", Some(x)) => Some([state, &[x]].concat()),
        _ => come_out(state, op, state.len().checked_sub(1), false),
    }
}

fn priority(state: &[i64], op: &Op) -> Option<Vec<i64>> {
    match (op.f, op.arg) {
        ("insert", Some(x)) => {
            let mut after = state.to_vec();
            after.push(x);
            after.sort_unstable();
            Some(after)
        }
        ("peek", _) => come_out(state, op, state.len().checked_sub(1), true),
        _ => come_out(state, op, state.len().checked_sub(1), false),
    }
}

pub const QUEUE: Game = Game {
    model: "queue",
    invent: |dice, fresh| put_or_take("enqueue", "dequeue", dice, fresh),
    run: |state, op, _| run_collection(queue, state, op),
    legal: queue,
    start: &[],
    spoil: other_value,
};

pub const STACK: Game = Game {
    model: "stack",
    invent: |dice, fresh| put_or_take("push", "pop", dice, fresh),
    run: |state, op, _| run_collection(stack, state, op),
    legal: stack,
    start: &[],
    spoil: other_value,
};

pub const PRIORITY: Game = Game {
    model: "priority-queue",
    invent: |dice, fresh| match dice.roll(10) {
        0..=4 => ("insert", Some((fresh * 7) % 11 + 1)),
        5..=7 => ("poll", None),
        _ => ("peek", None),
    },
    run: |state, op, _| run_collection(priority, state, op),
    legal: priority,
    start: &[],
    spoil: |dice, ops, _| {
        let puts: Vec<i64> = ops.iter().filter_map(|op| op.arg).collect();
        match dice.roll(8) {
            0 => R::Nil,
            1 => R::Int(12),
            _ if puts.is_empty() => R::Nil,
            _ => R::Int(*dice.pick(&puts)),
        }
    },
};
