//! How stale the reads of a register were, whose values are each written once.
//!
//! A read is stale by a version for each write that began after the value it returned was certainly
//! there, and returned before the read began: each of them stands between the two in every order
//! that keeps real time. It is stale by the time from the first return of such a write to its own
//! invocation. Both are bounds from below; in a legal history they are 0.

use crate::budget::{Meter, Stop};
use crate::fast::clusters::{Clusters, Label, INITIAL, NO};
use crate::fast::cut::Cut;
use crate::history::{History, NO_TIME, OPEN};
use crate::planted;
use crate::split::Object;
use crate::values::Val;

/// The most that was seen, each by the first read that saw so much.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Staleness {
    /// Nanoseconds since the value was certainly overwritten, and the read; 0 where no times are
    /// recorded.
    pub ns: i64,
    pub ns_row: Option<u32>,
    /// How many newer versions there were for certain, and the read.
    pub versions: u32,
    pub versions_row: Option<u32>,
}

impl Staleness {
    /// The worse of two, each figure for itself.
    pub fn worst(self, other: Staleness) -> Staleness {
        let (mut worst, other) = (self, other);
        if other.ns > worst.ns {
            worst.ns = other.ns;
            worst.ns_row = other.ns_row;
        }
        if other.versions > worst.versions {
            worst.versions = other.versions;
            worst.versions_row = other.versions_row;
        }
        worst
    }
}

/// A read that is certainly stale.
struct Stale {
    row: u32,
    /// Place of the first write, in order of their invocations, that began too late.
    from: usize,
    /// The write that was over first.
    by: u32,
}

/// The staleness of an object; `None` where a value is written twice.
pub fn measure(
    history: &History,
    object: &Object,
    initial: Val,
    label: impl Fn(u32, bool) -> Label,
    meter: &mut Meter,
) -> Result<Option<Staleness>, Stop> {
    let whole = Cut::whole(history, object);
    let Some(clusters) = Clusters::build(whole, initial, label, meter)? else {
        return Ok(None);
    };
    let mut writes: Vec<u32> = Vec::new();
    for cluster in &clusters.all {
        if cluster.source < INITIAL && whole.known(cluster.source) {
            writes.push(cluster.source);
        }
    }
    writes.sort_unstable();
    // The write that was over first, among this one and those that began later.
    let mut first = writes.clone();
    for at in (1..first.len()).rev() {
        if whole.end(first[at]) < whole.end(first[at - 1]) {
            first[at - 1] = first[at];
        }
    }
    let mut stale = Vec::new();
    for (&row, &at) in whole.rows.iter().zip(&clusters.of) {
        meter.tick()?;
        let Some(cluster) = clusters.all.get(at as usize) else {
            continue;
        };
        if cluster.source == NO || cluster.source == row {
            continue;
        }
        // Positions in clusters are shifted by one; 0 is before all else.
        let there = cluster.low;
        let from = writes.partition_point(|&write| whole.inv(write) < there);
        let by = first.get(from).copied();
        if let Some(by) = by.filter(|&by| whole.end(by) < whole.inv(row)) {
            stale.push(Stale { row, from, by });
        }
    }
    tally(whole, &writes, &stale, meter).map(Some)
}

/// The figures of stale reads, which are in order of their invocations.
fn tally(cut: Cut, writes: &[u32], stale: &[Stale], meter: &mut Meter) -> Result<Staleness, Stop> {
    let mut worst = Staleness::default();
    if stale.is_empty() {
        return Ok(worst);
    }
    let mut over: Vec<(u32, usize)> = writes
        .iter()
        .enumerate()
        .map(|(place, &write)| (cut.end(write), place))
        .filter(|&(end, _)| end != OPEN)
        .collect();
    over.sort_unstable();
    let mut over = over.into_iter().peekable();
    // Writes that are over, counted by their place (a Fenwick tree).
    let mut tree = vec![0u32; writes.len() + 1];
    let mut done = 0;
    for read in stale {
        meter.tick()?;
        let inv = cut.inv(read.row);
        while let Some((_, place)) = over.next_if(|&(end, _)| end < inv) {
            done += 1;
            let mut at = place + 1;
            while at < tree.len() {
                tree[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
        let (mut before, mut at) = (0, planted!("staleness-all-writes", read.from, 0));
        while at > 0 {
            before += tree[at];
            at &= at - 1;
        }
        let history = cut.history;
        let (began, since) = (
            history.inv_ns[read.row as usize],
            history.ret_ns[read.by as usize],
        );
        let timed = began != NO_TIME && since != NO_TIME;
        worst = worst.worst(Staleness {
            ns: if timed { (began - since).max(0) } else { 0 },
            ns_row: Some(read.row),
            versions: done - before,
            versions_row: Some(read.row),
        });
    }
    Ok(worst)
}
