//! Small histories: random runs of real objects, some of them spoilt.

use dissensus_engine::history::{History, Outcome, NO_TIME, OPEN};
use dissensus_engine::values::Val;

#[derive(Clone, Debug, PartialEq)]
pub enum R {
    Nothing,
    Nil,
    Int(i64),
    Flag(bool),
    List(Vec<i64>),
}

#[derive(Clone, Debug)]
pub struct Op {
    pub process: u32,
    pub f: &'static str,
    pub arg: Option<i64>,
    pub result: R,
    pub outcome: Outcome,
    pub inv: u32,
    pub ret: u32,
}

impl Op {
    pub fn end(&self) -> u32 {
        if self.outcome == Outcome::Info {
            OPEN
        } else {
            self.ret
        }
    }

    pub fn known(&self) -> bool {
        self.outcome == Outcome::Ok
    }
}

/// Numbers that look random, the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % sides.max(1) as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

/// How an operation takes effect.
type Run = fn(state: &[i64], op: &Op, dice: &mut Dice) -> Option<(Vec<i64>, R)>;

/// What is invoked, and what happens then.
pub struct Game {
    pub model: &'static str,
    /// The next operation, and its argument; `fresh` counts them.
    pub invent: fn(dice: &mut Dice, fresh: i64) -> (&'static str, Option<i64>),
    /// The state after an operation that takes effect now, and its result; `None`: it has to wait.
    pub run: Run,
    /// Whether an operation with its result is legal, and the state after it. Of one that crashed
    /// the result is not known.
    pub legal: fn(state: &[i64], op: &Op) -> Option<Vec<i64>>,
    pub start: &'static [i64],
    /// Operations that can stand for each other, to spoil a history.
    pub names: &'static [&'static str],
    /// Other results that an operation might be given.
    pub spoil: fn(dice: &mut Dice, ops: &[Op], at: usize) -> R,
}

/// A run of a real object: 5 to 10 operations by 2 to 4 clients, 15 % of them crash. Events are
/// (operation, is a return), in order.
fn run(game: &Game, dice: &mut Dice) -> (Vec<Op>, Vec<(usize, bool)>) {
    let clients = 2 + dice.roll(3);
    let wanted = 5 + dice.roll(6);
    let mut ops: Vec<Op> = Vec::new();
    let mut events = Vec::new();
    let mut state = game.start.to_vec();
    // For each client its process and its operation, if it has one, and whether that is done.
    let mut now: Vec<(u32, Option<(usize, bool)>)> =
        (0..clients).map(|c| (c as u32, None)).collect();
    let mut crashes: Vec<bool> = Vec::new();
    let mut adrift: Vec<usize> = Vec::new();
    for _ in 0..400 {
        if ops.len() == wanted && now.iter().all(|(_, op)| op.is_none()) {
            break;
        }
        if !adrift.is_empty() && dice.chance(10) {
            let at = adrift.swap_remove(dice.roll(adrift.len()));
            if let Some((after, _)) = (game.run)(&state, &ops[at], dice) {
                state = after;
            }
        }
        let client = dice.roll(clients);
        match now[client].1 {
            None if ops.len() < wanted => {
                let (f, arg) = (game.invent)(dice, ops.len() as i64 + 1);
                let op = Op {
                    process: now[client].0,
                    f,
                    arg,
                    result: R::Nothing,
                    outcome: Outcome::Info,
                    inv: 0,
                    ret: OPEN,
                };
                now[client].1 = Some((ops.len(), false));
                events.push((ops.len(), false));
                crashes.push(dice.chance(15));
                ops.push(op);
            }
            None => {}
            Some((at, done)) if crashes[at] && (done || dice.chance(50)) => {
                if !done && dice.chance(50) {
                    adrift.push(at);
                }
                now[client] = (now[client].0 + clients as u32, None);
            }
            Some((at, false)) => {
                if let Some((after, result)) = (game.run)(&state, &ops[at], dice) {
                    state = after;
                    ops[at].result = result;
                    now[client].1 = Some((at, true));
                }
            }
            Some((at, true)) => {
                ops[at].outcome = Outcome::Ok;
                events.push((at, true));
                now[client].1 = None;
            }
        }
    }
    for op in &mut ops {
        if op.outcome == Outcome::Info {
            op.result = R::Nothing;
        }
    }
    (ops, events)
}

