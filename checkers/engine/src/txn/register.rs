//! rw-register: every value is written once to its key, so that reads tell whom they read from; the
//! order of versions is known only in part.
//!
//! What is known of it: the initial version (nil) is the first; whoever read a version and wrote
//! another wrote a later one (else there is a cycle of ww and wr); and with real time, when somebody
//! who read or wrote a version had returned before somebody was invoked who read or wrote another,
//! the second is the later one, since a version has one reign (Gibbons and Korach's clusters); in the
//! same way by each client's own order. From each such pair follow ww from writer to writer and rw
//! from the readers of the one to the writer of the other.
//!
//! A cycle of these proves an anomaly, whatever the rest of the order. A serial order that replays
//! proves that there is none (`serial`). Between the two, an order of versions is tried: what its
//! full graph does not break does hold, for that order is a witness.

use rustc_hash::FxHashMap;

use super::cycles;
use super::fractured;
use super::graph::{Arc, Builder, Graph, Kind, Mode};
use super::order::{self, Present};
use super::report::{Anomaly, Found, Step};
use super::scan::Log;
use super::serial::{self, Serial};
use super::txns::{Txns, NOBODY, SEVERAL};
use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome};
use crate::values::{Val, Values};

/// No serial order keeps real time; none is there at all. Found by trying them all.
const NO_STRICT: &str = "no-strict-order";
const NO_SERIAL: &str = "no-serial-order";

/// How two versions of a key are known to be in order.
#[derive(Clone, Copy)]
pub struct Reason {
    pub key: u32,
    pub before: Val,
    /// `NONE`: what the later transaction wrote.
    pub after: Val,
    pub why: &'static str,
    pub by: u32,
    pub also: u32,
}

pub struct Registers<'a> {
    pub txns: &'a Txns,
    pub history: &'a History,
    values: &'a Values,
    pub present: Present,
    /// (version, row) of each read of what another wrote; a version is the write that made it, or `initial(key)`.
    pub reads: Vec<(u32, u32)>,
    /// Version -> its entries in `reads`.
    pub first: Vec<u32>,
    /// (row, version read, write), where a transaction read a key before it wrote it.
    pub updates: Vec<(u32, u32, u32)>,
    pub reasons: Vec<Reason>,
    pub ambiguous: Option<u32>,
}

/// Judge a history of registers.
pub fn judge(history: &History, txns: &Txns, meter: &mut Meter) -> Result<Found, Stop> {
    let mut log = Log::default();
    let mut registers = Registers::read(history, txns, &mut log, meter)?;
    let graph = registers.graph(meter)?;
    let mut found = Found::new(txns);
    found.edges = graph.arcs.len() as u32;
    found.anomalies = log.found;
    let nodes = registers.present.count() + (graph.nodes() - txns.len());
    let sorted = order::sort(history, &registers.present, &graph, Mode::Realtime, meter)?;
    let mut strict = None;
    if sorted.len() < nodes {
        let known = |reader: u32, version: u32, write: u32| {
            let author = txns.owner_of(write);
            let plain =
                |arc: &Arc| arc.to == author && arc.kind == Kind::Rw && arc.mode == Mode::Plain;
            registers.author(version).is_none() || graph.out(reader).iter().any(plain)
        };
        let mut log = Log::default();
        for fracture in fractured::registers(&registers, &known, meter)? {
            fracture.log(txns, &mut log);
        }
        found.anomalies.extend(log.found);
        hunt(&registers, &graph, &sorted, &mut found, meter)?;
    } else {
        strict = Some(order::rows_only(sorted, txns.len()));
    }
    if let Some(op) = registers.ambiguous {
        found.unknown = format!(
            "{} was written more than once to key {}: who wrote what was read is not known",
            registers.values.json(txns.value[op as usize]),
            registers
                .values
                .json(txns.keys[txns.key[op as usize] as usize]),
        );
    } else {
        settle(&registers, &graph, strict, &mut found, meter)?;
    }
    found.name_possible();
    Ok(found)
}

