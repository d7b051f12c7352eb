//! An oracle that shares no code with the engine: objects as plain functions, random runs of them,
//! and a memoised Wing-Gong search over all orders.

use std::collections::HashSet;

use dissensus_engine::history::{History, Outcome, OPEN};
use dissensus_engine::values::{Val, Values};

/// A small deterministic generator (splitmix64).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum V {
    Nil,
    Int(i64),
    Text(String),
    Word(String),
    List(Vec<V>),
}

impl V {
    pub fn intern(&self, values: &mut Values) -> Val {
        match self {
            V::Nil => Val::NIL,
            V::Int(number) => values.int(*number),
            V::Text(text) => values.string(text),
            V::Word(name) => values.keyword(name),
            V::List(items) => {
                let items: Vec<Val> = items.iter().map(|item| item.intern(values)).collect();
                values.list(&items)
            }
        }
    }

    pub fn int(&self) -> i64 {
        match self {
            V::Int(number) => *number,
            other => panic!("{other:?} is no number"),
        }
    }

    pub fn list(&self) -> Vec<V> {
        match self {
            V::List(items) => items.clone(),
            other => panic!("{other:?} is no list"),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Op {
    pub process: u32,
    pub f: &'static str,
    pub arg: V,
    pub result: V,
    pub outcome: Outcome,
    pub inv: u32,
    pub ret: u32,
}

impl Op {
    pub fn end(&self) -> u32 {
        match self.outcome {
            Outcome::Ok => self.ret,
            _ => OPEN,
        }
    }
}

/// An object.
pub trait Object {
    /// The model of that name is tested.
    fn model(&self) -> &'static str;

    fn initial(&self) -> V;

    /// An operation to ask for; `fresh` counts the values that were given out.
    fn draw(&self, rng: &mut Rng, fresh: &mut i64) -> (&'static str, V);

    /// Result and next state; `None` where it fails and changes nothing.
    fn run(&self, state: &V, f: &str, arg: &V) -> Option<(V, V)>;

    /// The next state, if the operation can be there with that result (`None`: not known).
    fn allows(&self, state: &V, f: &str, arg: &V, result: Option<&V>) -> Option<V> {
        let (gives, next) = self.run(state, f, arg)?;
        match result {
            Some(result) if self.says(f) && *result != gives => None,
            _ => Some(next),
        }
    }

    /// The result of the operation says something.
    fn says(&self, f: &str) -> bool;

    /// Results for these arguments have one shape.
    fn alike(&self, _: &V, _: &V) -> bool {
        true
    }

    /// Another result that might be believed.
    fn twist(&self, rng: &mut Rng, result: &V) -> V {
        match result {
            V::Int(number) => V::Int(number + [-2, -1, 1, 2][rng.below(4)]),
            V::List(items) if !items.is_empty() => {
                let mut items = items.clone();
                match rng.below(3) {
                    0 => drop(items.pop()),
                    1 => {
                        let (a, b) = (rng.below(items.len()), rng.below(items.len()));
                        items.swap(a, b);
                    }
                    _ => drop(items.remove(0)),
                }
                V::List(items)
            }
            V::List(_) => V::List(vec![V::List(vec![V::Int(3), V::Int(1)])]),
            _ => V::Nil,
        }
    }
}

struct Active {
    op: usize,
    done: bool,
    lost: bool,
}

/// A run of the object by some clients: legal.
pub fn run(object: &dyn Object, rng: &mut Rng, count: usize, clients: usize, lost: u64) -> Vec<Op> {
    let mut ops: Vec<Op> = Vec::new();
    let mut active: Vec<Active> = Vec::new();
    let mut state = object.initial();
    let (mut fresh, mut position, mut process) = (0, 0, 0);
    loop {
        let busy = active.iter().filter(|a| !a.lost).count();
        let may_start = ops.len() < count && busy < clients;
        if !may_start && busy == 0 {
            return ops;
        }
        match rng.below(3) {
            0 if may_start => {
                let (f, arg) = object.draw(rng, &mut fresh);
                ops.push(Op {
                    process,
                    f,
                    arg,
                    result: V::Nil,
                    outcome: Outcome::Info,
                    inv: position,
                    ret: OPEN,
                });
                process += 1;
                position += 1;
                active.push(Active {
                    op: ops.len() - 1,
                    done: false,
                    lost: rng.chance(lost),
                });
            }
            1 if !active.is_empty() => {
                let at = rng.below(active.len());
                if active[at].done {
                    continue;
                }
                active[at].done = true;
                let op = &mut ops[active[at].op];
                match object.run(&state, op.f, &op.arg) {
                    Some((result, next)) => {
                        op.result = result;
                        op.outcome = Outcome::Ok;
                        state = next;
                    }
                    None => op.outcome = Outcome::Fail,
                }
                if active[at].lost {
                    op.result = V::Nil;
                    op.outcome = Outcome::Info;
                    active.swap_remove(at);
                }
            }
            _ if !active.is_empty() => {
                let at = rng.below(active.len());
                let op = &mut ops[active[at].op];
                if active[at].lost && op.ret == OPEN && rng.chance(30) {
                    // It is told that nothing is known, and may still take effect.
                    op.ret = position;
                    position += 1;
                } else if active[at].done && !active[at].lost {
                    op.ret = position;
                    position += 1;
                    active.swap_remove(at);
                }
            }
            _ => {}
        }
    }
}

/// Change one thing, and two where that left it legal; the history may be legal or not.
pub fn mutate(object: &dyn Object, rng: &mut Rng, ops: &mut [Op]) {
    for _ in 0..2 {
        change(object, rng, ops);
        if !legal(object, ops) {
            return;
        }
    }
}

/// Change one thing.
pub fn change(object: &dyn Object, rng: &mut Rng, ops: &mut [Op]) {
    let telling: Vec<usize> = (0..ops.len())
        .filter(|&i| ops[i].outcome == Outcome::Ok && object.says(ops[i].f))
        .collect();
    if telling.is_empty() {
        return;
    }
    let a = telling[rng.below(telling.len())];
    let alike: Vec<usize> = telling
        .iter()
        .copied()
        .filter(|&i| i != a && ops[i].f == ops[a].f && object.alike(&ops[i].arg, &ops[a].arg))
        .collect();
    match rng.below(4) {
        0 | 1 if !alike.is_empty() => {
            let b = alike[rng.below(alike.len())];
            if rng.chance(50) {
                let result = ops[b].result.clone();
                ops[a].result = result;
            } else {
                let (left, right) = (a.min(b), a.max(b));
                let (head, tail) = ops.split_at_mut(right);
                std::mem::swap(&mut head[left].result, &mut tail[0].result);
            }
        }
        2 => {
            // Two operations change places.
            let b = rng.below(ops.len());
            if ops[b].outcome == Outcome::Ok {
                let other = ops[b].clone();
                let this = ops[a].clone();
                (ops[a].f, ops[a].arg, ops[a].result) = (other.f, other.arg, other.result);
                (ops[b].f, ops[b].arg, ops[b].result) = (this.f, this.arg, this.result);
            }
        }
        _ => ops[a].result = object.twist(rng, &ops[a].result),
    }
}

/// Whether an order exists.
pub fn legal(object: &dyn Object, ops: &[Op]) -> bool {
    order(object, ops).is_some()
}

/// An order, if one exists.
pub fn order(object: &dyn Object, ops: &[Op]) -> Option<Vec<u32>> {
    assert!(ops.len() <= 64);
    let must: u64 = (0..ops.len())
        .filter(|&i| ops[i].outcome == Outcome::Ok)
        .map(|i| 1 << i)
        .sum();
    let mut seen: HashSet<(u64, V)> = HashSet::new();
    let mut stack = vec![(0u64, object.initial(), Vec::new())];
    while let Some((done, state, rows)) = stack.pop() {
        if done & must == must {
            return Some(rows);
        }
        // Nothing may come before what must have been done by its invocation.
        let first = (0..ops.len())
            .filter(|&i| done >> i & 1 == 0)
            .map(|i| ops[i].end())
            .min()
            .unwrap_or(OPEN);
        for (i, op) in ops.iter().enumerate() {
            if done >> i & 1 == 1 || op.outcome == Outcome::Fail || op.inv > first {
                continue;
            }
            let result = (op.outcome == Outcome::Ok).then_some(&op.result);
            if let Some(next) = object.allows(&state, op.f, &op.arg, result) {
                let key = (done | 1 << i, next);
                if seen.insert(key.clone()) {
                    let mut rows: Vec<u32> = rows.clone();
                    rows.push(i as u32);
                    stack.push((key.0, key.1, rows));
                }
            }
        }
    }
    None
}

/// (nanoseconds, versions) by which reads of a register are stale, each value written once.
pub fn staleness(ops: &[Op]) -> (i64, usize) {
    let (mut ns, mut versions) = (0, 0);
    for read in ops {
        if read.f != "read" || read.outcome != Outcome::Ok {
            continue;
        }
        let writes_it = |op: &&Op| op.f == "write" && op.outcome != Outcome::Fail;
        let source = ops
            .iter()
            .filter(writes_it)
            .find(|op| op.arg == read.result);
        if source.is_none() && read.result != V::Nil {
            continue;
        }
        // When the value was certainly there.
        let saw = |op: &&Op| op.f == "read" && op.result == read.result;
        let ends = ops.iter().filter(saw).chain(source).map(Op::end).min();
        let there = match source {
            Some(_) => i64::from(ends.unwrap_or(OPEN)),
            None => -1,
        };
        let newer: Vec<&Op> = ops
            .iter()
            .filter(|op| op.f == "write" && i64::from(op.inv) > there && op.end() < read.inv)
            .collect();
        versions = versions.max(newer.len());
        if let Some(first) = newer.iter().map(|op| op.end()).min() {
            ns = ns.max(i64::from(read.inv - first) * 1000);
        }
    }
    (ns, versions)
}

fn renamed_value(value: &V) -> V {
    match value {
        V::Int(number) => V::Text(format!("v{}", number * 37 % 1009)),
        V::List(items) => V::List(items.iter().map(renamed_value).collect()),
        other => other.clone(),
    }
}

/// The operation with other names for its values and its process. 0 keeps its name, for it may be
/// the initial value.
pub fn renamed(op: &Op) -> Op {
    let keep = |value: &V| match value {
        V::Int(0) => V::Int(0),
        V::List(items) => V::List(
            items
                .iter()
                .map(|item| match item {
                    V::Int(0) => V::Int(0),
                    other => renamed_value(other),
                })
                .collect(),
        ),
        other => renamed_value(other),
    };
    Op {
        process: 1000 - op.process,
        arg: keep(&op.arg),
        result: keep(&op.result),
        ..op.clone()
    }
}

/// Two histories as one, each with a key of its own (0 and 1), their events shuffled into each
/// other.
pub fn merged(rng: &mut Rng, one: &[Op], two: &[Op]) -> History {
    let events = |ops: &[Op]| {
        let ends = ops.iter().filter(|op| op.ret != OPEN).map(|op| op.ret);
        let mut events: Vec<u32> = ops.iter().map(|op| op.inv).chain(ends).collect();
        events.sort_unstable();
        events
    };
    let (first, second) = (events(one), events(two));
    let (mut a, mut b, mut next) = (0, 0, 0);
    let (mut to_a, mut to_b) = (vec![0; 256], vec![0; 256]);
    while a < first.len() || b < second.len() {
        if b == second.len() || (a < first.len() && rng.chance(50)) {
            to_a[first[a] as usize] = next;
            a += 1;
        } else {
            to_b[second[b] as usize] = next;
            b += 1;
        }
        next += 1;
    }
    let moved = |op: &Op, to: &[u32]| Op {
        inv: to[op.inv as usize],
        ret: if op.ret == OPEN {
            OPEN
        } else {
            to[op.ret as usize]
        },
        ..op.clone()
    };
    let mut all: Vec<(Op, u32)> = one.iter().map(|op| (moved(op, &to_a), 0)).collect();
    all.extend(two.iter().map(|op| (moved(op, &to_b), 1)));
    all.sort_by_key(|(op, _)| op.inv);
    let (ops, keys): (Vec<Op>, Vec<u32>) = all.into_iter().unzip();
    let mut h = history(&ops, Val(0));
    h.key = keys.into_iter().map(Val).collect();
    h
}

/// The operations, a line each.
pub fn shown(ops: &[Op]) -> String {
    let line = |(row, op): (usize, &Op)| {
        format!(
            "\n{row}: {} {:?} -> {:?} {:?} [{}, {}]",
            op.f, op.arg, op.result, op.outcome, op.inv, op.ret as i32
        )
    };
    ops.iter().enumerate().map(line).collect()
}

/// What the history was when `last` had just happened.
pub fn cut(ops: &[Op], last: u32) -> Vec<Op> {
    let mut kept: Vec<Op> = ops.iter().filter(|op| op.inv <= last).cloned().collect();
    for op in &mut kept {
        if op.outcome == Outcome::Ok && op.ret > last {
            op.outcome = Outcome::Info;
            op.result = V::Nil;
            op.ret = OPEN;
        }
    }
    kept
}

/// Err: why this order of rows proves nothing.
pub fn replay(object: &dyn Object, ops: &[Op], order: &[u32]) -> Result<(), String> {
    let mut state = object.initial();
    let mut done = HashSet::new();
    let mut latest = 0;
    for &row in order {
        let op = ops.get(row as usize).ok_or("no such row")?;
        if !done.insert(row) {
            return Err(format!("row {row} twice"));
        }
        if op.outcome == Outcome::Fail {
            return Err(format!("row {row} failed"));
        }
        if op.end() < latest {
            return Err(format!("row {row} is too late"));
        }
        latest = latest.max(op.inv);
        let result = (op.outcome == Outcome::Ok).then_some(&op.result);
        state = object
            .allows(&state, op.f, &op.arg, result)
            .ok_or_else(|| format!("row {row} is not possible"))?;
    }
    match (0..ops.len()).find(|&i| ops[i].outcome == Outcome::Ok && !done.contains(&(i as u32))) {
        Some(row) => Err(format!("row {row} is missing")),
        None => Ok(()),
    }
}

/// The history as the engine has it. All rows have the key `key`.
pub fn history(ops: &[Op], key: Val) -> History {
    let mut h = History::default();
    for op in ops {
        let f = h.name(op.f);
        let arg = op.arg.intern(&mut h.values);
        let result = op.result.intern(&mut h.values);
        h.process.push(op.process);
        h.f.push(f);
        h.key.push(key);
        h.arg.push(arg);
        let known = op.outcome == Outcome::Ok;
        h.result.push(if known { result } else { Val::NONE });
        h.outcome.push(op.outcome);
        h.inv.push(op.inv);
        h.ret.push(op.ret);
        h.inv_ns.push(i64::from(op.inv) * 1000);
        h.ret_ns.push(match op.ret {
            OPEN => -1,
            ret => i64::from(ret) * 1000,
        });
        let last = if op.ret == OPEN { op.inv } else { op.ret };
        h.events = h.events.max(last + 1);
    }
    h
}
