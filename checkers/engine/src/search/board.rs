//! Configurations, and what can happen next in one.
//!
//! A configuration stands before an event: all operations that returned earlier have taken effect.
//! It is (state, ok, avail, used): for each open slot, may the operation return (`ok`), and can it
//! still take effect visibly (`avail`)? And how many crashed operations of each class were spent.
//!
//! ```text
//!                ok  avail
//!  read           0    0     not done          1  0   done
//!  update         0    1     must still happen 1  0   done        1  1   either
//! ```
//!
//! *Either* is what an update becomes when something overwrites the state: it can be taken to have
//! happened just before that, where nothing can tell. Precisely, when a blind update takes effect,
//!
//!   - every other open blind update becomes `either`: it could stand right before it;
//!   - one open update that looks at the state and is legal in it becomes `either`: it could stand
//!     first of all. Where several are legal, there is a branch for each.
//!
//! The rules, and why they are sound. A *path* is an order of effects that the model allows.
//!
//!   (a) A read that fits the state takes effect at once: it changes nothing, so every path that
//!       was open stays open.
//!   (b) Of open blind updates to one state, and of open updates of one class, only the one that
//!       returns first is tried: exchange it with the other one in any path.
//!   (c) Crashed operations of a class are only counted, by (b): they never return. Where a write
//!       to the same state is open it goes first, for the same reason.
//!   (d) Dominance: with the same state, a configuration whose `ok` and `avail` cover the other's
//!       and which has spent no more can do whatever the other one can: `either` can be treated as
//!       done or as still to happen, a read that is done need not be done again.
//!   (e) As soon as the operation of the event is `ok` the event is passed: whatever else would
//!       happen first can happen after it. The exception is that operation itself: where it is
//!       `either`, it may also take effect now, for the sake of what comes later. That is the
//!       configuration with its `ok` taken away (*committed*); then nothing but its own effect
//!       makes it `ok` again.
//!   (f) An update other than that of the event is tried only where something can tell: a read that
//!       is not done or an update that must happen is legal after it, or an optional update is
//!       after which the same holds. Otherwise what comes next is a blind update, and then it
//!       might as well not happen or is `either`, or the event is passed, and then it can happen
//!       later. At a gate the classes whose time ends there are tried as well.
//!   (g) Where a crashed operation and a crashed write that is its boss both lead to a state and
//!       the write would make nothing `either`, the write is saved.
//!   (h) Where all updates that look at the state only add to it (`ahead`), those that lead away
//!       from a read which is not done are not tried, unless something may still set the state anew
//!       before it returns; nor are those that none of these reads can tell before that. All open
//!       ones become `either` when the state is set anew: each of them
//!       is legal wherever another one is, so that they can stand before that in any order.

mod tell;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::ahead::READS;
use super::field::{arrive, Config, Field, Move, OPTIONAL};
use super::mask::Mask;
use super::table::NO;
use crate::planted;

/// States that rule (f) looks at; where there are more, something is taken to tell.
const TRAIL_MAX: usize = 16;
/// Work for one configuration beyond which the same is taken for granted.
const WORK_MAX: u32 = 20_000;

/// What is open at one event.
pub struct Board<M> {
    event: usize,
    reads: Vec<u32>,
    blind: Vec<u32>,
    sighted: Vec<u32>,
    blind_slots: M,
    /// State -> what is legal there, at this event.
    legal: Vec<Legal<M>>,
    turn: u32,
    none: M,
    nothing: Legal<M>,
    /// Read -> (event, `Ahead::anew` there).
    anew: FxHashMap<u32, (usize, bool)>,
    /// The last read for the sake of which something was not tried: what was found illegal is so
    /// up to its return, and need not be before.
    pub farthest: usize,
}

#[derive(Clone)]
struct Legal<M> {
    turn: u32,
    reads: M,
    sighted: M,
}

/// Where a configuration can go from an event: the move, and what it leads to.
pub type Branches<M> = Vec<(Move, Config<M>)>;

