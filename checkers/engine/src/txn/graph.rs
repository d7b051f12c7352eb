//! Dependency graphs in flat arrays.
//!
//! Nodes are the rows of the history, and after them helper nodes through which many-to-many
//! dependencies pass with few edges (`Link`): "each reader of the last version comes before each
//! unseen append", "whatever returned here comes before whatever is invoked from here on". A path of
//! one edge and any number of links is one dependency, of the kind of that edge.

use crate::budget::{Meter, Stop};

/// Why one transaction comes before another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Kind {
    /// It wrote the version that the other's write replaced.
    Ww = 0,
    /// The other read what it wrote.
    Wr = 1,
    /// It read a version that the other's write replaced.
    Rw = 2,
    /// The same client did it first.
    Process = 3,
    /// It returned before the other was invoked.
    Realtime = 4,
    /// Goes on from a helper node.
    Link = 5,
    /// Its version came first, as reads show: else there would be a cycle with one rw, and this one
    /// counts only where such cycles do.
    Inferred = 6,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ww | Kind::Inferred => "ww",
            Kind::Wr => "wr",
            Kind::Rw => "rw",
            Kind::Process => "process",
            Kind::Realtime => "realtime",
            Kind::Link => "link",
        }
    }

    pub fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// How much an edge relies on: on the versions alone, on the order of each client's own
/// transactions, or on real time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Mode {
    Plain = 0,
    Process = 1,
    Realtime = 2,
}

pub const MODES: [Mode; 3] = [Mode::Plain, Mode::Process, Mode::Realtime];

