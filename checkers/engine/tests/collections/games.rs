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
    names: &[],
    spoil: other_value,
};

pub const STACK: Game = Game {
    model: "stack",
    invent: |dice, fresh| put_or_take("push", "pop", dice, fresh),
    run: |state, op, _| run_collection(stack, state, op),
    legal: stack,
    start: &[],
    names: &[],
    spoil: other_value,
};

fn deque(state: &[i64], op: &Op) -> Option<Vec<i64>> {
    let last = state.len().checked_sub(1);
    match (op.f, op.arg) {
        ("push-front", Some(x)) => Some([&[x], state].concat()),
        ("push-back", Some(x)) => Some([state, &[x]].concat()),
        ("pop-front", _) => come_out(state, op, last.map(|_| 0), false),
        _ => come_out(state, op, last, false),
    }
}

pub const DEQUE: Game = Game {
    model: "deque",
    invent: |dice, fresh| {
        let front = dice.chance(50);
        let put = if front { "push-front" } else { "push-back" };
        let take = if front { "pop-front" } else { "pop-back" };
        put_or_take(put, take, dice, fresh)
    },
    run: |state, op, _| run_collection(deque, state, op),
    legal: deque,
    start: &[],
    names: &[],
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
    names: &[],
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

fn yes(op: &Op) -> bool {
    op.result == R::Flag(true) || op.result == R::Int(1)
}

fn no(op: &Op) -> bool {
    op.result == R::Flag(false) || op.result == R::Int(0)
}

fn set(state: &[i64], op: &Op) -> Option<Vec<i64>> {
    let x = op.arg?;
    let there = state.contains(&x);
    let mut after: Vec<i64> = state.iter().copied().filter(|&y| y != x).collect();
    let wrong = match op.f {
        "add" => (yes(op) && there) || (no(op) && !there),
        _ => (yes(op) && !there) || (no(op) && there),
    };
    if op.known() && wrong {
        return None;
    }
    if op.f == "add" || (op.f == "contains" && there) {
        after.push(x);
    }
    after.sort_unstable();
    Some(after)
}

pub const SET: Game = Game {
    model: "set",
    invent: |dice, _| {
        let x = 10 + dice.roll(2) as i64;
        (
            *dice.pick(&["add", "remove", "contains", "contains"]),
            Some(x),
        )
    },
    run: |state, op, dice| {
        if dice.chance(1) {
            return run_any(set, state, op, &[R::Nothing]);
        }
        run_any(set, state, op, &[R::Flag(true), R::Int(0)])
    },
    legal: set,
    start: &[],
    names: &[],
    spoil: |_, ops, at| R::Flag(!yes(&ops[at])),
};

/// Elements that come once and go once.
pub const SET_ONCE: Game = Game {
    model: "set",
    invent: |dice, fresh| match fresh {
        1 | 2 => ("add", Some(9 + fresh)),
        3 | 6 => ("remove", Some(9 + fresh / 3)),
        _ => ("contains", Some(10 + dice.roll(2) as i64)),
    },
    ..SET
};

fn grow(state: &[i64], op: &Op) -> Option<Vec<i64>> {
    let mut after = state.to_vec();
    match (op.arg, &op.result) {
        (Some(x), _) => {
            after.push(x);
            after.sort_unstable();
            after.dedup();
        }
        (None, R::List(found)) => {
            let mut found = found.clone();
            found.sort_unstable();
            found.dedup();
            return (found == state).then_some(after);
        }
        _ => {}
    }
    Some(after)
}

pub const GROW: Game = Game {
    model: "g-set",
    invent: |dice, fresh| {
        if dice.chance(50) {
            ("add", Some(1 + dice.roll(fresh as usize) as i64))
        } else {
            ("read", None)
        }
    },
    run: |state, op, dice| {
        let mut found = state.to_vec();
        if dice.chance(20) && !found.is_empty() {
            found.push(found[0]);
        }
        let result = if op.arg.is_some() || dice.chance(3) {
            R::Nothing
        } else {
            R::List(found)
        };
        Some((grow(state, op)?, result))
    },
    legal: grow,
    start: &[],
    names: &[],
    spoil: |dice, ops, at| {
        let mut found = match &ops[at].result {
            R::List(found) => found.clone(),
            _ => return R::Nothing,
        };
        if dice.chance(50) && !found.is_empty() {
            found.swap_remove(dice.roll(found.len()));
        } else {
            found.push(1 + dice.roll(ops.len()) as i64);
        }
        R::List(found)
    },
};

/// State: what can be had, and what there is at most.
fn permits(state: &[i64], op: &Op) -> Option<Vec<i64>> {
    let (left, cap) = (state[0], state[1]);
    match op.f {
        "acquire" if op.known() && no(op) => (left == 0).then(|| state.to_vec()),
        "acquire" => (left > 0).then(|| vec![left - 1, cap]),
        _ => (left < cap).then(|| vec![left + 1, cap]),
    }
}

fn run_permits(state: &[i64], op: &Op, dice: &mut Dice) -> Option<(Vec<i64>, R)> {
    let refused = if dice.chance(1) {
        R::Flag(false)
    } else {
        R::Nothing
    };
    run_any(permits, state, op, &[R::Nothing, refused])
}

fn lock_or_unlock(dice: &mut Dice, fresh: i64) -> (&'static str, Option<i64>) {
    let acquire = (fresh % 2 == 1) != dice.chance(15);
    (if acquire { "acquire" } else { "release" }, None)
}

pub const MUTEX: Game = Game {
    model: "mutex",
    invent: lock_or_unlock,
    run: run_permits,
    legal: permits,
    start: &[1, 1],
    names: &["acquire", "release"],
    spoil: |dice, _, _| {
        if dice.chance(15) {
            R::Flag(false)
        } else {
            R::Flag(true)
        }
    },
};

pub const SEMAPHORE: Game = Game {
    model: "semaphore(n=2)",
    start: &[2, 2],
    names: &["acquire", "acquire", "acquire", "release"],
    ..MUTEX
};

pub const COUNTING: Game = Game {
    model: "semaphore(init=0)",
    start: &[0, 1000],
    names: &["acquire", "acquire", "acquire", "release"],
    ..MUTEX
};

/// State: owner, depth.
fn reentrant(state: &[i64], op: &Op) -> Option<Vec<i64>> {
    let (me, owner, depth) = (i64::from(op.process), state[0], state[1]);
    match op.f {
        "acquire" if op.known() && no(op) => (depth > 0 && owner != me).then(|| state.to_vec()),
        "acquire" => (depth == 0 || owner == me).then(|| vec![me, depth + 1]),
        _ if depth == 0 || owner != me => None,
        _ => Some(if depth == 1 {
            vec![0, 0]
        } else {
            vec![me, depth - 1]
        }),
    }
}

pub const REENTRANT: Game = Game {
    model: "reentrant-mutex",
    invent: lock_or_unlock,
    run: |state, op, dice| {
        // Nobody releases what is not his: such a call is an acquisition in truth.
        let refused = if dice.chance(3) {
            R::Flag(false)
        } else {
            R::Nothing
        };
        run_any(reentrant, state, op, &[R::Nothing, refused])
    },
    legal: reentrant,
    start: &[0, 0],
    names: &["acquire", "release"],
    spoil: |_, _, _| R::Nothing,
};

/// State: held, last token given, largest used.
fn fenced(state: &[i64], op: &Op) -> Option<Vec<i64>> {
    let (held, given, used) = (state[0], state[1], state[2]);
    match (op.f, op.arg) {
        ("acquire", _) if op.known() && op.result == R::Flag(false) => {
            (held == 1).then(|| state.to_vec())
        }
        ("acquire", _) => {
            let token = match op.result {
                R::Int(token) if op.known() => token,
                _ => given + 1,
            };
            (held == 0 && token > given).then(|| vec![1, token, used])
        }
        ("use", Some(token)) => {
            let refused = op.known() && no(op);
            (token <= given && refused == (token < used))
                .then(|| vec![held, given, used.max(token)])
        }
        (_, token) => {
            let other = token.is_some_and(|token| token != given);
            (held == 1 && !other).then(|| vec![0, given, used])
        }
    }
}

fn run_fenced(state: &[i64], op: &Op, dice: &mut Dice) -> Option<(Vec<i64>, R)> {
    if op.f == "acquire" {
        if state[0] == 1 {
            return dice.chance(1).then(|| (state.to_vec(), R::Flag(false)));
        }
        let token = state[1] + 1 + dice.roll(2) as i64;
        return Some((vec![1, token, state[2]], R::Int(token)));
    }
    let refused = if dice.chance(10) {
        R::Flag(false)
    } else {
        R::Nothing
    };
    run_any(fenced, state, op, &[R::Nothing, refused])
}

pub const FENCED: Game = Game {
    model: "fenced-lock",
    invent: |dice, fresh| match dice.roll(10) {
        0..=4 => ("acquire", None),
        5..=7 => ("release", None),
        _ => ("use", Some(dice.roll(fresh as usize) as i64)),
    },
    run: run_fenced,
    legal: fenced,
    start: &[0, -1, -1],
    names: &[],
    spoil: |dice, ops, at| {
        if ops[at].f == "acquire" {
            R::Int(dice.roll(5) as i64)
        } else {
            R::Nothing
        }
    },
};

/// Releases name their tokens.
pub const FENCED_NAMED: Game = Game {
    invent: |dice, fresh| match dice.roll(10) {
        0..=4 => ("acquire", None),
        5..=8 => ("release", Some(dice.roll(1 + fresh as usize / 2) as i64)),
        _ => ("use", Some(dice.roll(fresh as usize) as i64)),
    },
    ..FENCED
};