impl<M: Mask> Board<M> {
    pub fn new(field: &Field) -> Board<M> {
        let none = M::none(field.problem.slots);
        let mut board = Board {
            event: 0,
            reads: Vec::new(),
            blind: Vec::new(),
            sighted: Vec::new(),
            blind_slots: none.clone(),
            legal: Vec::new(),
            turn: 1,
            anew: FxHashMap::default(),
            farthest: 0,
            nothing: Legal {
                turn: 0,
                reads: none.clone(),
                sighted: none.clone(),
            },
            none,
        };
        if !field.problem.is_empty() {
            board.enter(field, 0);
        }
        board
    }

    /// The configuration before the first event.
    pub fn first(&self, field: &mut Field) -> Config<M> {
        let mut config = Config {
            state: field.table.initial,
            used: super::used::NOTHING,
            ok: self.none.clone(),
            avail: self.none.clone(),
        };
        arrive(field, 0, &mut config);
        config
    }

    /// Move to an event.
    pub fn seek(&mut self, field: &Field, event: usize) {
        if event == self.event {
            return;
        }
        self.turn += 1;
        while self.event < event {
            let op = self.event as u32;
            if let Some(list) = self.list_of(field, op) {
                list.retain(|&other| other != op);
            }
            self.event += 1;
            self.enter(field, self.event);
        }
        while self.event > event {
            for &op in field.problem.arrivals(self.event) {
                if let Some(list) = self.list_of(field, op) {
                    list.retain(|&other| other != op);
                }
            }
            self.event -= 1;
            let op = self.event as u32;
            if let Some(list) = self.list_of(field, op) {
                insert(list, op);
            }
        }
        self.blind_slots = self.none.clone();
        for &op in &self.blind {
            self.blind_slots.put(field.problem.slot[op as usize]);
        }
    }

    fn enter(&mut self, field: &Field, event: usize) {
        for &op in field.problem.arrivals(event) {
            if let Some(list) = self.list_of(field, op) {
                insert(list, op);
            }
        }
        if event == 0 {
            for &op in &self.blind {
                self.blind_slots.put(field.problem.slot[op as usize]);
            }
        }
    }

    fn list_of(&mut self, field: &Field, op: u32) -> Option<&mut Vec<u32>> {
        let class = field.problem.class[op as usize];
        if class == NO {
            return None;
        }
        let kind = field.table.kinds[class as usize];
        Some(match (kind.pure, kind.blind) {
            (true, _) => &mut self.reads,
            (false, true) => &mut self.blind,
            (false, false) => &mut self.sighted,
        })
    }

    /// The open reads and updates that are legal in a state.
    fn legal(&mut self, field: &mut Field, state: u32) -> &Legal<M> {
        let at = state as usize;
        if at >= self.legal.len() {
            let empty = Legal {
                turn: 0,
                reads: self.none.clone(),
                sighted: self.none.clone(),
            };
            let (length, capacity) = (at, self.legal.capacity());
            let size = std::mem::size_of::<Legal<M>>() + 2 * self.none.heap();
            if !field.table.doubles(length, capacity, size) {
                // No answer counts any more.
                return &self.nothing;
            }
            self.legal.resize(at + 1, empty);
        }
        if self.legal[at].turn != self.turn {
            let mut found = Legal {
                turn: self.turn,
                reads: self.none.clone(),
                sighted: self.none.clone(),
            };
            for (ops, mask) in [
                (&self.reads, &mut found.reads),
                (&self.sighted, &mut found.sighted),
            ] {
                field.table.worked(ops.len());
                for &op in ops {
                    let class = field.problem.class[op as usize];
                    let anywhere = field.ahead.adds && field.table.kinds[class as usize].adds;
                    if anywhere || field.table.step(state, class) != NO {
                        mask.put(field.problem.slot[op as usize]);
                    }
                }
            }
            self.legal[at] = found;
        }
        &self.legal[at]
    }

