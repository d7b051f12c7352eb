//! Which rows can matter: where minimising begins.

use super::*;

impl Task<'_> {
    /// The rows that the algorithm named, and the last of their returns.
    pub(super) fn named(&self, core: &Core, end: u32) -> (Vec<u32>, u32) {
        let rows = self.counting(&core.rows, OPEN);
        let returns = rows.iter().map(|&row| self.history.end(row as usize));
        let last = returns.filter(|&ret| ret != OPEN).max().unwrap_or(end);
        (rows, last)
    }

    /// Ever more of the rows that returned last.
    pub(super) fn recent(&self, blocked: u32, end: u32) -> Vec<Vec<u32>> {
        let mut found = Vec::new();
        let mut recent = self.counting(&self.object.rows, end);
        recent.retain(|&row| row != blocked);
        recent.sort_by_key(|&row| std::cmp::Reverse(self.recency(row, end)));
        let mut size = 1;
        loop {
            let mut rows = vec![blocked];
            rows.extend(recent.iter().take(size - 1));
            found.push(rows);
            if size > recent.len() {
                return found;
            }
            size *= 2;
        }
    }

    /// The rows that are not left out after the cut.
    pub(super) fn counting(&self, rows: &[u32], end: u32) -> Vec<u32> {
        let part = |row: u32| part_of(self.history, self.model, row, end).0;
        let mut rows = rows.to_vec();
        rows.retain(|&row| part(row) != Part::Drop);
        rows
    }

    pub(super) fn recency(&self, row: u32, end: u32) -> u32 {
        let over = self.history.end(row as usize);
        if over <= end {
            over
        } else {
            self.history.inv[row as usize]
        }
    }

    /// The rows among `within` that the candidates can depend on, or that are of a candidate's
    /// class; `None` where it would take too long to see. Where the candidates are few and depend
    /// on few others that is one pass, and no class is remembered that does not matter.
    pub(super) fn near(
        &mut self,
        candidates: &[u32],
        end: u32,
        within: &[u32],
    ) -> Result<Option<Vec<u32>>, Stop> {
        let mut rows = candidates.to_vec();
        rows.sort_unstable();
        rows.dedup();
        let class_of = |row: u32| free_class(self.history, self.model, row);
        let mut own: Vec<Class> = rows.iter().filter_map(|&row| class_of(row)).collect();
        let whole = |&row: &u32| Class::of(self.model, self.history, row as usize);
        let mut observers: Vec<Class> = rows.iter().map(whole).collect();
        observers.extend_from_slice(&own);
        if observers.len() <= FEW_OBSERVERS {
            let mut near = Vec::new();
            let mut closed = true;
            for &row in within {
                self.meter.tick()?;
                if self.history.inv[row as usize] >= end {
                    break;
                }
                let Some(class) = class_of(row) else { continue };
                let needs = |other: &Class| self.model.matters(self.history, &class, other);
                if own.contains(&class) {
                    near.push(row);
                } else if observers.iter().any(needs) {
                    closed = false;
                    break;
                }
            }
            if closed {
                return Ok(Some(near));
            }
        }
        let Some(useful) = self.useful(&rows, &mut observers, end, within)? else {
            return Ok(None);
        };
        own.retain(|class| useful.get(class) != Some(&true));
        let counts = |class| useful.get(&class) == Some(&true) || own.contains(&class);
        let mut near: Vec<u32> = within.to_vec();
        near.retain(|&row| class_of(row).is_some_and(counts));
        Ok(Some(near))
    }

    /// The classes of other rows that what is kept can depend on, also through one another;
    /// `Model::matters` says which. All others might as well never have happened.
    pub(super) fn useful(
        &mut self,
        candidates: &[u32],
        observers: &mut Vec<Class>,
        end: u32,
        within: &[u32],
    ) -> Result<Option<FxHashMap<Class, bool>>, Stop> {
        let mut useful: FxHashMap<Class, bool> = FxHashMap::default();
        let mut next = candidates.iter().peekable();
        for &row in within {
            self.meter.tick()?;
            if self.history.inv[row as usize] >= end {
                break;
            }
            if let Some(class) = free_class(self.history, self.model, row) {
                useful.insert(class, false);
                if next.next_if(|&&next| next == row).is_some() {
                    observers.push(class);
                }
            } else {
                next.next_if(|&&next| next == row);
            }
        }
        let mut order: Vec<Class> = useful.keys().copied().collect();
        order.sort_unstable_by_key(|c| (c.f, c.key, c.arg, c.result, c.process, c.outcome as u8));
        observers
            .sort_unstable_by_key(|c| (c.f, c.key, c.arg, c.result, c.process, c.outcome as u8));
        observers.dedup();
        let mut from = 0;
        let mut pairs = 0u64;
        while from < observers.len() {
            let fresh = observers[from..].to_vec();
            from = observers.len();
            pairs += (fresh.len() as u64).saturating_mul(order.len() as u64);
            if pairs > PAIRS {
                return Ok(None);
            }
            let mut rest = Vec::with_capacity(order.len());
            for class in order {
                self.meter.ticks(1 + fresh.len() as u32)?;
                if fresh
                    .iter()
                    .any(|other| self.model.matters(self.history, &class, other))
                {
                    useful.insert(class, true);
                    observers.push(class);
                } else {
                    rest.push(class);
                }
            }
            order = rest;
        }
        Ok(Some(useful))
    }
}