/// The cycles of what is known.
fn hunt(
    registers: &Registers,
    graph: &Graph,
    sorted: &[u32],
    found: &mut Found,
    meter: &mut Meter,
) -> Result<(), Stop> {
    let rest = order::rest(registers.history, &registers.present, graph, sorted, meter)?;
    let explain = |from: u32, to: u32, arc: &Arc| registers.step(from, to, arc);
    let hunted = cycles::hunt(registers.history, &rest, &explain, meter)?;
    found.components = hunted.components;
    found.visited += hunted.visited;
    found.anomalies.extend(hunted.anomalies);
    found.possible.extend(hunted.open);
    Ok(())
}

/// Look for serial orders; where there is none, for an order of versions that breaks least.
fn settle(
    registers: &Registers,
    graph: &Graph,
    strict: Option<Vec<u32>>,
    found: &mut Found,
    meter: &mut Meter,
) -> Result<(), Stop> {
    let timed = |a: &Anomaly| {
        let name = a.name.as_str();
        name == NO_STRICT || name.ends_with("-process") || name.ends_with("-realtime")
    };
    let mut open = Vec::new();
    if let (Some(guide), false) = (strict, !found.anomalies.is_empty()) {
        match serial::search(registers, &guide, true, meter)? {
            Serial::Order(order) => {
                found.order = Some(order);
                found.strict = true;
                return Ok(());
            }
            Serial::None => found.anomalies.push(none(NO_STRICT, registers)),
            Serial::Unknown => open.push(NO_STRICT.to_string()),
        }
    }
    let sorted = order::sort(
        registers.history,
        &registers.present,
        graph,
        Mode::Plain,
        meter,
    )?;
    let guide = order::rows_only(sorted, registers.txns.len());
    let mut rank = guide.clone();
    if found.anomalies.iter().all(timed) {
        match serial::search(registers, &guide, false, meter)? {
            Serial::Order(order) => {
                rank.clone_from(&order);
                found.order = Some(order);
            }
            Serial::None => {
                found.anomalies.retain(|a| a.name != NO_STRICT);
                found.anomalies.push(none(NO_SERIAL, registers));
            }
            Serial::Unknown => open.push(NO_SERIAL.to_string()),
        }
    }
    found.possible.extend(open);
    possible_with(registers, &rank, found, meter)
}

/// What a full order of versions breaks.
fn possible_with(
    registers: &Registers,
    rank: &[u32],
    found: &mut Found,
    meter: &mut Meter,
) -> Result<(), Stop> {
    let total = registers.total(rank, meter)?;
    let mut tried = Found::new(registers.txns);
    let sorted = order::sort(
        registers.history,
        &registers.present,
        &total,
        Mode::Realtime,
        meter,
    )?;
    hunt(registers, &total, &sorted, &mut tried, meter)?;
    found.visited += tried.visited;
    found.possible.extend(tried.possible);
    found
        .possible
        .extend(tried.anomalies.into_iter().map(|a| a.name));
    let place = registers.places(rank);
    let order = |row: u32| {
        let ret = registers.history.ret[row as usize];
        (place[row as usize], ret, row)
    };
    let before = |_: u32, version: u32, write: u32| {
        let author = registers.author(version);
        author.is_none_or(|author| order(author) < order(registers.txns.owner_of(write)))
    };
    for fracture in fractured::registers(registers, &before, meter)? {
        found.possible.push("fractured-read".to_string());
        if fracture.vanished {
            found.possible.push("fractured-view".to_string());
        }
    }
    Ok(())
}

fn none(name: &str, registers: &Registers) -> Anomaly {
    Anomaly {
        name: name.to_string(),
        rows: (0..registers.txns.len() as u32)
            .filter(|&row| registers.present.has(row))
            .collect(),
        key: Val::NONE,
        value: Val::NONE,
        steps: Vec::new(),
        shortest: false,
    }
}

/// What a transaction knows of a key: valid while `row` is the transaction's.
#[derive(Clone, Copy)]
struct Known {
    row: u32,
    value: Val,
    written: bool,
    /// The version that it read before it wrote, `NOBODY` where there is none.
    version: u32,
}

impl<'a> Registers<'a> {
    /// The number of a key's initial version.
    pub fn initial(&self, key: u32) -> u32 {
        self.txns.owner.len() as u32 + key
    }

    pub fn versions(&self) -> usize {
        self.txns.owner.len() + self.txns.keys.len()
    }

