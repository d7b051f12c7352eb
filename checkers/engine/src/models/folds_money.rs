//! Folds over what several things hold at once: bank, long fork; and leases, which overlap in time.

use rustc_hash::FxHashMap;

use crate::budget::{Meter, Stop};
use crate::error::{Error, Result};
use crate::history::{History, Outcome};
use crate::model::Fold;
use crate::models::said;
use crate::models::start;
use crate::spec::Spec;
use crate::values::{Look, Val, Values};
use crate::verdict::Finding;

use super::folds_sets::FINDINGS_MAX;

/// Transfers move money between accounts: every read of all balances has the same total, and none is
/// below zero.
pub struct Bank {
    /// `None`: that of the first read.
    total: Option<i128>,
    negative: bool,
}

impl Bank {
    pub fn make(spec: &Spec) -> Result<Bank> {
        spec.only(&["total", "negative"])?;
        let total = match spec.get("total") {
            None | Some("first-read") => None,
            Some(_) => Some(i128::from(start::whole(spec, "total", 0)?)),
        };
        Ok(Bank {
            total,
            negative: start::word(spec, "negative", &["no", "yes"])? == "yes",
        })
    }
}

/// Accounts with their balances: a map, or a list by number.
fn balances(values: &Values, found: Val) -> Option<Vec<(Val, i64)>> {
    match values.look(found) {
        Look::Map(items) => items
            .chunks_exact(2)
            .map(|pair| Some((pair[0], values.as_int(pair[1])?)))
            .collect(),
        Look::List(items) => items
            .iter()
            .zip(0..Val::SMALL_END)
            .map(|(&item, account)| Some((Val(account), values.as_int(item)?)))
            .collect(),
        _ => None,
    }
}

impl Fold for Bank {
    fn name(&self) -> String {
        let total = self
            .total
            .map_or("first-read".to_string(), |total| total.to_string());
        let negative = if self.negative { "yes" } else { "no" };
        format!("bank(total={total};negative={negative})")
    }

    fn fs(&self) -> &[&'static str] {
        &["read", "transfer"]
    }

    fn judge(
        &self,
        history: &History,
        meter: &mut Meter,
    ) -> std::result::Result<Vec<Finding>, Stop> {
        meter.budget().fits(history.len().saturating_mul(8))?;
        let reads = |row: &u32| {
            let at = *row as usize;
            history.outcome[at] == Outcome::Ok && history.f_of(at) == "read"
        };
        let mut reads: Vec<u32> = (0..history.len() as u32).filter(reads).collect();
        reads.sort_by_key(|&row| history.ret[row as usize]);
        let mut expected = self.total.map(|total| (total, None));
        let mut found = Vec::new();
        for row in reads {
            meter.tick()?;
            let Some(balances) = balances(&history.values, history.result[row as usize]) else {
                continue;
            };
            let below = balances.iter().find(|(_, balance)| *balance < 0);
            if let (Some((account, balance)), false) = (below, self.negative) {
                let account = history.values.json(*account);
                found.push(Finding {
                    rule: "negative-balance",
                    rows: vec![row],
                    text: format!("(1) found {balance} in account {account}"),
                });
            }
            let sum: i128 = balances
                .iter()
                .map(|(_, balance)| i128::from(*balance))
                .sum();
            let (total, first) = *expected.get_or_insert((sum, Some(row)));
            if sum != total {
                let rows: Vec<u32> = first.into_iter().chain([row]).collect();
                found.push(Finding {
                    rule: "wrong-total",
                    text: format!("({}) found {sum} in all, not {total}", rows.len()),
                    rows,
                });
            }
            if found.len() >= FINDINGS_MAX {
                break;
            }
        }
        Ok(found)
    }
}

/// Every key is written once. Two reads of the same keys must not see two writes in opposite orders:
/// one that has x and not y, and one that has y and not x.
///
/// What reads of a group saw, sorted by how many keys they saw written, must be a chain, and it is
/// one iff neighbours are.
pub struct LongFork {
    size: Option<i64>,
}

impl LongFork {
    pub fn make(spec: &Spec) -> Result<LongFork> {
        spec.only(&["group-size"])?;
        let size = start::whole(spec, "group-size", 0)?;
        if size < 0 {
            return Err(Error::new("model long-fork: group-size is at least 1"));
        }
        Ok(LongFork {
            size: (size > 0).then_some(size),
        })
    }
}

