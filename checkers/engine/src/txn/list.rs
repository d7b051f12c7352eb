//! list-append: every read shows the whole history of its key, so that versions are known.
//!
//! The longest read of a key is its order of versions; every other read must be a prefix of it.
//! Appends that completed and that no read shows come after all that was read, in an order that is
//! not known. From the versions follow all dependencies (Adya): ww between neighbours, wr to a reader
//! from whoever appended its last element, rw from a reader to whoever appended the next one.
//!
//! A transaction whose outcome is unknown happened if somebody read what it appended; else it is
//! left out, which is always a legal guess. What failed is no node; the order passes over it.

use super::cycles;
use super::fractured;
use super::graph::{Arc, Builder, Graph, Kind, Mode};
use super::order::{self, Present};
use super::report::{Found, Step};
use super::scan::{self, Log};
use super::txns::{Txns, NOBODY, SEVERAL};
use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome};
use crate::planted;
use crate::values::{Val, Values};

/// The versions of all keys.
pub struct Lists<'a> {
    pub txns: &'a Txns,
    values: &'a Values,
    /// Append -> its place in the order of its key, `NOBODY` where no read shows it.
    pub place: Vec<u32>,
    /// Key -> its longest read, `NOBODY` where nothing was read.
    pub longest: Vec<u32>,
    /// Read -> it is a prefix of the longest of its key.
    pub fits: Vec<bool>,
    /// Key -> its entries in `chain`; one more entry than keys.
    chain_start: Vec<u32>,
    /// Appends that happened and are shown, in their key's order.
    chain: Vec<u32>,
    pub present: Present,
    /// A value was appended twice to one key, and read.
    pub ambiguous: Option<u32>,
}

/// Judge a list-append history.
pub fn judge(history: &History, txns: &Txns, meter: &mut Meter) -> Result<Found, Stop> {
    let (start, ops) = txns.by_key();
    let mut log = Log::default();
    let mut lists = Lists::read(history, txns, (&start, &ops), &mut log, meter)?;
    scan::lists(&lists, &mut log, meter)?;
    let (graph, loose) = lists.graph((&start, &ops), None, meter)?;
    let mut found = Found::new(txns);
    found.edges = graph.arcs.len() as u32;
    let nodes = lists.present.count() + (graph.nodes() - txns.len());
    let sorted = order::sort(history, &lists.present, &graph, Mode::Realtime, meter)?;
    if sorted.len() < nodes {
        let rest = order::rest(history, &lists.present, &graph, &sorted, meter)?;
        let rows = rest.row.iter().copied().filter(|&row| row != NOBODY);
        fractured::lists(&lists, rows, &mut log, meter)?;
        let explain = |from: u32, to: u32, arc: &Arc| lists.step(from, to, arc);
        let hunted = cycles::hunt(history, &rest, &explain, meter)?;
        found.components = hunted.components;
        found.visited = hunted.visited;
        found.anomalies.extend(hunted.anomalies);
        found.possible = hunted.open;
        let plain = order::sort(history, &lists.present, &graph, Mode::Plain, meter)?;
        if loose {
            let rank = ranks(
                history,
                if plain.len() == nodes {
                    &plain
                } else {
                    &sorted
                },
            );
            let (total, _) = lists.graph((&start, &ops), Some(&rank), meter)?;
            possible_with(history, &lists, &total, &mut found, meter)?;
        }
        if plain.len() == nodes {
            found.order = Some(order::rows_only(plain, txns.len()));
        }
    } else {
        found.order = Some(order::rows_only(sorted, txns.len()));
        found.strict = true;
    }
    found.anomalies.extend(log.found);
    conclude(&mut lists, &mut found, meter)?;
    Ok(found)
}

/// Row -> its place in an order; what is not in it comes after it, by returns.
fn ranks(history: &History, order: &[u32]) -> Vec<(u32, u32)> {
    let mut rank: Vec<(u32, u32)> = history.ret.iter().map(|&ret| (NOBODY, ret)).collect();
    for (at, &node) in (0u32..).zip(order) {
        if let Some(slot) = rank.get_mut(node as usize) {
            *slot = (at, 0);
        }
    }
    rank
}

