//! The search for a serial order of transactions over registers.
//!
//! A version has one reign: once it is overwritten nobody can read it any more. So a transaction can
//! come next only if what it read is what is there now, and if nobody else still has to read what it
//! overwrites. One that writes nothing comes as soon as it can, which never does harm. Among those
//! that write, the search tries first whoever must be done first, and remembers the sets of
//! transactions after which there was no way on. The bound is a number of looks.

use rustc_hash::FxHashSet;

use super::register::Registers;
use super::txns::NOBODY;
use crate::budget::{Meter, Stop};
use crate::history::Outcome;
use crate::values::Val;

/// Transactions that a search may look at: about a second.
const LOOKS_MAX: u64 = 20_000_000;
/// Of those that could come next without regard to time, so many are looked at: the nearest in the
/// order that guides the search.
const NEAR: usize = 64;

pub enum Serial {
    /// Rows, in an order that replays.
    Order(Vec<u32>),
    /// There is none.
    None,
    /// Over the bound.
    Unknown,
}

/// A serial order of all that happened; with `timed`, one that keeps real time. `guide` is an order
/// to try first.
pub fn search(
    registers: &Registers,
    guide: &[u32],
    timed: bool,
    meter: &mut Meter,
) -> Result<Serial, Stop> {
    let mut search = Search::new(registers, guide, timed);
    let found = search.run(meter)?;
    if let Serial::Order(order) = &found {
        if !replays(registers, order, timed) {
            return Ok(Serial::Unknown);
        }
    }
    Ok(found)
}

/// A choice among writers that was made.
struct Frame {
    /// Rows placed before the choice.
    depth: usize,
    choices: Vec<u32>,
    next: usize,
    state: u128,
    whole: bool,
}

struct Search<'a> {
    registers: &'a Registers<'a>,
    timed: bool,
    /// Row -> (key, version) that it must find.
    needs: Vec<Vec<(u32, u32)>>,
    /// Row -> (key, version) that it leaves.
    leaves: Vec<Vec<(u32, u32)>>,
    /// Row -> the position by which something that it makes possible has to be done.
    deadline: Vec<u32>,
    rank: Vec<u32>,
    /// Rows by rank; a list with links over those that are not placed.
    rows: Vec<u32>,
    next: Vec<u32>,
    prev: Vec<u32>,
    placed: Vec<bool>,
    order: Vec<u32>,
    current: Vec<u32>,
    /// Version -> rows that still have to read it.
    pending: Vec<u32>,
    /// Rows that returned, by return; the first that is not placed.
    returns: Vec<u32>,
    /// Row -> its place in `returns`, `NOBODY` where it has none.
    return_at: Vec<u32>,
    state: u128,
    dead: FxHashSet<u128>,
    looks: u64,
    /// All that could come next was looked at, always.
    whole: bool,
}

