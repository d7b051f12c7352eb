//! What is tried while minimising: rows that stay, and times at which free operations stay away.

use super::*;

impl Scene {
    /// One more row of a class that is no candidate. Rows come in order of their invocations. What
    /// was over before the first candidate began is not told apart: it may have come in any order.
    pub(super) fn add(&mut self, at: usize, from: u32, to: u32) {
        let from = if from < self.begin { 0 } else { from };
        let base = &mut self.bases[at];
        base.rows += 1;
        match base.windows.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => base.windows.push((from, to)),
        }
    }

    /// The times in which free operations of each class are under way, and how many there are.
    pub(super) fn windows(&self, stays: &[bool]) -> Vec<(u32, Vec<(u32, u32)>)> {
        let mut more: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.bases.len()];
        for (candidate, &stays) in self.rows.iter().zip(stays) {
            if let (Some(free), false) = (candidate.free, stays) {
                let to = if candidate.kept.ret >= self.end {
                    OPEN
                } else {
                    candidate.kept.ret
                };
                more[free].push((candidate.kept.inv, to));
            }
        }
        let both = self.bases.iter().zip(more);
        both.map(|(base, mut windows)| {
            let count = base.rows + windows.len() as u32;
            if windows.is_empty() {
                return (count, base.windows.clone());
            }
            windows.extend_from_slice(&base.windows);
            windows.sort_unstable();
            let mut merged: Vec<(u32, u32)> = Vec::new();
            for (from, to) in windows {
                match merged.last_mut() {
                    Some(last) if from <= last.1 => last.1 = last.1.max(to),
                    _ => merged.push((from, to)),
                }
            }
            (count, merged)
        })
        .collect()
    }

    pub(super) fn gaps(&self, stays: &[bool]) -> Vec<GapAt> {
        let mut gaps = Vec::new();
        for (at, (_, windows)) in self.windows(stays).iter().enumerate() {
            let mut after = None;
            for (i, &(from, to)) in windows.iter().enumerate() {
                if from > 0 || i > 0 {
                    gaps.push((at, after, Some(from)));
                }
                after = Some(to);
            }
            if let Some(to) = after.filter(|&to| to != OPEN) {
                gaps.push((at, Some(to), None));
            }
        }
        gaps
    }

    /// The free classes of a probe.
    pub(super) fn free(&self, stays: &[bool], gaps: Option<&[GapAt]>) -> Vec<Free> {
        let mut free = Vec::new();
        for (at, (count, windows)) in self.windows(stays).into_iter().enumerate() {
            if count == 0 {
                continue;
            }
            let windows = match gaps {
                None => windows,
                Some(gaps) => between(gaps.iter().filter(|gap| gap.0 == at)),
            };
            let most = if self.repeat {
                ALWAYS
            } else {
                planted!("certify-once", u16::try_from(count).unwrap_or(ALWAYS), 1)
            };
            free.push(Free {
                class: self.bases[at].number,
                most,
                windows,
            });
        }
        free
    }
}

/// All time but the gaps.
fn between<'g>(gaps: impl Iterator<Item = &'g GapAt>) -> Vec<(u32, u32)> {
    let mut gaps: Vec<_> = gaps.map(|&(_, from, to)| (from, to)).collect();
    gaps.sort_unstable();
    let mut windows = Vec::new();
    let mut begin = Some(0);
    for (from, to) in gaps {
        if let (Some(begin), Some(from)) = (begin, from) {
            windows.push((begin, from));
        }
        begin = to;
    }
    if let Some(begin) = begin {
        windows.push((begin, OPEN));
    }
    windows
}