/// A small history: a real run, spoilt in 60 of 100 cases.
pub fn history(game: &Game, dice: &mut Dice) -> Vec<Op> {
    let (mut ops, mut events) = run(game, dice);
    let tough = 2 + 2 * game.names.len();
    if dice.chance(60) {
        for _ in 0..tough + dice.roll(3) {
            spoil(game, dice, &mut ops, &mut events);
        }
    }
    for (position, &(at, returns)) in events.iter().enumerate() {
        if returns {
            ops[at].ret = position as u32;
        } else {
            ops[at].inv = position as u32;
        }
    }
    ops.sort_by_key(|op| op.inv);
    ops
}

fn spoil(game: &Game, dice: &mut Dice, ops: &mut [Op], events: &mut Vec<(usize, bool)>) {
    let done: Vec<usize> = (0..ops.len()).filter(|&at| ops[at].known()).collect();
    if done.is_empty() {
        return;
    }
    let told: Vec<usize> = done
        .iter()
        .copied()
        .filter(|&at| ops[at].result != R::Nothing)
        .collect();
    let kind = if told.is_empty() { 2 } else { dice.roll(3) };
    let at = *dice.pick(if kind < 2 { &told } else { &done });
    match kind {
        _ if !game.names.is_empty() && dice.chance(80) => {
            ops[at].f = game.names[dice.roll(game.names.len())];
            ops[at].result = R::Nothing;
        }
        0 => ops[at].result = (game.spoil)(dice, ops, at),
        1 => {
            let same: Vec<usize> = done
                .iter()
                .copied()
                .filter(|&b| ops[b].f == ops[at].f)
                .collect();
            let other = *dice.pick(&same);
            let result = ops[at].result.clone();
            ops[at].result = std::mem::replace(&mut ops[other].result, result);
        }
        _ => {
            // Its interval becomes shorter, at one end.
            let from = events
                .iter()
                .position(|&event| event == (at, false))
                .unwrap_or(0);
            let until = events
                .iter()
                .position(|&event| event == (at, true))
                .unwrap_or(0);
            let (moved, to) = if dice.chance(50) {
                (until, from + 1 + dice.roll(until - from))
            } else {
                (from, until - 1 - dice.roll(until - from))
            };
            let event = events.remove(moved);
            events.insert(to, event);
        }
    }
}

/// The history as the engine has it. Row i is operation i of `sorted(ops)`.
pub fn build(ops: &[Op]) -> History {
    let mut history = History::default();
    for op in ops {
        let f = history.name(op.f);
        history.f.push(f);
        history.process.push(op.process);
        history.key.push(Val::NONE);
        let arg = match op.arg {
            None => Val::NIL,
            Some(number) => history.values.int(number),
        };
        history.arg.push(arg);
        let result = match &op.result {
            _ if !op.known() => Val::NONE,
            R::Nothing => Val::NONE,
            R::Nil => Val::NIL,
            R::Int(number) => history.values.int(*number),
            R::Flag(yes) => history.values.boolean(*yes),
            R::List(items) => {
                let items: Vec<Val> = items.iter().map(|&x| history.values.int(x)).collect();
                history.values.list(&items)
            }
        };
        history.result.push(result);
        history.outcome.push(op.outcome);
        history.inv.push(op.inv);
        history.ret.push(op.ret);
        history.inv_ns.push(NO_TIME);
        history.ret_ns.push(NO_TIME);
        history.events += 1 + u32::from(op.ret != OPEN);
    }
    history
}
