//! Lock with fencing tokens, in one pass over the events: the tokens say the order of acquisitions.
//!
//! What can be seen in pairs is seen first, by a sweep of levels: no acquisition that returned
//! before another was invoked has a token as large, and no use of a token that returned before
//! another's has a larger one. Then every operation is put off until it has to return, as for a
//! mutex: what has to come before it is done then, in the one order that the tokens leave, each
//! acquisition after a release of the one before. Of releases that name no token the one that has to
//! return first is taken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome, OPEN};
use crate::model::Fast;
use crate::models::locks::{token_of, Does, Token};
use crate::verdict::{Answer, Core};

use super::levels::Ranked;
use super::locks::Waiting;
use super::places::{Index, NOBODY};
use super::{levels, timeline};

const NAME: &str = "fencing-tokens";

struct Machine<'h> {
    history: &'h History,
    index: Index<'h>,
    /// Acquisitions by their tokens.
    chain: Vec<(Token, u32)>,
    /// So many of them are done.
    count: usize,
    held: bool,
    /// The release that names the token of each; without any, releases are all alike.
    named: Vec<u32>,
    releases: Waiting,
    uses: BinaryHeap<Reverse<(Token, u32)>>,
    begun: Vec<bool>,
    done: Vec<bool>,
    order: Vec<u32>,
}

/// Judge a fenced lock. `None` where only some releases name a token, or where acquisitions whose
/// token nobody knows might explain what is wrong otherwise.
pub fn judge(history: &History, ops: &[(u32, Does)], meter: &mut Meter) -> Result<Fast, Stop> {
    let known = |row: u32| history.outcome[row as usize] == Outcome::Ok;
    let rows_of = |wanted: Does| ops.iter().filter(move |&&(_, does)| does == wanted);
    let token = |value| token_of(&history.values, value).unwrap_or(0);
    let ranked = |level, row| Ranked {
        level,
        row,
        rises: false,
    };
    let mut given = Vec::new();
    let mut wild = false;
    for &(row, _) in rows_of(Does::Acquire) {
        if known(row) {
            given.push(ranked(token(history.result[row as usize]), row));
        } else {
            wild = true;
        }
    }
    let mut used: Vec<Ranked<Token>> = rows_of(Does::Use)
        .filter(|&&(row, _)| known(row))
        .map(|&(row, _)| ranked(token(history.arg[row as usize]), row))
        .collect();
    let strict = crate::planted!("token-order-not-strict", true, false);
    for (ranked, strict) in [(&mut given, strict), (&mut used, false)] {
        if let Some((first, second)) = levels::inversion(history, ranked, strict, meter)? {
            return Ok(illegal(vec![first, second], second));
        }
    }
    let mut chain: Vec<(Token, u32)> = given.iter().map(|item| (item.level, item.row)).collect();
    chain.sort_unstable();
    if let Some(pair) = chain
        .windows(2)
        .find(|pair| strict && pair[0].0 == pair[1].0)
    {
        let end = |row: u32| history.end(row as usize);
        let (a, b) = (pair[0].1, pair[1].1);
        return Ok(illegal(vec![a, b], if end(a) > end(b) { a } else { b }));
    }
    let releases: Vec<u32> = rows_of(Does::Release).map(|&(row, _)| row).collect();
    let named = match names(history, &chain, &releases) {
        Names::Mixed => return Ok(None),
        Names::Wrong(_) if wild => return Ok(None),
        Names::Wrong(rows) => {
            let blocked = rows
                .iter()
                .copied()
                .max_by_key(|&row| history.end(row as usize));
            return Ok(illegal(rows.clone(), blocked.unwrap_or(0)));
        }
        Names::Known(named) => named,
    };
    let rows: Vec<u32> = ops.iter().map(|&(row, _)| row).collect();
    let mut machine = Machine {
        history,
        index: Index::new(&rows),
        chain,
        count: 0,
        held: false,
        named,
        releases: Waiting::default(),
        uses: BinaryHeap::new(),
        begun: vec![false; ops.len()],
        done: vec![false; ops.len()],
        order: Vec::with_capacity(ops.len()),
    };
    match machine.run(ops, &rows, meter)? {
        None => Ok(Some((NAME, Answer::Legal(machine.order)))),
        Some(_) if wild => Ok(None),
        Some(core) => Ok(Some((NAME, Answer::Illegal(core)))),
    }
}

fn illegal(mut rows: Vec<u32>, blocked: u32) -> Fast {
    rows.sort_unstable();
    Some((NAME, Answer::Illegal(Core { blocked, rows })))
}

enum Names {
    Known(Vec<u32>),
    Mixed,
    /// Releases of a token that was not given, or twice of one.
    Wrong(Vec<u32>),
}

/// The release of each acquisition, by its token; no releases where none names a token.
fn names(history: &History, chain: &[(Token, u32)], releases: &[u32]) -> Names {
    let token = |row: u32| token_of(&history.values, history.arg[row as usize]);
    let with = releases.iter().filter(|&&row| token(row).is_some()).count();
    if with == 0 {
        return Names::Known(Vec::new());
    }
    if with < releases.len() {
        return Names::Mixed;
    }
    let mut named = vec![NOBODY; chain.len()];
    for &row in releases {
        let place = chain.binary_search_by_key(&token(row), |&(token, _)| Some(token));
        let must = history.outcome[row as usize] == Outcome::Ok;
        match place {
            Err(_) if must => return Names::Wrong(vec![row]),
            Err(_) => {}
            Ok(place) if named[place] == NOBODY => named[place] = row,
            Ok(place) => {
                let other = named[place];
                let other_must = history.outcome[other as usize] == Outcome::Ok;
                match (other_must, must) {
                    (true, true) => return Names::Wrong(vec![chain[place].1, other, row]),
                    (false, true) => named[place] = row,
                    (true, false) => {}
                    // Either may have been the one.
                    (false, false) => return Names::Mixed,
                }
            }
        }
    }
    Names::Known(named)
}