    /// What can happen at the event, the best last. The operation of the event is not `ok`.
    pub fn branches(&mut self, field: &mut Field, config: &Config<M>, out: &mut Branches<M>) {
        out.clear();
        let gate = field.problem.is_gate(self.event);
        let mut tried: SmallVec<[u32; 16]> = SmallVec::new();
        if !gate {
            self.own(field, config, &mut tried, out);
        }
        let own = out.len();
        // What costs nothing goes before what is there once, and what returns before what does not.
        self.writes(field, config, true, &mut tried, out);
        self.live(field, config, &mut tried, out);
        self.crashed(field, config, &mut tried, out);
        if !gate {
            // First what makes the operation of the event `ok`, then what lets it happen.
            let class = field.problem.class[self.event];
            let slot = field.problem.slot[self.event];
            out[own..].sort_by_key(|(_, next)| {
                !next.ok.has(slot) && field.table.step(next.state, class) == NO
            });
        }
        out.reverse();
    }

    /// The operation of the event takes effect.
    fn own(
        &mut self,
        field: &mut Field,
        config: &Config<M>,
        tried: &mut SmallVec<[u32; 16]>,
        out: &mut Branches<M>,
    ) {
        let op = self.event as u32;
        let class = field.problem.class[self.event];
        let kind = field.table.kinds[class as usize];
        let slot = field.problem.slot[self.event];
        if kind.pure {
            return;
        }
        if kind.blind {
            tried.push(kind.after);
            self.overwrite(field, config, op, kind.after, config.used, out);
        } else {
            let after = field.table.step(config.state, class);
            if after != NO && self.comes(field, config, class, true) {
                out.push(self.done(field, config, op, after, config.used));
            }
        }
        for (_, next) in out.iter_mut() {
            next.ok.put(slot);
        }
    }

    /// Other open updates take effect.
    fn live(
        &mut self,
        field: &mut Field,
        config: &Config<M>,
        tried: &mut SmallVec<[u32; 16]>,
        out: &mut Branches<M>,
    ) {
        for at in 0..self.blind.len() {
            let op = planted!(
                "search-deadline",
                self.blind[at],
                self.blind[self.blind.len() - 1 - at]
            );
            let after = field.table.kinds[field.problem.class[op as usize] as usize].after;
            let slot = field.problem.slot[op as usize];
            if op as usize == self.event || !config.avail.has(slot) || tried.contains(&after) {
                continue;
            }
            tried.push(after);
            if self.is_told(field, after, config, slot) {
                self.overwrite(field, config, op, after, config.used, out);
            }
        }
        // Classes of which one was tried that must happen, or any one.
        let mut classes: SmallVec<[u32; 16]> = SmallVec::new();
        let mut either: SmallVec<[u32; 16]> = SmallVec::new();
        classes.push(field.problem.class[self.event]);
        for at in 0..self.sighted.len() {
            let op = self.sighted[at];
            let class = field.problem.class[op as usize];
            let slot = field.problem.slot[op as usize];
            if op as usize == self.event || !config.avail.has(slot) || classes.contains(&class) {
                continue;
            }
            if !self.comes(field, config, class, false) {
                continue;
            }
            let after = field.table.step(config.state, class);
            if after == NO {
                continue;
            }
            // One that is `either` is not exchanged for a later one that must happen.
            if !config.ok.has(slot) {
                classes.push(class);
            } else if either.contains(&class) {
                continue;
            } else {
                either.push(class);
            }
            if field.ahead.adds || self.is_told(field, after, config, slot) {
                out.push(self.done(field, config, op, after, config.used));
            }
        }
    }