/// The cycles of a graph in which the appends that nobody saw have an order: nobody knows whether it
/// is theirs, so that these are possible and no more, but what they do not break does hold.
fn possible_with(
    history: &History,
    lists: &Lists,
    total: &Graph,
    found: &mut Found,
    meter: &mut Meter,
) -> Result<(), Stop> {
    let sorted = order::sort(history, &lists.present, total, Mode::Realtime, meter)?;
    let rest = order::rest(history, &lists.present, total, &sorted, meter)?;
    let explain = |from: u32, to: u32, arc: &Arc| Step::bare(from, to, arc.kind);
    let hunted = cycles::hunt(history, &rest, &explain, meter)?;
    found.visited += hunted.visited;
    found.possible.extend(hunted.open);
    let names = hunted.anomalies.into_iter().map(|anomaly| anomaly.name);
    found.possible.extend(names);
    Ok(())
}

/// Keep the order only if it replays, and say what is not known.
fn conclude(lists: &mut Lists, found: &mut Found, meter: &mut Meter) -> Result<(), Stop> {
    if let Some(order) = found.order.take() {
        if lists.replays(&order, meter)? {
            found.order = Some(order);
        } else {
            found.strict = false;
        }
    }
    found.name_possible();
    if let (Some(op), None) = (lists.ambiguous, &found.order) {
        found.unknown = format!(
            "{} was appended more than once to key {}: who appended what was read is not known",
            lists.values.json(lists.txns.value[op as usize]),
            lists
                .values
                .json(lists.txns.keys[lists.txns.key[op as usize] as usize]),
        );
    } else if found.order.is_none() && found.anomalies.is_empty() {
        found.unknown = "no serial order was found, and no anomaly".to_string();
    }
    Ok(())
}

