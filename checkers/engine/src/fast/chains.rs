//! Chains of compare-and-set between the clusters of a register (`zones.rs`).
//!
//! With each value written once, a cas from `a` to `b` that took place is the only way from the
//! cluster of `a` to the next one: so at most one cas leaves `a`, and the clusters of a chain stand
//! one after another with nothing between them. A cas that never returned took place iff its new
//! value was seen, by a read or by another cas that took place.
//!
//! Within a chain, the change to the i-th value comes after every invocation in the clusters before
//! it and after its own, and before every return in its own cluster and in those after it. Changes
//! in that order exist iff for each cluster the last of all those invocations is before its first
//! return. Outside, the chain acts as one cluster: it has the first of the returns and the last of
//! the invocations.

use crate::budget::{Meter, Stop};
use crate::fast::clusters::{Cluster, INITIAL, NO};
use crate::fast::cut::Cut;
use crate::history::OPEN;
use crate::planted;

pub struct Chains {
    /// At the place of the first cluster of a chain: the zone of the whole chain. Other places have
    /// no source.
    pub zones: Vec<Cluster>,
    /// The cluster behind each one.
    next: Vec<u32>,
}

impl Chains {
    /// Clusters in the order of their chains.
    pub fn spread(&self, heads: &[u32]) -> Vec<u32> {
        let mut order = Vec::with_capacity(self.next.len());
        for &head in heads {
            let mut at = head;
            while at != NO {
                order.push(at);
                at = self.next[at as usize];
            }
        }
        order
    }
}

/// Link clusters to chains. Err: rows that show that no order exists.
pub fn link(
    cut: Cut,
    all: &mut [Cluster],
    meter: &mut Meter,
) -> Result<Result<Chains, Vec<u32>>, Stop> {
    meter.budget().fits(all.len() * 40)?;
    let mut chains = Chains {
        zones: all.to_vec(),
        next: vec![NO; all.len()],
    };
    let live = happened(all, meter)?;
    for (at, &live) in live.iter().enumerate() {
        meter.tick()?;
        let cluster = all[at];
        if !live {
            all[at].source = NO;
            chains.zones[at].source = NO;
            continue;
        }
        if cluster.source == NO {
            let takes = |other: &&Cluster| other.parent == at as u32;
            let taken = all.iter().find(takes).map_or(NO, |other| other.source);
            let rows = [cluster.low_row, taken];
            return Ok(Err(rows.into_iter().filter(known_row).collect()));
        }
        if cluster.parent == NO {
            continue;
        }
        chains.zones[at].source = NO;
        let next = &mut chains.next[cluster.parent as usize];
        if *next != NO {
            return Ok(Err(vec![all[*next as usize].source, cluster.source]));
        }
        *next = at as u32;
    }
    let mut left = live.iter().filter(|live| **live).count();
    for head in 0..all.len() {
        if chains.zones[head].source == NO {
            continue;
        }
        match walk(cut, all, &mut chains, head, meter)? {
            Ok(length) => left -= length,
            Err(rows) => return Ok(Err(rows)),
        }
    }
    if left > 0 {
        return Ok(Err(ring(all, &chains, &live)));
    }
    Ok(Ok(chains))
}

fn known_row(row: &u32) -> bool {
    *row < INITIAL
}

/// Which values were certainly there: their source returned, or they were seen.
fn happened(all: &[Cluster], meter: &mut Meter) -> Result<Vec<bool>, Stop> {
    let mut live = vec![false; all.len()];
    for at in 0..all.len() {
        let cluster = &all[at];
        if cluster.low == OPEN && planted!("chains-lost-cas-counts", true, cluster.source == NO) {
            continue;
        }
        if cluster.source == INITIAL && cluster.reads == 0 {
            continue;
        }
        let mut at = at;
        while !live[at] {
            meter.tick()?;
            live[at] = true;
            match all[at].parent {
                NO => break,
                parent => at = parent as usize,
            }
        }
    }
    Ok(live)
}

/// Check a chain from its head and gather its zone there. The number of its clusters.
fn walk(
    cut: Cut,
    all: &[Cluster],
    chains: &mut Chains,
    head: usize,
    meter: &mut Meter,
) -> Result<Result<usize, Vec<u32>>, Stop> {
    let mut zone = all[head];
    let (mut latest, mut latest_row) = (0, NO);
    let (mut at, mut length) = (head as u32, 0);
    while at != NO {
        meter.tick()?;
        let cluster = &all[at as usize];
        if cluster.source != INITIAL && cut.inv(cluster.source) + 1 > latest {
            latest = cut.inv(cluster.source) + 1;
            latest_row = cluster.source;
        }
        let late = latest > cluster.low;
        if planted!("chains-order-unchecked", late, late && length == 0) {
            let rows = [latest_row, cluster.low_row, cluster.source];
            return Ok(Err(rows.into_iter().filter(known_row).collect()));
        }
        if cluster.high > latest {
            latest = cluster.high;
            latest_row = cluster.high_row;
        }
        if cluster.low < zone.low {
            zone.low = cluster.low;
            zone.low_row = cluster.low_row;
        }
        if cluster.high > zone.high {
            zone.high = cluster.high;
            zone.high_row = cluster.high_row;
        }
        length += 1;
        at = chains.next[at as usize];
    }
    chains.zones[head] = zone;
    Ok(Ok(length))
}

/// The sources of a ring of values that each came from the one before.
fn ring(all: &[Cluster], chains: &Chains, live: &[bool]) -> Vec<u32> {
    let mut seen = vec![false; all.len()];
    for head in 0..all.len() {
        let mut at = head as u32;
        while at != NO && !seen[at as usize] && chains.zones[head].source != NO {
            seen[at as usize] = true;
            at = chains.next[at as usize];
        }
    }
    let start = (0..all.len()).find(|&at| live[at] && !seen[at]);
    let mut rows = Vec::new();
    let mut at = start.unwrap_or(0);
    while start.is_some() && !seen[at] {
        seen[at] = true;
        rows.push(all[at].source);
        match all[at].parent {
            NO => break,
            parent => at = parent as usize,
        }
    }
    rows
}