impl Machine<'_> {
    /// What is wrong, if anything is.
    fn run(
        &mut self,
        ops: &[(u32, Does)],
        rows: &[u32],
        meter: &mut Meter,
    ) -> Result<Option<Core>, Stop> {
        for event in timeline::events(self.history, rows) {
            meter.tick()?;
            let row = event.row();
            let does = ops[self.index.of(row)].1;
            if !event.is_return() {
                self.begin(row, does);
                continue;
            }
            if self.done[self.index.of(row)] {
                continue;
            }
            let finished = match does {
                Does::Acquire => self.acquire_up_to(self.token_given(row)),
                Does::Release => self.release(row),
                Does::Use => self.use_up_to(row),
            };
            if let Err(rows) = finished {
                return Ok(Some(self.core(rows, row)));
            }
        }
        Ok(None)
    }

    /// Acquisitions that are done or come next, and the releases that name them, are there for the
    /// sake of tokens, which are only known once all of them have returned.
    fn core(&self, mut rows: Vec<u32>, row: u32) -> Core {
        let token = self.token_given(row).max(self.token_used(row));
        let wanted = self.chain.iter().enumerate();
        let blocked = wanted
            .filter(|&(place, &(other, _))| place <= self.count || other <= token)
            .flat_map(|(place, &(_, other))| [Some(other), self.named.get(place).copied()])
            .flatten()
            .filter(|&row| row != NOBODY && self.history.end(row as usize) != OPEN)
            .chain([row])
            .max_by_key(|&row| self.history.end(row as usize))
            .unwrap_or(row);
        rows.extend([row, blocked]);
        rows.sort_unstable();
        rows.dedup();
        Core { blocked, rows }
    }

    fn token_given(&self, row: u32) -> Token {
        token_of(&self.history.values, self.history.result[row as usize]).unwrap_or(0)
    }

    fn token_used(&self, row: u32) -> Token {
        token_of(&self.history.values, self.history.arg[row as usize]).unwrap_or(0)
    }

    fn begin(&mut self, row: u32, does: Does) {
        let at = self.index.of(row);
        self.begun[at] = true;
        match does {
            Does::Release if self.named.is_empty() => self.releases.push(self.history, row),
            Does::Use if self.history.outcome[row as usize] == Outcome::Ok => {
                self.uses.push(Reverse((self.token_used(row), row)));
            }
            _ => {}
        }
    }

    fn finish(&mut self, row: u32) {
        let at = self.index.of(row);
        self.done[at] = true;
        self.order.push(row);
    }

    /// Free the lock. Err names the acquisition that holds it.
    fn free(&mut self) -> Result<(), Vec<u32>> {
        let holder = self.count.wrapping_sub(1);
        let release = if self.named.is_empty() {
            self.releases.pop(&self.done, &self.index)
        } else {
            let named = self.named.get(holder).copied().unwrap_or(NOBODY);
            (named != NOBODY && self.begun[self.index.of(named)]).then_some(named)
        };
        let Some(release) = release else {
            return Err(self
                .chain
                .get(holder)
                .map(|&(_, row)| row)
                .into_iter()
                .collect());
        };
        self.finish(release);
        self.held = false;
        Ok(())
    }

    /// Do the next acquisition. Err names rows that show why not.
    fn acquire(&mut self) -> Result<(), Vec<u32>> {
        let Some(&(_, next)) = self.chain.get(self.count) else {
            return Err(Vec::new());
        };
        if !self.begun[self.index.of(next)] {
            return Err(vec![next]);
        }
        if self.held {
            self.free().map_err(|mut rows| {
                rows.push(next);
                rows
            })?;
        }
        self.finish(next);
        self.held = true;
        self.count += 1;
        Ok(())
    }

    /// Do acquisitions until one gives a token as large as this.
    fn acquire_up_to(&mut self, token: Token) -> Result<(), Vec<u32>> {
        while self.count == 0 || self.chain[self.count - 1].0 < token {
            self.acquire()?;
        }
        Ok(())
    }

    fn release(&mut self, row: u32) -> Result<(), Vec<u32>> {
        if self.named.is_empty() {
            if !self.held {
                self.acquire()?;
            }
        } else {
            self.acquire_up_to(self.token_used(row))?;
        }
        self.finish(row);
        self.held = false;
        Ok(())
    }

    /// Do all uses that have begun, up to the token of this one.
    fn use_up_to(&mut self, row: u32) -> Result<(), Vec<u32>> {
        let token = self.token_used(row);
        self.acquire_up_to(token)?;
        while let Some(&Reverse((other, row))) = self.uses.peek() {
            if other > token {
                break;
            }
            self.uses.pop();
            if !self.done[self.index.of(row)] {
                self.finish(row);
            }
        }
        Ok(())
    }
}
