//! Folds over what was put in and what was read at last: Jepsen's set, set-full and total-queue.

use rustc_hash::FxHashMap;

use crate::budget::{Meter, Stop};
use crate::error::Result;
use crate::fast::places::{Places, NOBODY};
use crate::history::{History, Outcome};
use crate::model::Fold;
use crate::models::{said, start};
use crate::spec::Spec;
use crate::split::{self, Object};
use crate::values::Val;
use crate::verdict::Finding;

/// Findings of one check: more would tell nobody more.
pub const FINDINGS_MAX: usize = 1000;

/// Adds and reads of one object.
struct Sides {
    /// Adds that may have happened, with their elements.
    adds: Vec<(u32, Val)>,
    /// Reads that found something, in order.
    reads: Vec<u32>,
}

/// The objects: each key, or everything where reads have no key.
fn objects(history: &History) -> Vec<Object> {
    let keyless = |row: usize| history.key[row].is_none() && history.f_of(row) == "read";
    if (0..history.len()).any(keyless) {
        split::whole(history)
    } else {
        split::by_key(history)
    }
}

/// Adds as [key element], where reads list bare elements, count as adds of the element.
fn sides(
    history: &History,
    object: &Object,
    meter: &mut Meter,
) -> std::result::Result<Sides, Stop> {
    meter.budget().fits(object.rows.len().saturating_mul(16))?;
    let values = &history.values;
    let mut sides = Sides {
        adds: Vec::new(),
        reads: Vec::new(),
    };
    for &row in &object.rows {
        meter.tick()?;
        let at = row as usize;
        let outcome = history.outcome[at];
        if history.f_of(at) == "read" {
            if outcome == Outcome::Ok && values.as_items(history.result[at]).is_some() {
                sides.reads.push(row);
            }
        } else if outcome != Outcome::Fail {
            sides.adds.push((row, history.arg[at]));
        }
    }
    let pair = |value: Val| values.as_list(value).is_some_and(|items| items.len() == 2);
    let bare = |row: &u32| !items(history, *row).iter().any(|&item| pair(item));
    if sides.adds.iter().all(|&(_, element)| pair(element)) && sides.reads.iter().all(bare) {
        for (_, element) in &mut sides.adds {
            if let Some(&[_, second]) = values.as_list(*element) {
                *element = second;
            }
        }
    }
    Ok(sides)
}

fn items(history: &History, row: u32) -> &[Val] {
    let found = history.values.as_items(history.result[row as usize]);
    found.unwrap_or(&[])
}

/// Every element whose add was acknowledged is in the last read, and nothing is in it that nobody
/// tried to add.
pub struct JepsenSet;

impl JepsenSet {
    pub fn make(spec: &Spec) -> Result<JepsenSet> {
        spec.only(&[])?;
        Ok(JepsenSet)
    }
}

impl Fold for JepsenSet {
    fn name(&self) -> String {
        "jepsen-set".to_string()
    }

    fn fs(&self) -> &[&'static str] {
        &["add", "read"]
    }

    fn judge(
        &self,
        history: &History,
        meter: &mut Meter,
    ) -> std::result::Result<Vec<Finding>, Stop> {
        let mut found = Vec::new();
        for object in objects(history) {
            let sides = sides(history, &object, meter)?;
            let Some(&last) = sides
                .reads
                .iter()
                .max_by_key(|&&row| history.ret[row as usize])
            else {
                continue;
            };
            let mut there = Places::new(object.rows.len());
            for &item in items(history, last) {
                meter.tick()?;
                there.set(item, last);
            }
            let mut tried = Places::new(object.rows.len());
            for &(row, element) in &sides.adds {
                meter.tick()?;
                tried.set(element, row);
                let acknowledged = history.outcome[row as usize] == Outcome::Ok;
                if acknowledged && there.get(element) == NOBODY {
                    let element = history.values.json(element);
                    let text =
                        format!("(1) added {element}, and the last read (2) does not have it");
                    found.push(finding("lost", vec![row, last], text));
                }
            }
            unexpected(history, last, &mut tried, meter, &mut found)?;
        }
        found.truncate(FINDINGS_MAX);
        Ok(found)
    }
}

/// Elements of a read that nobody tried to add, each once.
fn unexpected(
    history: &History,
    read: u32,
    tried: &mut Places,
    meter: &mut Meter,
    found: &mut Vec<Finding>,
) -> std::result::Result<(), Stop> {
    for &item in items(history, read) {
        meter.tick()?;
        if tried.get(item) == NOBODY {
            tried.set(item, read);
            let element = history.values.json(item);
            let text = format!("(1) found {element}, which nobody added");
            found.push(finding("unexpected", vec![read], text));
        }
    }
    Ok(())
}

