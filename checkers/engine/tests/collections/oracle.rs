//! Brute force: every order, with a memory of what was tried (Wing and Gong 1993, Lowe 2017).

use std::collections::HashSet;

use dissensus_engine::history::OPEN;

use crate::ops::{Game, Op};

/// Whether some order is legal. Operations with `must` false may be left out.
pub fn legal(game: &Game, ops: &[Op], must: &[bool]) -> bool {
    let mut seen = HashSet::new();
    go(game, ops, must, 0, game.start.to_vec(), &mut seen)
}

/// Whether a history is legal as it stands.
pub fn judge(game: &Game, ops: &[Op]) -> bool {
    let must: Vec<bool> = ops.iter().map(Op::known).collect();
    legal(game, ops, &must)
}

fn go(
    game: &Game,
    ops: &[Op],
    must: &[bool],
    done: u32,
    state: Vec<i64>,
    seen: &mut HashSet<(u32, Vec<i64>)>,
) -> bool {
    let left = || (0..ops.len()).filter(|&at| done & 1 << at == 0);
    let ends = |at: usize| if must[at] { ops[at].ret } else { OPEN };
    if left().all(|at| !must[at]) {
        return true;
    }
    if !seen.insert((done, state.clone())) {
        return false;
    }
    let first = left().map(ends).min().unwrap_or(OPEN);
    left().filter(|&at| ops[at].inv < first).any(|at| {
        (game.legal)(&state, &ops[at])
            .is_some_and(|after| go(game, ops, must, done | 1 << at, after, seen))
    })
}

/// Why an order of rows is no proof that the history is legal.
pub fn replay(game: &Game, ops: &[Op], order: &[u32]) -> Result<(), String> {
    let mut seen = HashSet::new();
    let mut state = game.start.to_vec();
    let mut latest = 0;
    for &row in order {
        let op = ops.get(row as usize).ok_or("no such row")?;
        if !seen.insert(row) {
            return Err(format!("row {row} twice"));
        }
        if op.end() < latest {
            return Err(format!(
                "row {row} returned before one that stands before it began"
            ));
        }
        latest = latest.max(op.inv);
        state = (game.legal)(&state, op).ok_or(format!("row {row} is illegal in {state:?}"))?;
    }
    match (0..ops.len()).find(|&at| ops[at].known() && !seen.contains(&(at as u32))) {
        Some(missing) => Err(format!("row {missing} is missing")),
        None => Ok(()),
    }
}
