//! Checks a certificate again: a simple search that shares nothing with those that found the
//! history illegal.
//!
//! It goes through the rows of the history itself and takes what is not kept for free, but for the
//! gaps, in which there must indeed be nothing. Then it tries everything: between each two
//! positions it follows all that can happen from each (done, state, spent) that can be reached. The
//! certificate holds when nothing is left at the end.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::budget::{Budget, Stop};
use crate::certify::classes::{free_class, part_of};
use crate::certify::{Certificate, Gap};
use crate::history::{History, OPEN};
use crate::model::{Class, Model, Part, Step};
use crate::planted;
use crate::split::Object;

/// Words of all places that are tried: a certificate that is minimal needs hundreds.
const WORDS: usize = 2_000_000;
/// Classes up to which each row is held against all of them.
const FEW: usize = 16;
/// Pairs of classes that are looked at to see which free ones can matter.
const PAIRS: u64 = 100_000_000;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Checked {
    Holds,
    /// It does not, and why.
    Refuted(String),
    /// There was too much to try.
    TooMuch,
}

struct Op {
    inv: u32,
    ret: u32,
    must: bool,
    class: Class,
}

struct Free {
    class: Class,
    most: u32,
    gaps: Vec<(u32, u32)>,
}

/// Check a certificate against the object that it accuses.
pub fn verify(
    history: &History,
    model: &dyn Model,
    object: &Object,
    certificate: &Certificate,
    budget: &Budget,
) -> Result<Checked, Stop> {
    let refuted = |text: &str| Ok(Checked::Refuted(text.to_string()));
    if model.name() != certificate.model || object.key != certificate.key {
        return refuted("it is of another model or key");
    }
    let last = history.end(certificate.blocked as usize % history.len().max(1));
    if !certificate.kept.contains(&certificate.blocked) || last != certificate.end {
        return refuted("the operation that cannot return does not return there");
    }
    check(history, model, object, certificate, budget)
}

/// The same, whatever returns at the end.
pub(super) fn check(
    history: &History,
    model: &dyn Model,
    object: &Object,
    certificate: &Certificate,
    budget: &Budget,
) -> Result<Checked, Stop> {
    let refuted = |text: &str| Ok(Checked::Refuted(text.to_string()));
    let mut meter = budget.meter();
    let kept: BTreeSet<u32> = certificate.kept.iter().copied().collect();
    let end = certificate.end;
    let mut ops = Vec::new();
    for &row in &kept {
        if object.rows.binary_search(&row).is_err() {
            return refuted("a row that is kept is of another key");
        }
        let (part, ret) = part_of(history, model, row, end);
        if part == Part::Drop {
            return refuted("a row that is kept does not count before the end");
        }
        ops.push(Op {
            inv: history.inv[row as usize],
            ret,
            must: part == Part::Must,
            class: Class::of(model, history, row as usize),
        });
    }
    let others = others(history, object, &kept, end);
    let Some(useful) = useful(history, model, &ops, &others, &mut meter)? else {
        return Ok(Checked::TooMuch);
    };
    let own: Vec<Class> = certificate.gaps.iter().map(|gap| gap.class).collect();
    let mut free: HashMap<Class, Free> = HashMap::new();
    for &row in &others {
        meter.tick()?;
        let Some(class) = free_class(history, model, row) else {
            continue;
        };
        if !useful.contains(&class) && !own.contains(&class) {
            continue;
        }
        let one = free.entry(class).or_insert_with(|| Free {
            class,
            most: 0,
            gaps: gaps_of(&certificate.gaps, &class),
        });
        one.most += 1;
        let (inv, ret) = (history.inv[row as usize], history.end(row as usize));
        let inside = |&(from, to): &(u32, u32)| inv < to && ret > from;
        if planted!("verify-gaps", one.gaps.iter().any(inside), false) {
            return refuted("there is an operation in a gap");
        }
    }
    let free = free.into_values().filter(|one| useful.contains(&one.class));
    let mut all = Everything {
        history,
        model,
        ops,
        free: free.collect(),
        repeat: certificate.repeat,
    };
    all.try_it(&mut meter)
}

/// Begin and end of the gaps of a class: what is open at neither is outside.
fn gaps_of(gaps: &[Gap], class: &Class) -> Vec<(u32, u32)> {
    let own = gaps.iter().filter(|gap| gap.class == *class);
    own.map(|gap| {
        (
            gap.after.map_or(0, |a| a.0),
            gap.before.map_or(OPEN, |b| b.0),
        )
    })
    .collect()
}

/// The rows of an object that are not kept and were invoked before the end.
fn others(history: &History, object: &Object, kept: &BTreeSet<u32>, end: u32) -> Vec<u32> {
    let mut rows = object.rows.clone();
    rows.retain(|row| history.inv[*row as usize] < end);
    for row in kept {
        if let Ok(at) = rows.binary_search(row) {
            rows.remove(at);
        }
    }
    rows
}