fn finding(rule: &'static str, rows: Vec<u32>, text: String) -> Finding {
    Finding { rule, rows, text }
}

/// Jepsen's set-full, element by element: once an element is known to be there (its add was
/// acknowledged, or a read found it) it may be missing from reads only for a while, and not from the
/// last of them; no read has it twice. `linearizable=yes`: it may not be missing at all.
pub struct SetFull {
    linearizable: bool,
}

/// What is known of an element.
#[derive(Clone, Copy)]
struct Known {
    add: u32,
    /// It is there from this position on.
    since: u32,
    /// The last invocation of a read that has it; `None` where no read has it.
    seen: Option<u32>,
}

impl SetFull {
    pub fn make(spec: &Spec) -> Result<SetFull> {
        spec.only(&["linearizable"])?;
        Ok(SetFull {
            linearizable: start::word(spec, "linearizable", &["no", "yes"])? == "yes",
        })
    }

    /// What is missing for ever, and what is missing for a while.
    fn missing(
        &self,
        history: &History,
        reads: &[u32],
        known: &[(Val, Known)],
        meter: &mut Meter,
        found: &mut Vec<Finding>,
    ) -> std::result::Result<(), Stop> {
        for &(element, known) in known {
            meter.tick()?;
            let after = |position: u32| {
                let place = reads.partition_point(|&row| history.inv[row as usize] <= position);
                &reads[place..]
            };
            let text = |why: &str| format!("(1) added {}, {why}", history.values.json(element));
            if let Some(&read) = after(known.since.max(known.seen.unwrap_or(0))).first() {
                let why = text("and no read from (2) on has it");
                found.push(finding("lost", vec![known.add, read], why));
            } else if self.linearizable && found.len() < FINDINGS_MAX {
                let stale = after(known.since)
                    .iter()
                    .find(|&&read| !items(history, read).contains(&element));
                if let Some(&read) = stale {
                    let why = text("it was there, and (2), which began later, does not have it");
                    found.push(finding("stale", vec![known.add, read], why));
                }
            }
        }
        Ok(())
    }
}

impl Fold for SetFull {
    fn name(&self) -> String {
        if self.linearizable {
            "set-full(linearizable=yes)".to_string()
        } else {
            "set-full".to_string()
        }
    }

    fn fs(&self) -> &[&'static str] {
        &["add", "read"]
    }

    fn judge(
        &self,
        history: &History,
        meter: &mut Meter,
    ) -> std::result::Result<Vec<Finding>, Stop> {
        let mut found = Vec::new();
        for object in objects(history) {
            let sides = sides(history, &object, meter)?;
            let mut places = Places::new(object.rows.len());
            let mut all: Vec<(Val, Known)> = Vec::new();
            for &(add, element) in &sides.adds {
                let acknowledged = history.outcome[add as usize] == Outcome::Ok;
                let since = if acknowledged {
                    history.ret[add as usize]
                } else {
                    u32::MAX
                };
                match all.get_mut(places.get(element) as usize) {
                    Some((_, known)) => known.since = known.since.min(since),
                    None => {
                        places.set(element, all.len() as u32);
                        let seen = None;
                        all.push((element, Known { add, since, seen }));
                    }
                }
            }
            let mut stamps = vec![NOBODY; all.len()];
            for &read in &sides.reads {
                let (inv, ret) = (history.inv[read as usize], history.ret[read as usize]);
                for &item in items(history, read) {
                    meter.tick()?;
                    let place = places.get(item) as usize;
                    let Some((_, known)) = all.get_mut(place) else {
                        continue;
                    };
                    known.since = known.since.min(ret);
                    known.seen = known.seen.max(Some(inv));
                    if std::mem::replace(&mut stamps[place], read) == read {
                        let element = history.values.json(item);
                        let text = format!("(1) found {element} more than once");
                        found.push(finding("duplicate", vec![read], text));
                    }
                }
            }
            self.missing(history, &sides.reads, &all, meter, &mut found)?;
            let mut tried = places;
            for &read in &sides.reads {
                unexpected(history, read, &mut tried, meter, &mut found)?;
            }
        }
        found.truncate(FINDINGS_MAX);
        Ok(found)
    }
}