    /// The row that wrote a version, `None` for an initial one.
    pub fn author(&self, version: u32) -> Option<u32> {
        self.txns.owner.get(version as usize).copied()
    }

    /// The rows that read a version.
    pub fn readers(&self, version: u32) -> &[(u32, u32)] {
        let from = self.first[version as usize] as usize;
        &self.reads[from..self.first[version as usize + 1] as usize]
    }

    fn read(
        history: &'a History,
        txns: &'a Txns,
        log: &mut Log,
        meter: &mut Meter,
    ) -> Result<Registers<'a>, Stop> {
        meter.budget().fits(txns.owner.len() * 24)?;
        let present = txns.outcome.iter().map(|&o| o == Outcome::Ok).collect();
        let mut registers = Registers {
            txns,
            history,
            values: &history.values,
            present: Present(present),
            reads: Vec::new(),
            first: Vec::new(),
            updates: Vec::new(),
            reasons: Vec::new(),
            ambiguous: None,
        };
        registers.scan(log, meter)?;
        registers.reads.sort_unstable();
        registers.reads.dedup();
        let versions = registers.versions();
        registers.first = vec![0; versions + 1];
        for &(version, _) in &registers.reads {
            registers.first[version as usize + 1] += 1;
        }
        for version in 0..versions {
            registers.first[version + 1] += registers.first[version];
        }
        registers.cyclic_versions(log, meter)?;
        registers.lost_updates(log);
        Ok(registers)
    }

    /// Whom every read read from, and what is wrong with it.
    fn scan(&mut self, log: &mut Log, meter: &mut Meter) -> Result<(), Stop> {
        let txns = self.txns;
        let nothing = Known {
            row: NOBODY,
            value: Val::NONE,
            written: false,
            version: NOBODY,
        };
        let mut known = vec![nothing; txns.keys.len()];
        for op in 0..txns.owner.len() as u32 {
            meter.tick()?;
            let (row, value) = (txns.owner_of(op), txns.value[op as usize]);
            let key = txns.key[op as usize];
            if txns.outcome[row as usize] != Outcome::Ok {
                continue;
            }
            let at = &mut known[key as usize];
            if at.row != row {
                *at = Known { row, ..nothing };
            }
            if txns.is_write[op as usize] {
                if at.version != NOBODY && !txns.is_intermediate(op) {
                    self.updates.push((row, at.version, op));
                }
                at.value = value;
                at.written = true;
                continue;
            }
            if !at.value.is_none() && at.value != value {
                log.add(txns, "internal", &[row], key as usize, value);
            }
            let external = !at.written && at.version == NOBODY;
            at.value = value;
            let version = self.resolve(op, log);
            if let Some(version) = version {
                self.reads.push((version, row));
                if external {
                    known[key as usize].version = version;
                }
            }
        }
        Ok(())
    }

    /// The version that a read saw: the last write of its transaction, also where it saw an earlier
    /// one. None where nobody, several or itself wrote it.
    fn resolve(&mut self, op: u32, log: &mut Log) -> Option<u32> {
        let txns = self.txns;
        let (row, key) = (txns.owner_of(op), txns.key[op as usize]);
        let value = txns.value[op as usize];
        let mut writer = txns.writer(key, value);
        if value.is_nil() && writer == NOBODY {
            return Some(self.initial(key));
        }
        if writer == NOBODY {
            log.add(txns, "garbage-read", &[row], key as usize, value);
            return None;
        }
        if writer == SEVERAL || value.is_nil() {
            self.ambiguous = self.ambiguous.or(Some(op));
            return None;
        }
        let author = txns.owner_of(writer);
        if author == row {
            if writer > op {
                log.add(txns, "future-read", &[row], key as usize, value);
            }
            return None;
        }
        match txns.outcome[author as usize] {
            Outcome::Ok => {}
            Outcome::Info => {
                self.present.0[author as usize] = crate::planted!("txn-info-failed", true, false);
            }
            Outcome::Fail => {
                log.add(txns, "G1a", &[author, row], key as usize, value);
                return None;
            }
        }
        if txns.is_intermediate(writer) {
            if crate::planted!("txn-g1b-ignored", true, false) {
                log.add(txns, "G1b", &[author, row], key as usize, value);
            }
            while txns.is_intermediate(writer) {
                writer = txns.later[writer as usize];
            }
        }
        Some(writer)
    }

    /// Each version that was written after another was read has that one before it: no circle.
    fn cyclic_versions(&self, log: &mut Log, meter: &mut Meter) -> Result<(), Stop> {
        let before: FxHashMap<u32, u32> = self.updates.iter().map(|&(_, v, w)| (w, v)).collect();
        let mut walk_of: FxHashMap<u32, usize> = FxHashMap::default();
        for (walk, &(_, _, from)) in self.updates.iter().enumerate() {
            let mut at = from;
            while let Some(&next) = before.get(&at) {
                meter.tick()?;
                if let Some(&other) = walk_of.get(&at) {
                    if other == walk {
                        self.add_circle(&before, at, log);
                    }
                    break;
                }
                walk_of.insert(at, walk);
                at = next;
            }
        }
        Ok(())
    }

    fn add_circle(&self, before: &FxHashMap<u32, u32>, from: u32, log: &mut Log) {
        let mut rows = Vec::new();
        let mut at = from;
        loop {
            rows.push(self.txns.owner_of(at));
            at = before[&at];
            if at == from {
                break;
            }
        }
        let key = self.txns.key[from as usize] as usize;
        let value = self.txns.value[from as usize];
        log.add(self.txns, "cyclic-versions", &rows, key, value);
    }

    fn lost_updates(&self, log: &mut Log) {
        let key_of = |write: u32| self.txns.key[write as usize];
        let updates = self
            .updates
            .iter()
            .map(|&(row, v, write)| (key_of(write), v, row));
        super::scan::lost(self.txns, updates.collect(), log);
    }

    /// What stands behind an edge.
    fn step(&self, from: u32, to: u32, arc: &Arc) -> Step {
        let mut step = Step::bare(from, to, arc.kind);
        match arc.kind {
            Kind::Wr => {
                let key = self.txns.key[arc.note as usize];
                let from_it = |&op: &usize| {
                    let writer = self.txns.writer(self.txns.key[op], self.txns.value[op]);
                    !self.txns.is_write[op]
                        && self.txns.key[op] == key
                        && self.txns.owner.get(writer as usize) == Some(&from)
                };
                step.key = self.txns.keys[key as usize];
                let read = self.txns.ops(to).find(from_it);
                step.value = read.map_or(Val::NONE, |op| self.txns.value[op]);
            }
            Kind::Ww | Kind::Rw | Kind::Inferred => {
                let Some(reason) = self.reasons.get(arc.note as usize) else {
                    return step;
                };
                step.key = self.txns.keys[reason.key as usize];
                step.value = reason.before;
                step.next = reason.after;
                step.why = reason.why;
                step.by = reason.by;
                step.also = reason.also;
                let wrote = |&op: &usize| self.txns.is_write[op] && self.txns.key[op] == reason.key;
                if step.next.is_none() {
                    let last = self.txns.ops(to).rfind(wrote);
                    step.next = last.map_or(Val::NONE, |op| self.txns.value[op]);
                }
            }
            _ => {}
        }
        step
    }

    /// The value of a version, `NIL` for an initial one.
    pub fn value_of(&self, version: u32) -> Val {
        let value = self.txns.value.get(version as usize);
        value.copied().unwrap_or(Val::NIL)
    }

    /// The last write of each present transaction to each of its keys, sorted by (key, write).
    pub fn installed(&self) -> Vec<(u32, u32)> {
        let txns = self.txns;
        let installs = |op: &u32| {
            txns.is_write[*op as usize]
                && !txns.is_intermediate(*op)
                && self.present.has(txns.owner_of(*op))
        };
        let mut all: Vec<(u32, u32)> = (0..txns.owner.len() as u32)
            .filter(installs)
            .map(|op| (txns.key[op as usize], op))
            .collect();
        all.sort_unstable();
        all
    }

    /// The key of a version.
    pub fn key_of(&self, version: u32) -> u32 {
        let key = self.txns.key.get(version as usize).copied();
        key.unwrap_or_else(|| version - self.initial(0))
    }

    pub fn add_wr(&self, edges: &mut Builder) {
        for &(version, reader) in &self.reads {
            if let Some(author) = self.author(version) {
                edges.add(author, reader, Kind::Wr, version);
            }
        }
    }
}