/// The free classes that something kept can depend on, also through one another. The first rounds
/// look at rows as they come: mostly few of them matter.
fn useful(
    history: &History,
    model: &dyn Model,
    ops: &[Op],
    rows: &[u32],
    meter: &mut crate::budget::Meter,
) -> Result<Option<HashSet<Class>>, Stop> {
    let mut found: HashSet<Class> = HashSet::new();
    let mut fresh: Vec<Class> = ops.iter().map(|op| op.class).collect();
    let mut pairs = 0;
    let mut distinct: Option<Vec<Class>> = None;
    for round in 0.. {
        if fresh.is_empty() {
            break;
        }
        if round == 2 || fresh.len() > FEW {
            let all = rows
                .iter()
                .filter_map(|&row| free_class(history, model, row));
            distinct.get_or_insert_with(|| all.collect::<HashSet<Class>>().into_iter().collect());
        }
        let looked = distinct.as_ref().map_or(rows.len(), Vec::len);
        pairs += fresh.len() as u64 * looked as u64;
        if pairs > PAIRS {
            return Ok(None);
        }
        let mut more: Vec<Class> = Vec::new();
        for at in 0..looked {
            meter.tick()?;
            let class = match &distinct {
                Some(classes) => Some(classes[at]),
                None => free_class(history, model, rows[at]),
            };
            let Some(class) = class else { continue };
            let needed = |other: &Class| model.matters(history, &class, other);
            if fresh.iter().any(needed) && found.insert(class) {
                more.push(class);
            }
        }
        fresh = more;
    }
    Ok(Some(found))
}

/// Which kept operations are done, 64 in a word; the state; how often free ones were spent.
type Place = (Vec<u64>, Vec<u32>, Vec<u32>);

struct Everything<'a> {
    history: &'a History,
    model: &'a dyn Model,
    ops: Vec<Op>,
    free: Vec<Free>,
    repeat: bool,
}

impl Everything<'_> {
    fn try_it(&mut self, meter: &mut crate::budget::Meter) -> Result<Checked, Stop> {
        let mut positions: BTreeSet<u32> = BTreeSet::new();
        for op in &self.ops {
            positions.extend([op.inv, op.ret]);
        }
        for free in &self.free {
            positions.extend(free.gaps.iter().flat_map(|&(from, to)| [from, to]));
        }
        positions.insert(0);
        positions.remove(&OPEN);
        let spent = if self.repeat { 0 } else { self.free.len() };
        let initial = self.model.initial(&self.history.values);
        let mut reached: HashSet<Place> = HashSet::from([(
            vec![0; self.ops.len().div_ceil(64)],
            initial,
            vec![0; spent],
        )]);
        let mut tried = 0;
        let positions: Vec<u32> = positions.into_iter().collect();
        for (i, &left) in positions.iter().enumerate() {
            let right = positions.get(i + 1).copied().unwrap_or(OPEN);
            let mut ahead: Vec<Place> = reached.iter().cloned().collect();
            while let Some(place) = ahead.pop() {
                tried += 4 + place.0.len() + place.1.len() + place.2.len();
                meter.tick()?;
                if tried > WORDS {
                    return Ok(Checked::TooMuch);
                }
                for next in self.after(&place, left, right) {
                    if reached.insert(next.clone()) {
                        ahead.push(next);
                    }
                }
            }
            for (i, op) in self.ops.iter().enumerate() {
                if op.must && op.ret == right {
                    reached.retain(|(done, _, _)| is_done(done, i));
                }
            }
            if reached.is_empty() {
                return Ok(Checked::Holds);
            }
        }
        Ok(Checked::Refuted(
            "there is an order of the operations that is legal".to_string(),
        ))
    }

    /// The places one operation further on, between two positions.
    fn after(&self, place: &Place, left: u32, right: u32) -> Vec<Place> {
        let (done, state, spent) = place;
        let mut found = Vec::new();
        let step = |class: &Class| {
            let mut next = Vec::new();
            match self.model.step(self.history, state, class, &mut next) {
                Step::No => None,
                Step::Same => Some(state.clone()),
                Step::To => Some(next),
            }
        };
        for (i, op) in self.ops.iter().enumerate() {
            if !is_done(done, i) && op.inv <= left && op.ret >= right {
                if let Some(next) = step(&op.class) {
                    let mut done = done.clone();
                    done[i / 64] |= 1 << (i % 64);
                    found.push((done, next, spent.clone()));
                }
            }
        }
        for (i, free) in self.free.iter().enumerate() {
            let closed = free
                .gaps
                .iter()
                .any(|&(from, to)| from <= left && right <= to);
            if closed || spent.get(i).is_some_and(|&n| n >= free.most) {
                continue;
            }
            if let Some(next) = step(&free.class) {
                let mut spent = spent.clone();
                if let Some(n) = spent.get_mut(i) {
                    *n += 1;
                }
                found.push((done.clone(), next, spent));
            }
        }
        found
    }
}

fn is_done(done: &[u64], at: usize) -> bool {
    done.get(at / 64)
        .is_some_and(|word| word >> (at % 64) & 1 == 1)
}
