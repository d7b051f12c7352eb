//! Which versions of a register are known to be in order, and the edges that follow.

use rustc_hash::FxHashMap;

use super::graph::{Builder, Graph, Kind, Mode};
use super::register::{Reason, Registers};
use super::txns::NOBODY;
use crate::budget::{Meter, Stop};
use crate::history::OPEN;
use crate::values::Val;

/// A version with the times at which it is known to have been there: all who read or wrote it.
#[derive(Clone, Copy)]
struct Cluster {
    version: u32,
    /// The first return of one that read or wrote it: from then on it had been there.
    first: u32,
    first_row: u32,
    /// The last invocation: it was there after that.
    last: u32,
    last_row: u32,
}

impl Registers<'_> {
    /// Row -> its place in an order, `NOBODY` where it has none.
    pub fn places(&self, rank: &[u32]) -> Vec<u32> {
        let mut place = vec![NOBODY; self.txns.len()];
        for (at, &row) in (0u32..).zip(rank) {
            place[row as usize] = at;
        }
        place
    }

    /// The edges of a full order of versions: by the ranks of their writers.
    pub fn total(&self, rank: &[u32], meter: &mut Meter) -> Result<Graph, Stop> {
        let place = self.places(rank);
        let mut all = self.installed();
        // What has no rank comes last, by its return.
        all.sort_by_key(|&(key, op)| {
            let row = self.txns.owner_of(op);
            let ret = self.history.ret[row as usize];
            (key, place[row as usize], ret, row)
        });
        let mut edges = Builder::new(self.txns.len());
        self.add_wr(&mut edges);
        for (i, &(key, op)) in all.iter().enumerate() {
            meter.tick()?;
            let row = self.txns.owner_of(op);
            let before = match i.checked_sub(1).map(|before| all[before]) {
                Some((same, before)) if same == key => before,
                _ => self.initial(key),
            };
            if let Some(author) = self.author(before) {
                edges.add(author, row, Kind::Ww, NOBODY);
            }
            for &(_, reader) in self.readers(before) {
                edges.add(reader, row, Kind::Rw, NOBODY);
            }
        }
        edges.build(meter)
    }

    /// Everything that is known.
    pub fn graph(&mut self, meter: &mut Meter) -> Result<Graph, Stop> {
        meter.budget().fits(self.txns.owner.len() * 48)?;
        let mut edges = Builder::new(self.txns.len());
        self.add_wr(&mut edges);
        let installed = self.installed();
        self.add_initial(&installed, &mut edges);
        for at in 0..self.updates.len() {
            let (row, version, write) = self.updates[at];
            if self.author(version).is_some() {
                self.add_readers(
                    version,
                    write,
                    "update",
                    (row, NOBODY),
                    Mode::Plain,
                    &mut edges,
                );
            }
            meter.tick()?;
        }
        self.add_processes(&installed, &mut edges, meter)?;
        let mut from = 0;
        while from < installed.len() {
            let key = installed[from].0;
            let count = installed[from..].partition_point(|&(other, _)| other == key);
            crate::planted!(
                "txn-realtime-dropped",
                self.add_realtime(&installed[from..from + count], &mut edges, meter)?,
                ()
            );
            from += count;
        }
        edges.build(meter)
    }

    fn reason(&mut self, reason: Reason) -> u32 {
        self.reasons.push(reason);
        self.reasons.len() as u32 - 1
    }

    /// Whoever read the initial version comes before whoever wrote one.
    fn add_initial(&mut self, installed: &[(u32, u32)], edges: &mut Builder) {
        let mut from = 0;
        while from < installed.len() {
            let key = installed[from].0;
            let count = installed[from..].partition_point(|&(other, _)| other == key);
            let initial = self.initial(key);
            if !self.readers(initial).is_empty() {
                let note = self.reason(Reason {
                    key,
                    before: Val::NIL,
                    after: Val::NONE,
                    why: "initial",
                    by: NOBODY,
                    also: NOBODY,
                });
                let readers = self.readers(initial).iter();
                let readers: Vec<_> = readers.map(|&(_, row)| (row, Kind::Rw, note)).collect();
                let writers = installed[from..from + count].iter();
                let writers: Vec<u32> = writers.map(|&(_, op)| self.txns.owner_of(op)).collect();
                edges.all_before_all(&readers, &writers);
            }
            from += count;
        }
    }

    /// Whoever read `version` comes before the writer of a later one.
    fn add_readers(
        &mut self,
        version: u32,
        write: u32,
        why: &'static str,
        (by, also): (u32, u32),
        mode: Mode,
        edges: &mut Builder,
    ) -> u32 {
        let note = self.reason(Reason {
            key: self.txns.key[write as usize],
            before: self.value_of(version),
            after: self.txns.value[write as usize],
            why,
            by,
            also,
        });
        let to = self.txns.owner_of(write);
        let wrong = crate::planted!("txn-rw-wrong-version", false, true);
        for &(_, reader) in self.readers(version) {
            if !wrong {
                edges.add_in(mode, reader, to, Kind::Rw, note);
            }
        }
        note
    }

    /// One version before another, as their clusters show.
    fn add_pair(
        &mut self,
        (a, a_row): (u32, u32),
        (b, b_row): (u32, u32),
        mode: Mode,
        edges: &mut Builder,
    ) {
        let why = if mode == Mode::Process {
            "process"
        } else {
            "realtime"
        };
        let note = self.add_readers(a, b, why, (a_row, b_row), mode, edges);
        if let (Some(from), Some(to)) = (self.author(a), self.author(b)) {
            let both = from == a_row && to == b_row;
            let kind = if both { Kind::Ww } else { Kind::Inferred };
            edges.add_in(mode, from, to, kind, note);
        }
    }

    /// What each process read or wrote of a key, in its order: each version once known comes before
    /// the next one.
    fn add_processes(
        &mut self,
        installed: &[(u32, u32)],
        edges: &mut Builder,
        meter: &mut Meter,
    ) -> Result<(), Stop> {
        let mut touched: Vec<(u32, u32, u32)> = Vec::new();
        let writes = installed
            .iter()
            .map(|&(key, op)| (self.txns.owner_of(op), key, op));
        touched.extend(writes);
        for &(version, row) in &self.reads {
            if self.author(version).is_some() {
                touched.push((row, self.txns.key[version as usize], version));
            }
        }
        touched.sort_unstable();
        // (process, key) -> (row, version) that it knew last, of transactions that returned.
        let mut last: FxHashMap<(u32, u32), (u32, u32)> = FxHashMap::default();
        let mut at = 0;
        while at < touched.len() {
            meter.tick()?;
            let (row, key, _) = touched[at];
            let same = touched[at..].partition_point(|&(r, k, _)| (r, k) == (row, key));
            // Read first, then written: the write is the one whose owner the row is.
            let mut versions: Vec<u32> = touched[at..at + same].iter().map(|t| t.2).collect();
            versions.sort_by_key(|&v| self.txns.owner_of(v) == row);
            at += same;
            let process = (self.history.process[row as usize], key);
            if let (Some(&(before, known)), Some(&version)) = (last.get(&process), versions.first())
            {
                let precedes = self.history.ret[before as usize] < self.history.inv[row as usize];
                if precedes && known != version {
                    self.add_pair((known, before), (version, row), Mode::Process, edges);
                }
            }
            if self.history.end(row as usize) != OPEN {
                if let Some(&version) = versions.last() {
                    last.insert(process, (row, version));
                }
            }
        }
        Ok(())
    }

    /// When a version is known to have been there.
    fn cluster(&self, version: u32) -> Cluster {
        let mut cluster = Cluster {
            version,
            first: OPEN,
            first_row: NOBODY,
            last: 0,
            last_row: NOBODY,
        };
        let readers = self.readers(version).iter().map(|&(_, row)| row);
        for row in readers.chain(self.author(version)) {
            let (inv, end) = (
                self.history.inv[row as usize],
                self.history.end(row as usize),
            );
            if end < cluster.first {
                (cluster.first, cluster.first_row) = (end, row);
            }
            if cluster.last_row == NOBODY || inv > cluster.last {
                (cluster.last, cluster.last_row) = (inv, row);
            }
        }
        cluster
    }

    /// a comes before b where `a.first < b.last`. Given are the pairs that all others follow from: for
    /// each b the one of those before it that was known last, and those that do not come before that
    /// one. Two versions that come before each other are given both ways.
    fn add_realtime(
        &mut self,
        installed: &[(u32, u32)],
        edges: &mut Builder,
        meter: &mut Meter,
    ) -> Result<(), Stop> {
        let mut clusters: Vec<Cluster> =
            installed.iter().map(|&(_, op)| self.cluster(op)).collect();
        clusters.sort_unstable_by_key(|cluster| (cluster.first, cluster.version));
        // Place -> of all up to it, the two with the latest `last`.
        let mut latest: Vec<(usize, Option<usize>)> = Vec::with_capacity(clusters.len());
        for (at, cluster) in clusters.iter().enumerate() {
            let two = match latest.last() {
                None => (at, None),
                Some(&(most, _)) if cluster.last > clusters[most].last => (at, Some(most)),
                Some(&(most, Some(second))) if cluster.last <= clusters[second].last => {
                    (most, Some(second))
                }
                Some(&(most, _)) => (most, Some(at)),
            };
            latest.push(two);
        }
        let pair = |a: Cluster, b: Cluster| ((a.version, a.first_row), (b.version, b.last_row));
        for (at, &b) in clusters.iter().enumerate() {
            let before = clusters.partition_point(|a| a.first < b.last);
            let Some(&(most, second)) = before.checked_sub(1).and_then(|i| latest.get(i)) else {
                continue;
            };
            let Some(latest) = (if most == at { second } else { Some(most) }) else {
                continue;
            };
            let bound = clusters[latest].last;
            let from = clusters.partition_point(|a| a.first < bound).min(before);
            for other in std::iter::once(latest).chain(from..before) {
                meter.tick()?;
                if other != at {
                    let (a, b) = pair(clusters[other], b);
                    self.add_pair(a, b, Mode::Realtime, edges);
                }
            }
            if bound > b.first {
                let (b, a) = pair(b, clusters[latest]);
                self.add_pair(b, a, Mode::Realtime, edges);
            }
        }
        Ok(())
    }
}