    /// Crashed operations, and free ones, take effect.
    fn crashed(
        &mut self,
        field: &mut Field,
        config: &Config<M>,
        tried: &mut SmallVec<[u32; 16]>,
        out: &mut Branches<M>,
    ) {
        if field.problem.optional.is_empty() {
            return;
        }
        let event = self.event;
        let quiet = !self.overwrites_something(field, config);
        for &(place, after) in field.leads(config.state).iter() {
            let class = field.problem.optional[place as usize].class;
            if !field.left(place, event, config.used) || !self.comes(field, config, class, false) {
                continue;
            }
            let closes = field.problem.optional[place as usize].last == event as u32;
            if closes || self.is_told(field, after, config, NO) {
                let used = field.spend(place, config.used);
                out.push(self.done(field, config, OPTIONAL | place, after, used));
                let boss = field.problem.boss[place as usize];
                if quiet && boss != NO {
                    tried.push(after);
                }
            }
        }
        self.writes(field, config, false, tried, out);
    }

    /// Crashed writes, or free ones, take effect.
    fn writes(
        &mut self,
        field: &mut Field,
        config: &Config<M>,
        free: bool,
        tried: &mut SmallVec<[u32; 16]>,
        out: &mut Branches<M>,
    ) {
        let event = self.event;
        for at in 0..field.writes.len() {
            let (place, after) = field.writes[at];
            let optional = &field.problem.optional[place as usize];
            let closes = optional.last == event as u32;
            if optional.is_free() != free
                || tried.contains(&after)
                || !field.left(place, event, config.used)
            {
                continue;
            }
            let worth = after != config.state || self.overwrites_something(field, config);
            if closes || (worth && self.is_told(field, after, config, NO)) {
                tried.push(after);
                let used = field.spend(place, config.used);
                self.overwrite(field, config, OPTIONAL | place, after, used, out);
            }
        }
    }

    /// A blind update would make something `either`.
    fn overwrites_something(&mut self, field: &mut Field, config: &Config<M>) -> bool {
        for &op in &self.blind {
            if op as usize != self.event && !config.ok.has(field.problem.slot[op as usize]) {
                return true;
            }
        }
        let legal = self.legal(field, config.state);
        legal.sighted.beyond(&config.ok)
    }

    /// The blind update `op` takes effect: everything that it overwrites becomes `either`.
    fn overwrite(
        &mut self,
        field: &mut Field,
        config: &Config<M>,
        op: u32,
        after: u32,
        used: u32,
        out: &mut Branches<M>,
    ) {
        let before = self.legal(field, config.state).sighted.clone();
        let (own, mut next) = self.done(field, config, op, after, used);
        let mine = field.problem.slot[self.event];
        let keeps = mine != NO && !next.ok.has(mine);
        next.ok.join(&self.blind_slots);
        if keeps && !field.problem.is_gate(self.event) && self.blind_slots.has(mine) {
            next.ok.drop(mine);
        }
        let mut any = false;
        if field.ahead.adds {
            next.ok.join(&before);
            if keeps {
                next.ok.drop(mine);
            }
        } else if before.beyond(&config.ok) {
            for &other in &self.sighted {
                let slot = field.problem.slot[other as usize];
                let waits = before.has(slot) && !config.ok.has(slot);
                if waits && other as usize != self.event {
                    let mut next = next.clone();
                    next.ok.put(slot);
                    out.push((
                        Move {
                            unseen: other,
                            ..own
                        },
                        next,
                    ));
                    any = true;
                }
            }
        }
        if !any {
            out.push((own, next));
        }
    }

    /// An operation takes effect, and so do the reads that fit the state after it.
    fn done(
        &mut self,
        field: &mut Field,
        config: &Config<M>,
        op: u32,
        after: u32,
        used: u32,
    ) -> (Move, Config<M>) {
        let mut next = config.clone();
        next.state = after;
        next.used = used;
        if op & OPTIONAL == 0 {
            let slot = field.problem.slot[op as usize];
            next.ok.put(slot);
            next.avail.drop(slot);
        }
        next.ok.join(&self.legal(field, after).reads);
        let own = Move {
            event: self.event as u32,
            op,
            unseen: NO,
        };
        (own, next)
    }
}

fn insert(list: &mut Vec<u32>, op: u32) {
    let at = list.partition_point(|&other| other < op);
    list.insert(at, op);
}