impl<'a> Lists<'a> {
    fn read(
        history: &'a History,
        txns: &'a Txns,
        (start, ops): (&[u32], &[u32]),
        log: &mut Log,
        meter: &mut Meter,
    ) -> Result<Lists<'a>, Stop> {
        meter.budget().fits(txns.owner.len() * 12)?;
        let present = txns.outcome.iter().map(|&o| o == Outcome::Ok).collect();
        let mut lists = Lists {
            txns,
            values: &history.values,
            place: vec![NOBODY; txns.owner.len()],
            longest: vec![NOBODY; txns.keys.len()],
            fits: vec![false; txns.owner.len()],
            chain_start: vec![0],
            chain: Vec::new(),
            present: Present(present),
            ambiguous: None,
        };
        for key in 0..txns.keys.len() {
            let of_key = &ops[start[key] as usize..start[key + 1] as usize];
            lists.find_longest(key, of_key, meter)?;
            lists.place_all(key, log, meter)?;
            lists.compare(key, of_key, log, meter)?;
            lists.chain_start.push(lists.chain.len() as u32);
        }
        Ok(lists)
    }

    /// What a read saw.
    pub fn list(&self, op: u32) -> &'a [Val] {
        self.values
            .as_list(self.txns.value[op as usize])
            .unwrap_or(&[])
    }

    pub fn chain_of(&self, key: usize) -> &[u32] {
        &self.chain[self.chain_start[key] as usize..self.chain_start[key + 1] as usize]
    }

    fn find_longest(&mut self, key: usize, ops: &[u32], meter: &mut Meter) -> Result<(), Stop> {
        let mut most = 0;
        for &op in ops.iter().filter(|&&op| !self.txns.is_write[op as usize]) {
            meter.tick()?;
            let length = self.list(op).len();
            if self.longest[key] == NOBODY || length > most {
                self.longest[key] = op;
                most = length;
            }
        }
        Ok(())
    }

    /// Place the elements of the longest read.
    fn place_all(&mut self, key: usize, log: &mut Log, meter: &mut Meter) -> Result<(), Stop> {
        let longest = self.longest[key];
        if longest == NOBODY {
            return Ok(());
        }
        let mut aborted = None;
        for (at, &value) in (0u32..).zip(self.list(longest)) {
            meter.tick()?;
            let Some(writer) = self.look(longest, value, log) else {
                continue;
            };
            if self.place[writer as usize] != NOBODY {
                let rows = [self.txns.owner_of(writer), self.txns.owner_of(longest)];
                log.add(self.txns, "duplicate-elements", &rows, key, value);
                continue;
            }
            self.place[writer as usize] = at;
            if self.happened(writer) {
                self.chain.push(writer);
                if let Some(aborted) = aborted.take() {
                    let rows = [aborted, writer, longest].map(|op| self.txns.owner_of(op));
                    log.add(self.txns, "dirty-update", &rows, key, value);
                }
            } else {
                aborted = Some(writer);
            }
        }
        Ok(())
    }

    /// The append of an element that `read` saw; what is wrong with it is noted. A transaction of
    /// unknown outcome whose append is seen happened.
    fn look(&mut self, read: u32, value: Val, log: &mut Log) -> Option<u32> {
        let key = self.txns.key[read as usize];
        let writer = self.txns.writer(key, value);
        let reader = self.txns.owner_of(read);
        if writer == NOBODY {
            log.add(self.txns, "garbage-read", &[reader], key as usize, value);
            return None;
        }
        if writer == SEVERAL {
            self.ambiguous = self.ambiguous.or_else(|| self.any_append(key, value));
            return None;
        }
        let row = self.txns.owner_of(writer);
        match self.txns.outcome[row as usize] {
            Outcome::Ok => {}
            Outcome::Info => {
                self.present.0[row as usize] = planted!("txn-info-failed", true, false);
            }
            Outcome::Fail => log.add(self.txns, "G1a", &[row, reader], key as usize, value),
        }
        Some(writer)
    }

    fn any_append(&self, key: u32, value: Val) -> Option<u32> {
        let same = |&op: &usize| {
            self.txns.is_write[op] && self.txns.key[op] == key && self.txns.value[op] == value
        };
        (0..self.txns.owner.len()).find(same).map(|op| op as u32)
    }

    fn happened(&self, op: u32) -> bool {
        self.present.has(self.txns.owner_of(op))
    }

    /// Hold every read of the key against the longest.
    fn compare(
        &mut self,
        key: usize,
        ops: &[u32],
        log: &mut Log,
        meter: &mut Meter,
    ) -> Result<(), Stop> {
        let longest = self.longest[key];
        for &op in ops.iter().filter(|&&op| !self.txns.is_write[op as usize]) {
            meter.tick()?;
            let (all, seen) = (self.list(longest), self.list(op));
            if all.starts_with(seen) {
                self.fits[op as usize] = true;
                continue;
            }
            let from = all.iter().zip(seen).take_while(|(a, b)| a == b).count();
            let rows = [self.txns.owner_of(longest), self.txns.owner_of(op)];
            log.add(self.txns, "incompatible-order", &rows, key, seen[from]);
            for &value in &seen[from..] {
                meter.tick()?;
                self.look(op, value, log);
            }
        }
        Ok(())
    }

    /// All dependencies, and whether some appends to one key have no order. Which info transactions
    /// happened is known by now. With `rank` those appends are put in that order.
    fn graph(
        &self,
        (start, ops): (&[u32], &[u32]),
        rank: Option<&[(u32, u32)]>,
        meter: &mut Meter,
    ) -> Result<(Graph, bool), Stop> {
        let txns = self.txns;
        meter.budget().fits(txns.owner.len() * 32)?;
        let mut edges = Builder::new(txns.len());
        let mut loose = false;
        for key in 0..txns.keys.len() {
            let chain = self.chain_of(key);
            for pair in chain.windows(2) {
                let [from, to] = [pair[0], pair[1]].map(|op| txns.owner_of(op));
                edges.add(from, to, Kind::Ww, pair[1]);
            }
            let mut last: Vec<(u32, Kind, u32)> = Vec::new();
            let mut unseen: Vec<u32> = Vec::new();
            if let Some(&op) = chain.last() {
                last.push((txns.owner_of(op), Kind::Ww, op));
            }
            for &op in &ops[start[key] as usize..start[key + 1] as usize] {
                meter.tick()?;
                let row = txns.owner_of(op);
                if txns.is_write[op as usize] {
                    if self.is_unseen(op) && unseen.last() != Some(&row) {
                        unseen.push(row);
                    }
                } else if self.fits[op as usize] {
                    self.add_read(op, chain, &mut edges, &mut last);
                }
            }
            edges.all_before_all(&last, &unseen);
            loose |= unseen.len() > 1;
            if let Some(rank) = rank {
                unseen.sort_by_key(|&row| (rank[row as usize], row));
                for pair in unseen.windows(2) {
                    edges.add(pair[0], pair[1], Kind::Ww, NOBODY);
                }
            }
        }
        Ok((edges.build(meter)?, loose))
    }

    /// An append that happened, and that comes after all that was read.
    pub fn is_unseen(&self, op: u32) -> bool {
        self.place[op as usize] == NOBODY
            && self.happened(op)
            && self.longest[self.txns.key[op as usize] as usize] != NOBODY
            && self
                .txns
                .writer(self.txns.key[op as usize], self.txns.value[op as usize])
                == op
    }

    /// The edges of a read; one that saw everything is put into `last`.
    fn add_read(
        &self,
        op: u32,
        chain: &[u32],
        edges: &mut Builder,
        last: &mut Vec<(u32, Kind, u32)>,
    ) {
        let row = self.txns.owner_of(op);
        let length = self.list(op).len() as u32;
        let next = chain.partition_point(|&append| self.place[append as usize] < length);
        if next > 0 {
            edges.add(self.txns.owner_of(chain[next - 1]), row, Kind::Wr, op);
        }
        match chain.get(planted!("txn-rw-wrong-version", next, next + 1)) {
            Some(&append) => edges.add(row, self.txns.owner_of(append), Kind::Rw, op),
            None if last.last() == Some(&(row, Kind::Rw, op)) => {}
            None => last.push((row, Kind::Rw, op)),
        }
    }

    /// The row that appended the last element that a read saw.
    pub fn last_writer(&self, read: u32) -> Option<u32> {
        let chain = self.chain_of(self.txns.key[read as usize] as usize);
        let length = self.list(read).len() as u32;
        let next = chain.partition_point(|&append| self.place[append as usize] < length);
        next.checked_sub(1).map(|at| self.txns.owner_of(chain[at]))
    }

    /// What stands behind an edge.
    fn step(&self, from: u32, to: u32, arc: &Arc) -> Step {
        let txns = self.txns;
        let mut step = Step::bare(from, to, arc.kind);
        if matches!(arc.kind, Kind::Process | Kind::Realtime | Kind::Link) {
            return step;
        }
        let key = txns.key[arc.note as usize] as usize;
        step.key = txns.keys[key];
        let chain = self.chain_of(key);
        let value_of = |op: u32| txns.value[op as usize];
        let before = |length: u32| {
            let next = chain.partition_point(|&append| self.place[append as usize] < length);
            next.checked_sub(1)
                .map_or(Val::NONE, |at| value_of(chain[at]))
        };
        match arc.kind {
            Kind::Wr => {
                step.value = before(self.list(arc.note).len() as u32);
                return step;
            }
            Kind::Rw => {
                let seen = self.list(arc.note);
                step.value = seen.last().copied().unwrap_or(Val::NONE);
                step.next = self.next_by(to, key as u32, seen.len() as u32);
            }
            _ if txns.owner_of(arc.note) == to => {
                step.value = before(self.place[arc.note as usize]);
                step.next = value_of(arc.note);
            }
            _ => {
                step.value = value_of(arc.note);
                step.next = self.next_by(to, key as u32, self.list(self.longest[key]).len() as u32);
            }
        }
        let next = txns.writer(key as u32, step.next);
        let unseen = next == NOBODY || next == SEVERAL || self.place[next as usize] == NOBODY;
        step.why = if unseen { "unseen" } else { "read" };
        step.by = txns.owner_of(self.longest[key]);
        step
    }

    /// The first element that a row appended to the key at or after a place, or that nobody saw.
    fn next_by(&self, row: u32, key: u32, from: u32) -> Val {
        let txns = self.txns;
        let after =
            |&op: &usize| txns.is_write[op] && txns.key[op] == key && self.place[op] >= from;
        let first = txns.ops(row).filter(after).min_by_key(|&op| self.place[op]);
        first.map_or(Val::NONE, |op| txns.value[op])
    }

    /// Whether the transactions, done one after the other in this order, read what they read. This
    /// looks at nothing that the analysis found.
    fn replays(&self, order: &[u32], meter: &mut Meter) -> Result<bool, Stop> {
        let txns = self.txns;
        let mut state: Vec<Vec<Val>> = vec![Vec::new(); txns.keys.len()];
        let mut seen = 0;
        for &row in order {
            if txns.outcome[row as usize] == Outcome::Fail {
                return Ok(false);
            }
            seen += usize::from(txns.outcome[row as usize] == Outcome::Ok);
            for op in txns.ops(row) {
                meter.tick()?;
                let held = &mut state[txns.key[op] as usize];
                if txns.is_write[op] {
                    held.push(txns.value[op]);
                } else if held.as_slice() != self.list(op as u32) {
                    return Ok(false);
                }
            }
        }
        Ok(seen == txns.outcome.iter().filter(|&&o| o == Outcome::Ok).count())
    }
}
