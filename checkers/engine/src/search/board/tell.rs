//! Who can tell that an operation took effect: rules (e), (f) and (h) of `board`.

use super::*;

impl<M: Mask> Board<M> {
    /// Rule (f): something can tell that the state is there. `but` is a slot that does not count.
    pub(super) fn told(
        &mut self,
        field: &mut Field,
        state: u32,
        config: &Config<M>,
        but: u32,
        trail: &mut SmallVec<[u32; 8]>,
    ) -> bool {
        let event = self.event;
        let tired = field.table.work() > WORK_MAX || trail.len() > TRAIL_MAX;
        if tired || self.legal(field, state).reads.beyond(&config.ok) {
            return true;
        }
        let sighted = self.legal(field, state).sighted.clone();
        if sighted.meets(&config.avail) {
            for at in 0..self.sighted.len() {
                let op = self.sighted[at];
                let slot = field.problem.slot[op as usize];
                if slot == but || !sighted.has(slot) || !config.avail.has(slot) {
                    continue;
                }
                if !config.ok.has(slot) {
                    return true;
                }
                let after = field.table.step(state, field.problem.class[op as usize]);
                if !trail.contains(&after) {
                    trail.push(after);
                    if self.told(field, after, config, but, trail) {
                        return true;
                    }
                }
            }
        }
        for &(place, after) in field.leads(state).iter() {
            if !field.left(place, event, config.used) {
                continue;
            }
            if field.problem.optional[place as usize].last == event as u32 {
                return true;
            }
            if !trail.contains(&after) {
                trail.push(after);
                if self.told(field, after, config, but, trail) {
                    return true;
                }
            }
        }
        false
    }

    pub(super) fn is_told(
        &mut self,
        field: &mut Field,
        state: u32,
        config: &Config<M>,
        but: u32,
    ) -> bool {
        let mut trail = SmallVec::from_elem(state, 1);
        self.told(field, state, config, but, &mut trail)
    }

    /// Rule (e): the operation of the event is `either`, and may be wanted visibly.
    pub fn may_commit(&mut self, field: &mut Field, config: &Config<M>) -> bool {
        let op = self.event as u32;
        let slot = field.problem.slot[self.event];
        if !config.avail.has(slot) {
            return false;
        }
        let class = field.problem.class[self.event];
        let after = field.table.kinds[class as usize].after;
        let Field {
            demand,
            table,
            problem,
            ..
        } = field;
        after == NO
            || demand.later(table, problem, op, after)
            || self.is_open_to(field, config, after, slot)
    }

    /// Something that is open now may tell the state, now or later. Whoever has to act now must not
    /// ask for more: who tells what comes of an optional update may still be to arrive.
    pub(super) fn is_open_to(
        &mut self,
        field: &mut Field,
        config: &Config<M>,
        state: u32,
        but: u32,
    ) -> bool {
        let legal = self.legal(field, state);
        if legal.reads.beyond(&config.ok) {
            return true;
        }
        let mut sighted = legal.sighted.clone();
        sighted.drop(but);
        if sighted.meets(&config.avail) {
            return true;
        }
        let leads = field.leads(state);
        leads
            .iter()
            .any(|&(place, _)| field.left(place, self.event, config.used))
    }

    /// Rule (h): no read that is not done is lost when an update of the class takes effect, and one
    /// of them can tell. The operation of the event is not asked for that.
    pub(super) fn comes(
        &mut self,
        field: &mut Field,
        config: &Config<M>,
        class: u32,
        own: bool,
    ) -> bool {
        if !field.ahead.adds {
            return true;
        }
        // The first arrival of a read that may come as things are, and the first return of one
        // that only something that sets the state anew lets come.
        let (mut direct, mut until) = (NO, NO);
        for at in 0..self.reads.len() {
            let read = self.reads[at];
            if config.ok.has(field.problem.slot[read as usize]) {
                continue;
            }
            match self.may_still(field, config, class, read) {
                Some(true) => direct = 0,
                Some(false) => until = until.min(read),
                None => {
                    self.farthest = self.farthest.max(read as usize);
                    return false;
                }
            }
        }
        let event = self.event;
        let next = field.ahead.next(event).len();
        let mut last = NO;
        for at in 0..next {
            let (arrival, read) = field.ahead.next(event)[at];
            last = arrival;
            match self.may_still(field, config, class, read) {
                Some(true) => direct = direct.min(arrival),
                Some(false) => until = until.min(read),
                None => {
                    self.farthest = self.farthest.max(read as usize);
                    return false;
                }
            }
        }
        let more = next == READS && last <= until;
        own || more || (direct != NO && direct <= until)
    }

    /// The read may come after an update of the class: as things are, or else after something that
    /// sets the state anew.
    pub(super) fn may_still(
        &mut self,
        field: &mut Field,
        config: &Config<M>,
        class: u32,
        read: u32,
    ) -> Option<bool> {
        field.table.worked(1);
        let goal = field.problem.class[read as usize];
        if field.table.may_come(config.state, class, goal) {
            return Some(true);
        }
        if planted!("search-anew", false, true) {
            return None;
        }
        let open = self.blind.iter().any(|&op| {
            let class = field.problem.class[op as usize];
            let after = field.table.kinds[class as usize].after;
            config.avail.has(field.problem.slot[op as usize])
                && field.table.may_come(after, NO, goal)
        });
        let mut writes = field.writes.iter();
        if open || writes.any(|&(_, after)| field.table.may_come(after, NO, goal)) {
            return Some(false);
        }
        let found = match self.anew.get(&read) {
            Some(&(event, found)) if event == self.event => found,
            _ => field
                .ahead
                .anew(field.table, field.problem, self.event, read),
        };
        self.anew.insert(read, (self.event, found));
        found.then_some(false)
    }
}