/// The keys of a read with what it saw of each, by key; `None` for what is no read of several keys.
fn seen(values: &Values, found: Val) -> Option<Vec<(Val, Val)>> {
    let parts = values.as_list(found)?;
    let mut seen = Vec::with_capacity(parts.len());
    for &part in parts {
        let &[f, key, value] = values.as_list(part)? else {
            return None;
        };
        if !matches!(values.as_name(f), Some("r" | "read")) {
            return None;
        }
        seen.push((key, value));
    }
    seen.sort_unstable();
    (!seen.is_empty()).then_some(seen)
}

/// Two reads of the same keys, the first of which saw no more of them than the second.
fn fork(
    history: &History,
    less: (u32, &[Val]),
    more: (u32, &[Val]),
    keys: &[Val],
) -> Option<Finding> {
    let shown = |value: Val| history.values.json(value);
    let pairs = || keys.iter().zip(less.1.iter().zip(more.1));
    let rows = vec![less.0.min(more.0), less.0.max(more.0)];
    let two = pairs().find(|(_, (a, b))| !a.is_nil() && !b.is_nil() && a != b);
    if let Some((&key, _)) = two {
        let text = format!("(1) and (2) found two values of key {}", shown(key));
        return Some(Finding {
            rule: "two-values",
            rows,
            text,
        });
    }
    let (&only_less, _) = pairs().find(|(_, (a, b))| !a.is_nil() && b.is_nil())?;
    let (&only_more, _) = pairs().find(|(_, (a, b))| a.is_nil() && !b.is_nil())?;
    let (first, second) = if less.0 < more.0 {
        (only_less, only_more)
    } else {
        (only_more, only_less)
    };
    let text = format!(
        "(1) saw the write of {} and not that of {}, (2) the other way round",
        shown(first),
        shown(second)
    );
    Some(Finding {
        rule: "long-fork",
        rows,
        text,
    })
}

impl Fold for LongFork {
    fn name(&self) -> String {
        match self.size {
            None => "long-fork".to_string(),
            Some(size) => format!("long-fork(group-size={size})"),
        }
    }

    fn fs(&self) -> &[&'static str] {
        &["read", "write", "txn"]
    }

    fn judge(
        &self,
        history: &History,
        meter: &mut Meter,
    ) -> std::result::Result<Vec<Finding>, Stop> {
        // For each group of keys what was seen of them, each with its first read.
        let mut groups: FxHashMap<Vec<Val>, FxHashMap<Vec<Val>, u32>> = FxHashMap::default();
        let mut order: Vec<Vec<Val>> = Vec::new();
        for row in 0..history.len() {
            meter.tick()?;
            if history.outcome[row] != Outcome::Ok {
                continue;
            }
            let Some(seen) = seen(&history.values, history.result[row]) else {
                continue;
            };
            meter.budget().fits(seen.len().saturating_mul(16))?;
            let (keys, saw): (Vec<Val>, Vec<Val>) = seen.into_iter().unzip();
            if !groups.contains_key(&keys) {
                order.push(keys.clone());
            }
            groups
                .entry(keys)
                .or_default()
                .entry(saw)
                .or_insert(row as u32);
        }
        let mut found = Vec::new();
        for keys in &order {
            let written = |saw: &[Val]| saw.iter().filter(|value| !value.is_nil()).count();
            let mut reads: Vec<(u32, &[Val])> = groups[keys]
                .iter()
                .map(|(saw, &row)| (row, saw.as_slice()))
                .collect();
            reads.sort_by_key(|&(row, saw)| (written(saw), row));
            for pair in reads.windows(2) {
                meter.tick()?;
                found.extend(fork(history, pair[0], pair[1], keys));
            }
        }
        found.truncate(FINDINGS_MAX);
        Ok(found)
    }
}

/// Leases of different holders do not overlap, with clocks that are off by at most `eps`.
///
/// A lease is what `acquire` or `renew` answers: [from, until], or a map of "from" and "until", in
/// any one unit of time, the same as that of `eps`; its holder is the process, or what it was
/// invoked with. A lease is taken as over for all that returned after its holder invoked a release.
pub struct Lease {
    eps: i64,
}

