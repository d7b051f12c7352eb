//! Folds: a counter by its bounds, unique ids, one leader in each term.

use rustc_hash::FxHashMap;

use crate::budget::{Meter, Stop};
use crate::error::Result;
use crate::fast::timeline;
use crate::history::{History, Outcome};
use crate::model::Fold;
use crate::models::{said, start};
use crate::spec::Spec;
use crate::values::{Look, Val, Values};
use crate::verdict::Finding;

/// Jepsen's counter: a read is at least what the additions that were over before it began sum to,
/// and at most what all that began before its return sum to; negative additions the other way
/// round. Sound, and not complete.
pub struct CounterBounds {
    name: String,
}

impl CounterBounds {
    pub fn make(spec: &Spec) -> Result<CounterBounds> {
        spec.only(&["bounds"])?;
        Ok(CounterBounds {
            name: start::named(spec),
        })
    }

    /// What an operation adds; `None` for a read.
    fn adds(values: &Values, f: &str, arg: Val) -> Option<Option<i64>> {
        let number = if arg.is_none() || arg.is_nil() {
            Some(1)
        } else {
            values.as_int(arg)
        };
        match said::plain(f).as_str() {
            "read" | "get" => Some(None),
            "add" | "inc" | "increment" | "incr" => Some(Some(number?)),
            "dec" | "decrement" | "decr" | "sub" | "subtract" => Some(Some(number?.checked_neg()?)),
            _ => None,
        }
    }
}

impl Fold for CounterBounds {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fs(&self) -> &[&'static str] {
        &["add", "read", "inc", "dec", "increment", "decrement", "get"]
    }

    fn judge(
        &self,
        history: &History,
        meter: &mut Meter,
    ) -> std::result::Result<Vec<Finding>, Stop> {
        meter.budget().fits(history.len().saturating_mul(56))?;
        let rows: Vec<u32> = (0..history.len() as u32).collect();
        // Sums over the additions that have begun and that are over: [increases, decreases].
        let (mut begun, mut over) = ([0i128; 2], [0i128; 2]);
        let mut over_at: Vec<[i128; 2]> = vec![[0; 2]; history.len()];
        let mut found = Vec::new();
        for event in timeline::events(history, &rows) {
            meter.tick()?;
            let row = event.row() as usize;
            if history.outcome[row] == Outcome::Fail {
                continue;
            }
            let adds = Self::adds(&history.values, history.f_of(row), history.arg[row]);
            match (adds, event.is_return()) {
                (Some(Some(add)), returned) => {
                    let sums = if returned { &mut over } else { &mut begun };
                    sums[usize::from(add < 0)] += i128::from(add);
                }
                (Some(None), false) => over_at[row] = over,
                (Some(None), true) => {
                    let low = over_at[row][0] + begun[1];
                    let high = begun[0] + over_at[row][1];
                    let seen = history.values.as_int(history.result[row]).map(i128::from);
                    found.extend(seen.and_then(|seen| out_of(row, seen, low, high)));
                }
                (None, _) => {}
            }
        }
        Ok(found)
    }
}

fn out_of(row: usize, seen: i128, low: i128, high: i128) -> Option<Finding> {
    let (rule, text) = if seen < low {
        (
            "too-low",
            format!("(1) read {seen}, but what was over before it began sums to at least {low}"),
        )
    } else if seen > high {
        (
            "too-high",
            format!("(1) read {seen}, but what began before it returned sums to at most {high}"),
        )
    } else {
        return None;
    };
    Some(Finding {
        rule,
        rows: vec![row as u32],
        text,
    })
}

/// No id is given out twice.
pub struct UniqueIds;

impl UniqueIds {
    pub fn make(spec: &Spec) -> Result<UniqueIds> {
        spec.only(&[])?;
        Ok(UniqueIds)
    }
}

impl Fold for UniqueIds {
    fn name(&self) -> String {
        "unique-ids".to_string()
    }

    fn fs(&self) -> &[&'static str] {
        &[
            "generate",
            "generate-id",
            "new-id",
            "next-id",
            "unique-id",
            "id",
        ]
    }