impl<'a> Search<'a> {
    fn new(registers: &'a Registers<'a>, guide: &[u32], timed: bool) -> Search<'a> {
        let count = registers.txns.len();
        let mut needs = vec![Vec::new(); count];
        let mut leaves = vec![Vec::new(); count];
        let mut pending = vec![0; registers.versions()];
        for &(version, row) in &registers.reads {
            needs[row as usize].push((registers.key_of(version), version));
            pending[version as usize] += 1;
        }
        let history = registers.history;
        let mut deadline = history.ret.clone();
        for (key, op) in registers.installed() {
            let row = registers.txns.owner_of(op) as usize;
            leaves[row].push((key, op));
            for &(_, reader) in registers.readers(op) {
                deadline[row] = deadline[row].min(history.ret[reader as usize]);
            }
        }
        let mut rank = vec![NOBODY; count];
        for (at, &row) in (0u32..).zip(guide) {
            rank[row as usize] = at;
        }
        let mut rows: Vec<u32> = (0..count as u32)
            .filter(|&row| registers.present.has(row))
            .collect();
        let mut returns = rows.clone();
        returns.retain(|&row| history.outcome[row as usize] == Outcome::Ok);
        returns.sort_unstable_by_key(|&row| history.ret[row as usize]);
        let mut return_at = vec![NOBODY; count];
        for (at, &row) in (0u32..).zip(&returns) {
            return_at[row as usize] = at;
        }
        if !timed {
            rows.sort_by_key(|&row| (rank[row as usize], row));
        }
        let mut search = Search {
            registers,
            timed,
            needs,
            leaves,
            deadline,
            rank,
            next: vec![NOBODY; count + 1],
            prev: vec![NOBODY; count + 1],
            placed: vec![false; count],
            order: Vec::with_capacity(rows.len()),
            current: (0..registers.txns.keys.len() as u32)
                .map(|key| registers.initial(key))
                .collect(),
            pending,
            returns,
            return_at,
            state: 0,
            dead: FxHashSet::default(),
            looks: LOOKS_MAX,
            whole: true,
            rows,
        };
        search.link();
        search
    }

    /// The list of rows; its head stands at the place after the last row.
    fn link(&mut self) {
        let head = (self.next.len() - 1) as u32;
        let mut last = head;
        for &row in &self.rows {
            self.next[last as usize] = row;
            self.prev[row as usize] = last;
            last = row;
        }
        self.next[last as usize] = head;
        self.prev[head as usize] = last;
    }

    fn run(&mut self, meter: &mut Meter) -> Result<Serial, Stop> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut returned = 0;
        loop {
            let (choices, whole) = self.advance(&mut returned, meter)?;
            if self.order.len() == self.rows.len() {
                return Ok(Serial::Order(std::mem::take(&mut self.order)));
            }
            frames.push(Frame {
                depth: self.order.len(),
                choices,
                next: 0,
                state: self.state,
                whole,
            });
            loop {
                if self.looks == 0 {
                    return Ok(Serial::Unknown);
                }
                let Some(frame) = frames.last_mut() else {
                    return Ok(if self.whole {
                        Serial::None
                    } else {
                        Serial::Unknown
                    });
                };
                let depth = frame.depth;
                if let Some(&row) = frame.choices.get(frame.next) {
                    frame.next += 1;
                    self.undo(depth, &mut returned);
                    self.place(row);
                    if self.dead.contains(&self.state) {
                        continue;
                    }
                    break;
                }
                self.whole &= frame.whole;
                meter.budget().fits(0)?;
                self.dead.insert(frame.state);
                frames.pop();
            }
        }
    }

    /// Place all readers that can come next, again and again; then say which writers can, and whether
    /// these are all.
    fn advance(
        &mut self,
        returned: &mut usize,
        meter: &mut Meter,
    ) -> Result<(Vec<u32>, bool), Stop> {
        let head = (self.next.len() - 1) as u32;
        let history = self.registers.history;
        loop {
            while self
                .returns
                .get(*returned)
                .is_some_and(|&row| self.placed[row as usize])
            {
                *returned += 1;
            }
            let until = match self.returns.get(*returned) {
                Some(&row) if self.timed => history.ret[row as usize],
                _ => u32::MAX,
            };
            let mut choices = Vec::new();
            let mut any = false;
            let mut whole = true;
            let mut row = self.next[head as usize];
            let mut seen = 0;
            while row != head && history.inv[row as usize] < until {
                meter.tick()?;
                self.looks = self.looks.saturating_sub(1);
                let following = self.next[row as usize];
                if self.can(row) {
                    if self.leaves[row as usize].is_empty() {
                        self.place(row);
                        any = true;
                    } else {
                        choices.push(row);
                    }
                }
                seen += 1;
                if !self.timed && seen >= NEAR && (any || !choices.is_empty()) {
                    whole = following == head;
                    break;
                }
                row = following;
            }
            if !any {
                choices.sort_by_key(|&row| {
                    let deadline = if self.timed {
                        self.deadline[row as usize]
                    } else {
                        0
                    };
                    (deadline, self.rank[row as usize], row)
                });
                return Ok((choices, whole));
            }
        }
    }

    /// What it read is there, and nobody else still has to read what it overwrites.
    fn can(&self, row: u32) -> bool {
        let row = row as usize;
        let finds = |&(key, version): &(u32, u32)| self.current[key as usize] == version;
        if !self.needs[row].iter().all(finds) {
            return false;
        }
        self.leaves[row].iter().all(|&(key, _)| {
            let there = self.current[key as usize];
            let own = u32::from(self.needs[row].contains(&(key, there)));
            self.pending[there as usize] == own
        })
    }

    fn place(&mut self, row: u32) {
        let at = row as usize;
        let (before, after) = (self.prev[at], self.next[at]);
        self.next[before as usize] = after;
        self.prev[after as usize] = before;
        self.placed[at] = true;
        self.order.push(row);
        self.state ^= mark(u64::from(row), 1);
        for i in 0..self.needs[at].len() {
            self.pending[self.needs[at][i].1 as usize] -= 1;
        }
        for i in 0..self.leaves[at].len() {
            let (key, version) = self.leaves[at][i];
            let there = std::mem::replace(&mut self.current[key as usize], version);
            self.state ^= mark(u64::from(there), 2) ^ mark(u64::from(version), 2);
            // Kept for the way back.
            self.leaves[at][i] = (key, there);
        }
    }

    /// Take back all but the first `depth` rows.
    fn undo(&mut self, depth: usize, returned: &mut usize) {
        while self.order.len() > depth {
            let Some(row) = self.order.pop() else { return };
            let at = row as usize;
            *returned = (*returned).min(self.return_at[at] as usize);
            self.state ^= mark(u64::from(row), 1);
            for i in (0..self.leaves[at].len()).rev() {
                let (key, before) = self.leaves[at][i];
                let version = std::mem::replace(&mut self.current[key as usize], before);
                self.state ^= mark(u64::from(before), 2) ^ mark(u64::from(version), 2);
                self.leaves[at][i] = (key, version);
            }
            for i in 0..self.needs[at].len() {
                self.pending[self.needs[at][i].1 as usize] += 1;
            }
            self.placed[at] = false;
            let (before, after) = (self.prev[at], self.next[at]);
            self.next[before as usize] = row;
            self.prev[after as usize] = row;
        }
    }
}