/// A lease that was granted.
struct Grant {
    from: i64,
    until: i64,
    holder: (u32, Val),
    row: u32,
}

impl Lease {
    pub fn make(spec: &Spec) -> Result<Lease> {
        spec.only(&["eps"])?;
        let eps = start::whole(spec, "eps", 0)?;
        if eps < 0 {
            return Err(Error::new("model lease: eps is at least 0"));
        }
        Ok(Lease { eps })
    }

    fn times(values: &Values, found: Val) -> Option<(i64, i64)> {
        match values.look(found) {
            Look::List(&[from, until]) => Some((values.as_int(from)?, values.as_int(until)?)),
            Look::Map(items) => {
                let of = |name: &str| {
                    let mut pairs = items.chunks_exact(2);
                    let pair = pairs.find(|pair| values.as_name(pair[0]) == Some(name))?;
                    values.as_int(pair[1])
                };
                Some((of("from")?, of("until")?))
            }
            _ => None,
        }
    }

    fn holder(history: &History, row: usize) -> (u32, Val) {
        if history.arg[row].is_nil() || history.arg[row].is_none() {
            (history.process[row], Val::NONE)
        } else {
            (0, history.arg[row])
        }
    }
}

impl Fold for Lease {
    fn name(&self) -> String {
        format!("lease(eps={})", self.eps)
    }

    fn fs(&self) -> &[&'static str] {
        &["acquire", "renew", "release"]
    }

    fn judge(
        &self,
        history: &History,
        meter: &mut Meter,
    ) -> std::result::Result<Vec<Finding>, Stop> {
        meter.budget().fits(history.len().saturating_mul(64))?;
        let mut grants: Vec<Grant> = Vec::new();
        let mut releases: FxHashMap<(Val, u32, Val), Vec<u32>> = FxHashMap::default();
        for row in 0..history.len() {
            meter.tick()?;
            let holder = Self::holder(history, row);
            let times = Self::times(&history.values, history.result[row]);
            match (said::plain(history.f_of(row)).as_str(), times) {
                (_, _) if history.outcome[row] == Outcome::Fail => {}
                ("release", _) => releases
                    .entry((history.key[row], holder.0, holder.1))
                    .or_default()
                    .push(history.inv[row]),
                (_, Some((from, until))) if history.outcome[row] == Outcome::Ok => {
                    let row = row as u32;
                    grants.push(Grant {
                        from,
                        until,
                        holder,
                        row,
                    });
                }
                _ => {}
            }
        }
        grants.sort_by_key(|grant| (history.key[grant.row as usize], grant.from, grant.row));
        let mut found = Vec::new();
        // The lease of each holder that lasts longest.
        let mut latest: Vec<usize> = Vec::new();
        for at in 0..grants.len() {
            meter.tick()?;
            let (key, new) = (history.key[grants[at].row as usize], &grants[at]);
            latest.retain(|&other| history.key[grants[other].row as usize] == key);
            let overlap = latest.iter().map(|&other| &grants[other]).find(|old| {
                let held = crate::planted!("lease-eps-once", 2, 1) * i128::from(self.eps);
                let over = releases
                    .get(&(key, old.holder.0, old.holder.1))
                    .and_then(|all| {
                        let since = history.inv[old.row as usize];
                        all.get(all.partition_point(|&inv| inv <= since))
                    })
                    .is_some_and(|&inv| inv < history.ret[new.row as usize]);
                let end = new.until.min(old.until);
                old.holder != new.holder && !over && i128::from(end) - i128::from(new.from) > held
            });
            if let Some(old) = overlap {
                found.push(Finding {
                    rule: "two-holders",
                    rows: vec![old.row.min(new.row), old.row.max(new.row)],
                    text: format!(
                        "(1) and (2) gave leases to two holders at once: one until {}, the other \
                         from {} on",
                        old.until, new.from
                    ),
                });
            }
            match latest
                .iter_mut()
                .find(|other| grants[**other].holder == new.holder)
            {
                None => latest.push(at),
                Some(other) if grants[*other].until <= new.until => *other = at,
                Some(_) => {}
            }
        }
        found.truncate(FINDINGS_MAX);
        Ok(found)
    }
}