/// Jepsen's total-queue, for a queue that was drained: what was enqueued for certain comes out, and
/// nothing comes out that nobody enqueued. `duplicates=wrong`: nothing comes out more often than it
/// was enqueued.
pub struct TotalQueue {
    once: bool,
}

#[derive(Default)]
struct Tally {
    tried: u32,
    acknowledged: Vec<u32>,
    out: Vec<u32>,
}

/// The tallies of all elements, in the order in which they came up.
#[derive(Default)]
struct Tallies {
    all: FxHashMap<Val, Tally>,
    order: Vec<Val>,
}

impl Tallies {
    fn of(&mut self, element: Val) -> &mut Tally {
        let order = &mut self.order;
        self.all.entry(element).or_insert_with(|| {
            order.push(element);
            Tally::default()
        })
    }
}

impl TotalQueue {
    pub fn make(spec: &Spec) -> Result<TotalQueue> {
        spec.only(&["duplicates"])?;
        Ok(TotalQueue {
            once: start::word(spec, "duplicates", &["ok", "wrong"])? == "wrong",
        })
    }

    fn judge_tallies(&self, history: &History, tallies: &Tallies, crashed: &[u32]) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut lost: Vec<(u32, Val)> = Vec::new();
        for element in &tallies.order {
            let Some(tally) = tallies.all.get(element) else {
                continue;
            };
            let shown = history.values.json(*element);
            if let (0, Some(&row)) = (tally.tried, tally.out.first()) {
                let text = format!("(1) dequeued {shown}, which nobody enqueued");
                found.push(finding("unexpected", vec![row], text));
                continue;
            }
            if self.once && tally.out.len() > tally.tried as usize {
                let text = format!(
                    "{shown} was enqueued {} times and dequeued {} times",
                    tally.tried,
                    tally.out.len()
                );
                found.push(finding("duplicate", tally.out.clone(), text));
            }
            let missing = tally.acknowledged.iter().skip(tally.out.len());
            lost.extend(missing.map(|&row| (row, *element)));
        }
        if crashed.is_empty() {
            found.extend(lost.iter().map(|&(row, element)| {
                let shown = history.values.json(element);
                let text = format!("(1) enqueued {shown}, and nobody dequeued it");
                finding("lost", vec![row], text)
            }));
        } else if lost.len() > crashed.len() {
            // Each dequeue that crashed may have taken one of them.
            let some = lost.iter().take(crashed.len() + 1);
            let mut rows: Vec<u32> = some.map(|&(row, _)| row).collect();
            rows.extend(crashed);
            rows.sort_unstable();
            let text = format!(
                "{} elements were enqueued and never dequeued, and only {} dequeues crashed",
                lost.len(),
                crashed.len()
            );
            found.push(finding("lost", rows, text));
        }
        found.truncate(FINDINGS_MAX);
        found
    }
}

impl Fold for TotalQueue {
    fn name(&self) -> String {
        if self.once {
            "total-queue(duplicates=wrong)".to_string()
        } else {
            "total-queue".to_string()
        }
    }

    fn fs(&self) -> &[&'static str] {
        &["enqueue", "dequeue", "drain", "enq", "deq"]
    }

    fn judge(
        &self,
        history: &History,
        meter: &mut Meter,
    ) -> std::result::Result<Vec<Finding>, Stop> {
        meter.budget().fits(history.len().saturating_mul(80))?;
        let mut found = Vec::new();
        for object in split::by_key(history) {
            let mut tallies = Tallies::default();
            let mut crashed = Vec::new();
            for &row in &object.rows {
                meter.tick()?;
                let at = row as usize;
                let outcome = history.outcome[at];
                let result = history.result[at];
                match (said::plain(history.f_of(at)).as_str(), outcome) {
                    (_, Outcome::Fail) => {}
                    ("enqueue" | "enq", _) => {
                        let tally = tallies.of(history.arg[at]);
                        tally.tried += 1;
                        if outcome == Outcome::Ok {
                            tally.acknowledged.push(row);
                        }
                    }
                    ("drain", Outcome::Ok) => {
                        for &item in items(history, row) {
                            tallies.of(item).out.push(row);
                        }
                    }
                    (_, Outcome::Info) => crashed.push(row),
                    _ if said::empty(&history.values, result) => {}
                    _ => tallies.of(result).out.push(row),
                }
            }
            found.extend(self.judge_tallies(history, &tallies, &crashed));
        }
        Ok(found)
    }
}