/// 128 bits for one fact of a state (splitmix64, twice).
fn mark(number: u64, kind: u64) -> u128 {
    let mix = |seed: u64| {
        let mut z = number.wrapping_mul(4).wrapping_add(kind) ^ seed;
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    u128::from(mix(0)) << 64 | u128::from(mix(0x5851_f42d_4c95_7f2d))
}

/// Whether the transactions, done one after the other in this order, read what they read, and with
/// `timed` none comes after one that it had returned before. This looks at nothing that the analysis
/// found.
fn replays(registers: &Registers, order: &[u32], timed: bool) -> bool {
    let (txns, history) = (registers.txns, registers.history);
    let mut state = vec![Val::NIL; txns.keys.len()];
    let mut done = 0;
    let mut latest = 0;
    for &row in order {
        match history.outcome[row as usize] {
            Outcome::Fail => return false,
            Outcome::Ok => done += 1,
            Outcome::Info => {}
        }
        for op in txns.ops(row) {
            let held = &mut state[txns.key[op] as usize];
            if txns.is_write[op] {
                *held = txns.value[op];
            } else if *held != txns.value[op] {
                return false;
            }
        }
        // Nothing that came earlier was invoked after this one had returned.
        if timed && latest > history.end(row as usize) {
            return false;
        }
        latest = latest.max(history.inv[row as usize]);
    }
    done == txns.outcome.iter().filter(|&&o| o == Outcome::Ok).count()
}
