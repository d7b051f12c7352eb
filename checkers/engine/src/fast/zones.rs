//! Registers whose values are each written once: zones (Gibbons and Korach, "Testing shared
//! memories", 1997), and chains of compare-and-set between them.
//!
//! A cluster is the write of a value with its reads. Let `low` be the first return in it and `high`
//! the last invocation. Where `low < high`, the value is certainly there from `low` to `high`: a
//! forward zone. Else all of its operations run throughout `[high, low]`: a backward zone. The
//! history is legal iff every value that was seen was written and not after it was seen, no two
//! forward zones overlap, and no backward zone lies within a forward one. In order:
//!
//! - a forward cluster goes where its zone is: the write just before `low`, each read at its
//!   invocation or at `low`, whichever is later;
//! - a backward cluster goes as one block to `high`, or, where this lies in a forward zone, behind
//!   the end of that zone, which is before the backward zone's own end.
//!
//! A write that never returned counts iff its value was seen; the initial value was written before
//! all else. A cas that saw `a` and left `b` ties the cluster of `b` to that of `a` with nothing
//! between them, so that a chain of clusters acts as one (`chains.rs`).
//!
//! O(n): events are in order as they come, so that the zones need no sorting.

use crate::budget::{Meter, Stop};
use crate::fast::chains::{self, Chains};
use crate::fast::clusters::{Cluster, Clusters, Label, INITIAL, NO};
use crate::fast::cut::{self, Cut};
use crate::fast::timeline;
use crate::history::{History, OPEN};
use crate::model::Fast;
use crate::planted;
use crate::split::Object;
use crate::values::Val;
use crate::verdict::{Answer, Core};

/// Why a history is illegal.
enum Wrong {
    /// It is illegal by the last return of the first rows, with what the others invoked.
    By(Vec<u32>, Vec<u32>),
    /// These rows show it, but at which return has to be looked for.
    Somewhere(Vec<u32>),
}

/// Judge a register. `label` says what a row does, told whether its result is known; `Read` is
/// only for rows whose result is known. `None` where a value is written twice.
pub fn judge(
    history: &History,
    object: &Object,
    initial: Val,
    label: impl Fn(u32, bool) -> Label,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    let whole = Cut::whole(history, object);
    let Some(clusters) = Clusters::build(whole, initial, &label, meter)? else {
        return Ok(None);
    };
    let name = if clusters.linked {
        "cas-chains"
    } else {
        "zones"
    };
    let wrong = match place(whole, clusters, meter)? {
        Ok(placed) => return Ok(Some((name, Answer::Legal(placed.rows(whole))))),
        Err(wrong) => wrong,
    };
    if let Wrong::By(mut rows, more) = wrong {
        let ends = rows.iter().copied().filter(|&row| whole.known(row));
        if let Some(blocked) = ends.max_by_key(|&row| whole.end(row)) {
            rows.extend(more);
            rows.sort_unstable();
            rows.dedup();
            return Ok(Some((name, Answer::Illegal(Core { blocked, rows }))));
        }
    }
    let core = cut::first_blocked(whole, meter, |cut, meter| {
        let Some(clusters) = Clusters::build(cut, initial, &label, meter)? else {
            return Ok(None);
        };
        Ok(match place(cut, clusters, meter)? {
            Ok(_) => None,
            Err(Wrong::By(rows, _) | Wrong::Somewhere(rows)) => Some(rows),
        })
    })?;
    Ok(core.map(|core| (name, Answer::Illegal(core))))
}

/// Clusters in an order that the register allows.
struct Placed {
    clusters: Clusters,
    order: Vec<u32>,
}

impl Placed {
    /// The rows in that order: for each cluster its source, then what saw it.
    fn rows(&self, cut: Cut) -> Vec<u32> {
        let all = &self.clusters.all;
        let mut next: Vec<u32> = vec![NO; all.len()];
        let mut length = 0;
        for &at in &self.order {
            let cluster = &all[at as usize];
            let source = u32::from(cluster.source != INITIAL);
            next[at as usize] = length + source;
            length += source + cluster.reads;
        }
        let mut rows = vec![NO; length as usize];
        for (&row, &at) in cut.rows.iter().zip(&self.clusters.of) {
            let Some(slot) = next.get_mut(at as usize).filter(|slot| **slot != NO) else {
                continue;
            };
            if all[at as usize].source == row {
                // The source was counted before the first of its reads: it has the place before.
                continue;
            }
            rows[*slot as usize] = row;
            *slot += 1;
        }
        for &at in &self.order {
            let cluster = &all[at as usize];
            if cluster.source != INITIAL {
                rows[(next[at as usize] - cluster.reads - 1) as usize] = cluster.source;
            }
        }
        let said_nothing = cut.rows.iter().zip(&self.clusters.of);
        let silent: Vec<u32> = said_nothing
            .filter(|&(&row, &at)| at == NO && cut.known(row))
            .map(|(&row, _)| row)
            .collect();
        cut::with_silent(cut, rows, &silent)
    }
}