impl Mode {
    pub fn suffix(self) -> &'static str {
        match self {
            Mode::Plain => "",
            Mode::Process => "-process",
            Mode::Realtime => "-realtime",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Edge {
    pub from: u32,
    pub to: u32,
    pub kind: Kind,
    /// From which mode on the edge is known.
    pub mode: Mode,
    /// What the edge rests on, for whoever explains it: a micro-operation.
    pub note: u32,
}

/// Edges as they are found.
#[derive(Default)]
pub struct Builder {
    pub edges: Vec<Edge>,
    pub nodes: u32,
}

impl Builder {
    pub fn new(rows: usize) -> Builder {
        Builder {
            edges: Vec::new(),
            nodes: rows as u32,
        }
    }

    /// An edge that needs no order of processes or of time. One from a node to itself is dropped.
    pub fn add(&mut self, from: u32, to: u32, kind: Kind, note: u32) {
        self.add_in(Mode::Plain, from, to, kind, note);
    }

    pub fn add_in(&mut self, mode: Mode, from: u32, to: u32, kind: Kind, note: u32) {
        if from != to {
            self.edges.push(Edge {
                from,
                to,
                kind,
                mode,
                note,
            });
        }
    }

    pub fn helper(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    /// Edges from each of `from` to each of `to` but itself, as (row, note), through helper nodes:
    /// a chain for those after and a chain for those before a row in `to`.
    pub fn all_before_all(&mut self, from: &[(u32, Kind, u32)], to: &[u32]) {
        if let [only] = *to {
            for &(row, kind, note) in from {
                self.add(row, only, kind, note);
            }
            return;
        }
        if from.is_empty() || to.is_empty() {
            return;
        }
        let first = self.nodes;
        let count = to.len() as u32;
        self.nodes += 2 * count;
        // Helper `first + i` leads to to[i..], helper `first + count + i` to to[..=i].
        for (i, &row) in (0u32..).zip(to) {
            let (on, back) = (first + i, first + count + i);
            self.add(on, row, Kind::Link, 0);
            self.add(back, row, Kind::Link, 0);
            if i + 1 < count {
                self.add(on, on + 1, Kind::Link, 0);
                self.add(back + 1, back, Kind::Link, 0);
            }
        }
        let place: rustc_hash::FxHashMap<u32, u32> = to.iter().copied().zip(0..).collect();
        for &(row, kind, note) in from {
            match place.get(&row) {
                None => self.add(row, first, kind, note),
                Some(&at) => {
                    if at + 1 < count {
                        self.add(row, first + at + 1, kind, note);
                    }
                    if at > 0 {
                        self.add(row, first + count + at - 1, kind, note);
                    }
                }
            }
        }
    }

    /// Sort the edges by their beginnings.
    pub fn build(self, meter: &mut Meter) -> Result<Graph, Stop> {
        let nodes = self.nodes as usize;
        meter.budget().fits(nodes * 4 + self.edges.len() * 16)?;
        let mut start = vec![0u32; nodes + 1];
        for edge in &self.edges {
            start[edge.from as usize + 1] += 1;
        }
        for node in 0..nodes {
            start[node + 1] += start[node];
        }
        let mut fill = start.clone();
        let mut out = vec![
            Arc {
                to: 0,
                note: 0,
                kind: Kind::Link,
                mode: Mode::Plain
            };
            self.edges.len()
        ];
        for edge in &self.edges {
            let slot = &mut fill[edge.from as usize];
            out[*slot as usize] = Arc {
                to: edge.to,
                note: edge.note,
                kind: edge.kind,
                mode: edge.mode,
            };
            *slot += 1;
            meter.tick()?;
        }
        Ok(Graph { start, arcs: out })
    }
}

/// The far end of an edge.
#[derive(Clone, Copy, Debug)]
pub struct Arc {
    pub to: u32,
    pub note: u32,
    pub kind: Kind,
    pub mode: Mode,
}

/// Which edges count in a question.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    pub kinds: u8,
    pub mode: Mode,
}

impl Filter {
    #[inline]
    pub fn takes(self, arc: &Arc) -> bool {
        self.kinds & arc.kind.bit() != 0 && arc.mode <= self.mode
    }
}

pub struct Graph {
    pub start: Vec<u32>,
    pub arcs: Vec<Arc>,
}

impl Graph {
    pub fn nodes(&self) -> usize {
        self.start.len() - 1
    }

    #[inline]
    pub fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.start[node as usize] as usize..self.start[node as usize + 1] as usize
    }

    #[inline]
    pub fn out(&self, node: u32) -> &[Arc] {
        &self.arcs[self.range(node)]
    }

    /// Strongly connected components of more than one node, by Tarjan's algorithm without
    /// recursion. Each is sorted; components come in order of their first nodes.
    pub fn components(&self, filter: Filter, meter: &mut Meter) -> Result<Vec<Vec<u32>>, Stop> {
        let mut tarjan = Tarjan {
            index: vec![0; self.nodes()],
            low: vec![0; self.nodes()],
            next: 1,
            stack: Vec::new(),
            found: Vec::new(),
        };
        for node in 0..self.nodes() as u32 {
            if tarjan.index[node as usize] == 0 {
                tarjan.visit(self, node, filter, meter)?;
            }
        }
        let mut found = tarjan.found;
        found.sort_unstable_by_key(|component| component[0]);
        Ok(found)
    }
}

/// A node whose component is known has this as its low mark.
const DONE: u32 = u32::MAX;

struct Tarjan {
    index: Vec<u32>,
    low: Vec<u32>,
    next: u32,
    stack: Vec<u32>,
    found: Vec<Vec<u32>>,
}

impl Tarjan {
    fn visit(
        &mut self,
        graph: &Graph,
        root: u32,
        filter: Filter,
        meter: &mut Meter,
    ) -> Result<(), Stop> {
        let mut path = vec![(root, graph.start[root as usize])];
        self.enter(root);
        while let Some((node, at)) = path.last_mut() {
            meter.tick()?;
            let node = *node;
            if *at == graph.start[node as usize + 1] {
                path.pop();
                if let Some(&(above, _)) = path.last() {
                    let low = self.low[node as usize];
                    self.low[above as usize] = self.low[above as usize].min(low);
                }
                self.leave(node);
                continue;
            }
            let arc = &graph.arcs[*at as usize];
            *at += 1;
            if !filter.takes(arc) {
                continue;
            }
            let to = arc.to;
            if self.index[to as usize] == 0 {
                self.enter(to);
                path.push((to, graph.start[to as usize]));
            } else if self.low[to as usize] != DONE {
                let seen = self.index[to as usize];
                self.low[node as usize] = self.low[node as usize].min(seen);
            }
        }
        Ok(())
    }

    fn enter(&mut self, node: u32) {
        self.index[node as usize] = self.next;
        self.low[node as usize] = self.next;
        self.next += 1;
        self.stack.push(node);
    }

    fn leave(&mut self, node: u32) {
        if self.low[node as usize] != self.index[node as usize] {
            return;
        }
        let from = self
            .stack
            .iter()
            .rposition(|&other| other == node)
            .unwrap_or(0);
        let mut component = self.stack.split_off(from);
        for &other in &component {
            self.low[other as usize] = DONE;
        }
        if component.len() > 1 {
            component.sort_unstable();
            self.found.push(component);
        }
    }
}