    fn judge(
        &self,
        history: &History,
        meter: &mut Meter,
    ) -> std::result::Result<Vec<Finding>, Stop> {
        meter.budget().fits(history.len().saturating_mul(16))?;
        let mut first: FxHashMap<Val, u32> = FxHashMap::default();
        let mut found = Vec::new();
        for row in 0..history.len() {
            meter.tick()?;
            let id = history.result[row];
            if history.outcome[row] != Outcome::Ok || id.is_none() || id.is_nil() {
                continue;
            }
            let before = *first.entry(id).or_insert(row as u32);
            if before != row as u32 {
                found.push(Finding {
                    rule: "duplicate",
                    rows: vec![before, row as u32],
                    text: format!("(1) and (2) both got the id {}", history.values.json(id)),
                });
            }
        }
        Ok(found)
    }
}

/// No term has two leaders, as far as clients were told. `monotone=yes`: nor is a client told of a
/// term and later of an earlier one.
///
/// An operation says a term and its leader as `[term, leader]` or as a map of "term" and "leader";
/// where only the term is said, the leader is the node that was asked.
pub struct Leader {
    name: String,
    monotone: bool,
}

impl Leader {
    pub fn make(spec: &Spec) -> Result<Leader> {
        spec.only(&["monotone"])?;
        Ok(Leader {
            name: start::named(spec),
            monotone: start::word(spec, "monotone", &["no", "yes"])? == "yes",
        })
    }

    /// The term and the leader that an operation says.
    fn said(history: &History, row: usize) -> Option<(i64, Val)> {
        let values = &history.values;
        let result = history.result[row];
        let node = history.node.get(row).copied().unwrap_or(Val::NONE);
        let (term, leader) = match values.look(result) {
            Look::List(&[term, leader]) => (term, leader),
            Look::Int(_) => (result, node),
            Look::Map(items) => {
                let get = |name: &str| {
                    let mut pairs = items.chunks_exact(2);
                    pairs
                        .find(|pair| values.as_name(pair[0]) == Some(name))
                        .map(|pair| pair[1])
                };
                (get("term")?, get("leader").unwrap_or(node))
            }
            _ => return None,
        };
        let nobody = leader.is_none() || leader.is_nil();
        Some((values.as_int(term)?, leader)).filter(|_| !nobody)
    }
}

impl Fold for Leader {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fs(&self) -> &[&'static str] {
        &["leader", "elect", "become-leader", "campaign"]
    }

    fn judge(
        &self,
        history: &History,
        meter: &mut Meter,
    ) -> std::result::Result<Vec<Finding>, Stop> {
        meter.budget().fits(history.len().saturating_mul(48))?;
        let mut leaders: FxHashMap<i64, (Val, u32)> = FxHashMap::default();
        let mut newest: FxHashMap<u32, (i64, u32)> = FxHashMap::default();
        let mut found = Vec::new();
        for row in 0..history.len() {
            meter.tick()?;
            if history.outcome[row] != Outcome::Ok {
                continue;
            }
            let Some((term, leader)) = Self::said(history, row) else {
                continue;
            };
            let (known, first) = *leaders.entry(term).or_insert((leader, row as u32));
            if known != leader {
                found.push(Finding {
                    rule: "two-leaders",
                    rows: vec![first, row as u32],
                    text: format!(
                        "term {term} has two leaders: {} by (1), {} by (2)",
                        history.values.json(known),
                        history.values.json(leader)
                    ),
                });
            }
            let last = newest
                .entry(history.process[row])
                .or_insert((term, row as u32));
            if self.monotone && term < last.0 {
                found.push(Finding {
                    rule: "term-went-back",
                    rows: vec![last.1, row as u32],
                    text: format!(
                        "process {} was told of term {} by (1) and later of term {term} by (2)",
                        history.process[row], last.0
                    ),
                });
            } else if term >= last.0 {
                *last = (term, row as u32);
            }
        }
        Ok(found)
    }
}