fn place(
    cut: Cut,
    mut clusters: Clusters,
    meter: &mut Meter,
) -> Result<Result<Placed, Wrong>, Stop> {
    if clusters.linked {
        let chains = match chains::link(cut, &mut clusters.all, meter)? {
            Ok(chains) => chains,
            Err(rows) => return Ok(Err(Wrong::Somewhere(rows))),
        };
        return Ok(match sweep(cut, &chains.zones, meter)? {
            Ok(order) => Ok(Placed {
                order: chains.spread(&order),
                clusters,
            }),
            Err((a, b)) => Err(Wrong::Somewhere(shown(&clusters.all, &chains, a, b))),
        });
    }
    if let Some(row) = unwritten(cut, &mut clusters.all, meter)? {
        return Ok(Err(Wrong::By(vec![row], Vec::new())));
    }
    Ok(match sweep(cut, &clusters.all, meter)? {
        Ok(order) => Ok(Placed { order, clusters }),
        Err((a, b)) => {
            let (a, b) = (clusters.all[a as usize], clusters.all[b as usize]);
            let mut ends = vec![a.low_row, a.high_row, b.low_row, b.high_row];
            ends.retain(|&row| row < INITIAL);
            let mut sources = vec![a.source, b.source];
            sources.retain(|&row| row < INITIAL);
            Err(Wrong::By(ends, sources))
        }
    })
}

fn shown(all: &[Cluster], chains: &Chains, a: u32, b: u32) -> Vec<u32> {
    let mut rows = Vec::new();
    for at in [a, b] {
        let zone = &chains.zones[at as usize];
        rows.extend([all[at as usize].source, zone.low_row, zone.high_row]);
    }
    rows.retain(|&row| row < INITIAL);
    rows
}

/// Drop what was neither returned nor seen. The first row to return a value that nobody had begun
/// to write, if there is one.
fn unwritten(cut: Cut, all: &mut [Cluster], meter: &mut Meter) -> Result<Option<u32>, Stop> {
    let mut first: Option<&Cluster> = None;
    for cluster in all.iter_mut() {
        meter.tick()?;
        if cluster.source == INITIAL {
            if cluster.reads == 0 {
                cluster.source = NO;
            }
            continue;
        }
        if cluster.reads == 0 && cluster.low == OPEN {
            // A zone as if it had returned at once.
            planted!(
                "zones-lost-write-counts",
                cluster.source = NO,
                cluster.low = cluster.high + 1
            );
            continue;
        }
        let late = cluster.source == NO || cluster.low <= cut.inv(cluster.source) + 1;
        if late && first.is_none_or(|first| cluster.low < first.low) {
            first = Some(cluster);
        }
    }
    Ok(first.map(|cluster| cluster.low_row))
}

/// Put zones in order; clusters without a source are left out. Err: two zones that exclude each
/// other.
fn sweep(
    cut: Cut,
    zones: &[Cluster],
    meter: &mut Meter,
) -> Result<Result<Vec<u32>, (u32, u32)>, Stop> {
    let starts = zones.iter().enumerate().filter_map(|(at, zone)| {
        let start = zone.low.min(zone.high);
        (zone.source != NO).then_some((start, at as u32))
    });
    let last = cut.history.events.saturating_add(2);
    meter.budget().fits(zones.len() * 12)?;
    let mut order: Vec<u32> = Vec::with_capacity(zones.len());
    let mut waiting: Vec<u32> = Vec::new();
    let mut open: Option<u32> = None;
    for at in timeline::in_order(starts, zones.len(), last) {
        meter.tick()?;
        let zone = &zones[at as usize];
        let forward = zone.low < zone.high;
        let within = open.filter(|&open| {
            let end = zones[open as usize].high;
            zone.low.min(zone.high) < planted!("zones-off-by-one", end, end.saturating_sub(2))
        });
        match (within, forward) {
            (Some(within), true) => return Ok(Err((within, at))),
            (Some(within), false) => {
                let inside = zone.low < zones[within as usize].high;
                if planted!("zones-backward-unchecked", inside, false) {
                    return Ok(Err((within, at)));
                }
                waiting.push(at);
            }
            (None, forward) => {
                order.append(&mut waiting);
                order.push(at);
                if forward {
                    open = Some(at);
                }
            }
        }
    }
    order.append(&mut waiting);
    Ok(Ok(order))
}
