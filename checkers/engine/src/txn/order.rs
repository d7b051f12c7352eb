//! Serial orders: a topological order that keeps real time, and what is left where there is none.
//!
//! Real time needs no edges here. Transactions are let in by their invocations: one may be placed
//! once every transaction that returned before its invocation has been placed, and since returns
//! are sorted, one pointer tells which those are. What Kahn's algorithm cannot place is every cycle
//! and what comes after it; only for that rest are edges of processes and real time made, the latter
//! through a chain with a link for each return, so that there are three edges a transaction however
//! many are open at once.

use rustc_hash::FxHashMap;

use super::graph::{Builder, Graph, Kind, Mode};
use super::txns::NOBODY;
use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome};
use crate::planted;

/// Which rows are nodes: those that certainly happened.
pub struct Present(pub Vec<bool>);

impl Present {
    pub fn has(&self, row: u32) -> bool {
        self.0.get(row as usize).copied().unwrap_or(false)
    }

    pub fn count(&self) -> usize {
        self.0.iter().filter(|&&there| there).count()
    }
}

/// Rows that are there and returned, in order of their returns.
fn by_return(history: &History, rows: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut sorted: Vec<u32> = rows
        .filter(|&row| history.outcome[row as usize] == Outcome::Ok)
        .collect();
    sorted.sort_unstable_by_key(|&row| history.ret[row as usize]);
    sorted
}

/// Nodes in an order that keeps all edges of the mode, as far as it goes. In mode `Realtime` it keeps
/// real time too.
pub fn sort(
    history: &History,
    present: &Present,
    graph: &Graph,
    mode: Mode,
    meter: &mut Meter,
) -> Result<Vec<u32>, Stop> {
    let nodes = graph.nodes();
    let rows = history.len();
    let mut waits = vec![0u32; nodes];
    for arc in graph.arcs.iter().filter(|arc| arc.mode <= mode) {
        waits[arc.to as usize] += 1;
    }
    let timed = mode == Mode::Realtime;
    let returns = if timed {
        by_return(history, (0..rows as u32).filter(|&row| present.has(row)))
    } else {
        Vec::new()
    };
    let (mut returned, mut let_in) = (0, 0);
    let mut placed = vec![false; nodes];
    let mut order: Vec<u32> = Vec::with_capacity(nodes);
    order.extend((rows as u32..nodes as u32).filter(|&node| waits[node as usize] == 0));
    let mut done = 0;
    loop {
        // Let in whoever was invoked before the first return that is not placed.
        while returned < returns.len() && placed[returns[returned] as usize] {
            returned += 1;
        }
        let until = returns
            .get(returned)
            .map_or(u32::MAX, |&row| history.ret[row as usize]);
        while let_in < rows && (history.inv[let_in] < until || !timed) {
            if present.0[let_in] && waits[let_in] == 0 {
                order.push(let_in as u32);
            }
            let_in += 1;
        }
        if done == order.len() {
            return Ok(order);
        }
        while done < order.len() {
            meter.tick()?;
            let node = order[done];
            done += 1;
            placed[node as usize] = true;
            for arc in graph.out(node).iter().filter(|arc| arc.mode <= mode) {
                let to = arc.to as usize;
                waits[to] -= 1;
                if waits[to] == 0 && (to >= rows || (to < let_in && present.0[to])) {
                    order.push(to as u32);
                }
            }
        }
    }
}

/// Only the rows of an order, without helper nodes.
pub fn rows_only(order: Vec<u32>, rows: usize) -> Vec<u32> {
    let mut order = order;
    order.retain(|&node| (node as usize) < rows);
    order
}

/// The part of a graph that no order could place, with edges of processes and of real time.
pub struct Rest {
    pub graph: Graph,
    /// Node -> its row, `NOBODY` for helpers.
    pub row: Vec<u32>,
}

/// The rest: all nodes that `order` leaves out.
pub fn rest(
    history: &History,
    present: &Present,
    graph: &Graph,
    order: &[u32],
    meter: &mut Meter,
) -> Result<Rest, Stop> {
    let rows = history.len();
    let mut number = vec![0u32; graph.nodes()];
    for &node in order {
        number[node as usize] = NOBODY;
    }
    let mut row = Vec::new();
    for (node, slot) in number.iter_mut().enumerate() {
        let absent = node < rows && !present.0[node];
        if absent || *slot == NOBODY {
            *slot = NOBODY;
            continue;
        }
        *slot = row.len() as u32;
        row.push(if node < rows { node as u32 } else { NOBODY });
    }
    meter.budget().fits(graph.arcs.len() * 20)?;
    let mut edges = Builder::new(row.len());
    for node in 0..graph.nodes() as u32 {
        let from = number[node as usize];
        if from == NOBODY {
            continue;
        }
        for arc in graph.out(node) {
            meter.tick()?;
            let to = number[arc.to as usize];
            if to != NOBODY {
                edges.add_in(arc.mode, from, to, arc.kind, arc.note);
            }
        }
    }
    add_processes(history, &row, &mut edges);
    planted!(
        "txn-realtime-dropped",
        add_realtime(history, &row, &mut edges),
        ()
    );
    row.resize(edges.nodes as usize, NOBODY);
    let graph = edges.build(meter)?;
    Ok(Rest { graph, row })
}

/// Each client's transactions in order; after one that may still be under way there is no order.
fn add_processes(history: &History, row: &[u32], edges: &mut Builder) {
    let mut last: FxHashMap<u32, u32> = FxHashMap::default();
    for (node, &at) in row.iter().enumerate() {
        if at == NOBODY {
            continue;
        }
        let at = at as usize;
        let process = history.process[at];
        if let Some(&before) = last.get(&process) {
            if history.ret[row[before as usize] as usize] < history.inv[at] {
                edges.add_in(Mode::Process, before, node as u32, Kind::Process, 0);
            }
        }
        if history.outcome[at] == Outcome::Ok {
            last.insert(process, node as u32);
        }
    }
}

fn add_realtime(history: &History, row: &[u32], edges: &mut Builder) {
    let number: FxHashMap<u32, u32> = row
        .iter()
        .enumerate()
        .filter(|(_, &at)| at != NOBODY)
        .map(|(node, &at)| (at, node as u32))
        .collect();
    let returns = by_return(history, row.iter().copied().filter(|&at| at != NOBODY));
    let first = edges.nodes;
    edges.nodes += returns.len() as u32;
    for (i, at) in (0u32..).zip(&returns) {
        edges.add_in(Mode::Realtime, number[at], first + i, Kind::Realtime, 0);
        if i > 0 {
            edges.add(first + i - 1, first + i, Kind::Link, 0);
        }
    }
    // Rows come in order of their invocations.
    let mut before = 0u32;
    for (node, &at) in row.iter().enumerate().filter(|(_, &at)| at != NOBODY) {
        let inv = history.inv[at as usize];
        while (before as usize) < returns.len()
            && history.ret[returns[before as usize] as usize] < inv
        {
            before += 1;
        }
        if before > 0 {
            edges.add(first + before - 1, node as u32, Kind::Link, 0);
        }
    }
}
