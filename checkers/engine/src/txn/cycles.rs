//! The shortest cycle of each kind (Adya's G0, G1c, G-single, G2, and G-nonadjacent), each by the
//! versions alone, with the order of processes, and with real time.
//!
//! For each edge that a kind must have, a breadth-first search through (node, state of the kind's
//! automaton) for the way back; the shortest over all such edges is a shortest cycle of its kind in
//! its component. A walk that meets a transaction twice is no cycle; it is passed over, since one of
//! its parts is a cycle of a kind that breaks at least as much, and that part is found as such.
//! The bound is a number of edges looked at, so that the same history gives the same answer anywhere.

use super::graph::{Arc, Builder, Filter, Kind, Mode, MODES};
use super::order::Rest;
use super::report::{Anomaly, Step};
use super::txns::NOBODY;
use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome};
use crate::values::Val;

/// Edges that one search for a kind in a component may look at: about 0.1 s.
const WORK_MAX: u64 = 20_000_000;
/// Components in which a kind is looked for: they come in order, and more tell nothing new.
const COMPONENTS_MAX: usize = 4;
/// A cycle cannot be shorter.
const SHORTEST: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Base {
    G0,
    G1c,
    GSingle,
    GNonadjacent,
    G2,
}

const BASES: [Base; 5] = [
    Base::G0,
    Base::G1c,
    Base::GSingle,
    Base::GNonadjacent,
    Base::G2,
];

/// State bits: an edge of the question's own mode was passed; and what the kind has to remember.
const SEEN: u8 = 1;
const AFTER_RW: u8 = 2;
const TWO: u8 = 4;
const STATES: usize = 8;

#[derive(Clone, Copy)]
struct Question {
    base: Base,
    mode: Mode,
    /// Only transactions that are known to have committed.
    sure: bool,
}

impl Question {
    fn name(self) -> String {
        let base = match self.base {
            // With a transaction that may have been aborted it is at least an aborted read.
            Base::G0 if !self.sure => "G1c",
            Base::G0 => "G0",
            Base::G1c => "G1c",
            Base::GSingle => "G-single-item",
            Base::GNonadjacent => "G-nonadjacent-item",
            Base::G2 => "G2-item",
        };
        format!("{base}{}", self.mode.suffix())
    }

    fn filter(self) -> Filter {
        let kinds: &[Kind] = match self.base {
            Base::G0 => &[Kind::Ww],
            Base::G1c => &[Kind::Ww, Kind::Wr],
            _ => &[Kind::Ww, Kind::Wr, Kind::Rw, Kind::Inferred],
        };
        let mut bits = Kind::Link.bit() | Kind::Process.bit() | Kind::Realtime.bit();
        bits |= kinds.iter().map(|kind| kind.bit()).sum::<u8>();
        Filter {
            kinds: bits,
            mode: self.mode,
        }
    }

    /// An edge that every cycle of the kind has.
    fn first(self) -> Kind {
        match self.base {
            Base::G0 => Kind::Ww,
            Base::G1c => Kind::Wr,
            _ => Kind::Rw,
        }
    }

    /// The state after the first edge.
    fn begin(self, arc: &Arc) -> u8 {
        let seen = if arc.mode == self.mode { SEEN } else { 0 };
        match self.base {
            Base::GNonadjacent | Base::G2 => seen | AFTER_RW,
            _ => seen,
        }
    }

    /// The state after one more edge, `None` where no cycle of the kind goes on so.
    fn next(self, state: u8, arc: &Arc) -> Option<u8> {
        if arc.kind == Kind::Link {
            return Some(state);
        }
        let state = if arc.mode == self.mode {
            state | SEEN
        } else {
            state
        };
        let rw = arc.kind == Kind::Rw;
        match self.base {
            Base::G0 | Base::G1c => Some(state),
            Base::GSingle => (!rw).then_some(state),
            Base::GNonadjacent if !rw => Some(state & !AFTER_RW),
            Base::GNonadjacent => (state & AFTER_RW == 0).then_some(state | AFTER_RW | TWO),
            // The second edge has to be another rw.
            Base::G2 if state & TWO != 0 => Some(state),
            Base::G2 => rw.then_some(state | TWO),
        }
    }

    fn accepts(self, state: u8) -> bool {
        let seen = self.mode == Mode::Plain || state & SEEN != 0;
        let shape = match self.base {
            Base::GNonadjacent => state & AFTER_RW == 0 && state & TWO != 0,
            Base::G2 => state & TWO != 0,
            _ => true,
        };
        seen && shape
    }
}

/// What a hunt brought.
pub struct Hunted {
    pub anomalies: Vec<Anomaly>,
    /// Kinds that the bound left open.
    pub open: Vec<String>,
    pub components: u32,
    pub visited: u64,
}

/// All kinds in the rest of a graph. `explain` says what stands behind an edge between two rows.
pub fn hunt(
    history: &History,
    rest: &Rest,
    explain: &dyn Fn(u32, u32, &Arc) -> Step,
    meter: &mut Meter,
) -> Result<Hunted, Stop> {
    let all = Filter {
        kinds: u8::MAX,
        mode: Mode::Realtime,
    };
    let components = rest.graph.components(all, meter)?;
    let small = shrink(rest, &components, meter)?;
    let mut hunter = Hunter::new(history, &small);
    for base in BASES {
        // Every order of a process is one of real time: with real time only what is shorter is new.
        let mut below = usize::MAX;
        for mode in MODES {
            let sure = base == Base::G0;
            let question = Question { base, mode, sure };
            let mut found = hunter.ask(question, below, explain, meter)?;
            if found.is_none() && sure {
                let unsure = Question {
                    sure: false,
                    ..question
                };
                found = hunter.ask(unsure, below, explain, meter)?;
            }
            if mode == Mode::Process {
                below = found.unwrap_or(below);
            }
        }
    }
    Ok(Hunted {
        anomalies: hunter.found,
        open: hunter.open,
        components: components.len() as u32,
        visited: hunter.visited,
    })
}

/// Only the nodes in components, and the edges within them.
fn shrink(rest: &Rest, components: &[Vec<u32>], meter: &mut Meter) -> Result<Rest, Stop> {
    let mut number = vec![(NOBODY, NOBODY); rest.graph.nodes()];
    let mut row = Vec::new();
    for (component, nodes) in (0u32..).zip(components) {
        for &node in nodes {
            number[node as usize] = (component, row.len() as u32);
            row.push(rest.row[node as usize]);
        }
    }
    let mut edges = Builder::new(row.len());
    for &node in components.iter().flatten() {
        let (component, from) = number[node as usize];
        for arc in rest.graph.out(node) {
            meter.tick()?;
            let (other, to) = number[arc.to as usize];
            if other == component {
                edges.add_in(arc.mode, from, to, arc.kind, arc.note);
            }
        }
    }
    Ok(Rest {
        graph: edges.build(meter)?,
        row,
    })
}

/// A place that a search has reached.
#[derive(Clone, Copy)]
struct Reached {
    node: u32,
    state: u8,
    /// Place from which it was reached, `NOBODY` at the first.
    from: u32,
    arc: u32,
}

struct Hunter<'a> {
    history: &'a History,
    rest: &'a Rest,
    found: Vec<Anomaly>,
    open: Vec<String>,
    visited: u64,
    /// (node, state) -> the search that was there last.
    stamp: Vec<u32>,
    search: u32,
    reached: Vec<Reached>,
}

impl<'a> Hunter<'a> {
    fn new(history: &'a History, rest: &'a Rest) -> Hunter<'a> {
        Hunter {
            history,
            rest,
            found: Vec::new(),
            open: Vec::new(),
            visited: 0,
            stamp: vec![0; rest.graph.nodes() * STATES],
            search: 0,
            reached: Vec::new(),
        }
    }

    /// The shortest cycle of a kind in each component, if it has fewer than `below` steps; the
    /// length of the shortest of all.
    fn ask(
        &mut self,
        question: Question,
        below: usize,
        explain: &dyn Fn(u32, u32, &Arc) -> Step,
        meter: &mut Meter,
    ) -> Result<Option<usize>, Stop> {
        let components = self.rest.graph.components(question.filter(), meter)?;
        let mut place = vec![NOBODY; self.rest.graph.nodes()];
        for (number, nodes) in (0u32..).zip(&components) {
            for &node in nodes {
                place[node as usize] = number;
            }
        }
        let mut least: Option<usize> = None;
        let mut told = 0;
        for nodes in &components {
            if told == COMPONENTS_MAX {
                break;
            }
            let mut work = WORK_MAX;
            let best = self.shortest(question, below, nodes, &place, &mut work, meter)?;
            self.visited += WORK_MAX - work;
            match best {
                Some(path) => {
                    let length = self.steps(&path).len();
                    least = Some(least.map_or(length, |least| least.min(length)));
                    told += 1;
                    let anomaly = self.anomaly(question, &path, work > 0, explain);
                    self.found.push(anomaly);
                }
                None if work == 0 => self.open.push(question.name()),
                None => {}
            }
        }
        Ok(least)
    }

    /// The arcs of a shortest cycle of fewer than `below` steps, as (node, arc).
    fn shortest(
        &mut self,
        question: Question,
        below: usize,
        nodes: &[u32],
        place: &[u32],
        work: &mut u64,
        meter: &mut Meter,
    ) -> Result<Option<Vec<(u32, u32)>>, Stop> {
        let rest = self.rest;
        let filter = question.filter();
        let mut best: Option<Vec<(u32, u32)>> = None;
        let mut length = below;
        for &node in nodes {
            for at in rest.graph.range(node) {
                let arc = &rest.graph.arcs[at];
                let inside = place[arc.to as usize] == place[node as usize];
                let unsure = question.sure && (self.unsure(node) || self.unsure(arc.to));
                if arc.kind != question.first() || !filter.takes(arc) || !inside || unsure {
                    continue;
                }
                let found =
                    self.way_back(question, (node, at as u32), place, length, work, meter)?;
                if let Some(path) = found {
                    length = self.steps(&path).len();
                    best = Some(path);
                }
                if length == SHORTEST || *work == 0 {
                    return Ok(best);
                }
            }
        }
        Ok(best)
    }

    /// The shortest way from the end of an edge back to its beginning, if it makes a cycle of fewer
    /// than `below` transactions.
    fn way_back(
        &mut self,
        question: Question,
        (target, first): (u32, u32),
        place: &[u32],
        below: usize,
        work: &mut u64,
        meter: &mut Meter,
    ) -> Result<Option<Vec<(u32, u32)>>, Stop> {
        let rest = self.rest;
        let graph = &rest.graph;
        let filter = question.filter();
        self.search += 1;
        self.reached.clear();
        let arc = &graph.arcs[first as usize];
        let mut here = Vec::new();
        self.reach(arc.to, question.begin(arc), (NOBODY, first), &mut here);
        let mut steps = 1;
        while !here.is_empty() && steps < below {
            let mut next = Vec::new();
            // Links cost nothing: all that they lead to is as near, and only then comes what is not.
            for helpers in [true, false] {
                let mut at = 0;
                while let Some(&from) = here.get(at) {
                    at += 1;
                    let Reached { node, state, .. } = self.reached[from as usize];
                    if (rest.row[node as usize] == NOBODY) != helpers {
                        continue;
                    }
                    for index in graph.range(node) {
                        meter.tick()?;
                        if *work == 0 {
                            return Ok(None);
                        }
                        *work -= 1;
                        let arc = &graph.arcs[index];
                        let inside = place[arc.to as usize] == place[target as usize];
                        if !inside || !filter.takes(arc) || (question.sure && self.unsure(arc.to)) {
                            continue;
                        }
                        let Some(state) = question.next(state, arc) else {
                            continue;
                        };
                        let link = arc.kind == Kind::Link;
                        if arc.to != target {
                            let into = if link { &mut here } else { &mut next };
                            self.reach(arc.to, state, (from, index as u32), into);
                        } else if question.accepts(state) && steps + usize::from(!link) < below {
                            let path = self.path(target, from, index as u32);
                            if path.is_some() {
                                return Ok(path);
                            }
                        }
                    }
                }
            }
            here = next;
            steps += 1;
        }
        Ok(None)
    }

    fn reach(&mut self, node: u32, state: u8, (from, arc): (u32, u32), into: &mut Vec<u32>) {
        let stamp = &mut self.stamp[node as usize * STATES + state as usize];
        if *stamp != self.search {
            *stamp = self.search;
            into.push(self.reached.len() as u32);
            self.reached.push(Reached {
                node,
                state,
                from,
                arc,
            });
        }
    }

    fn unsure(&self, node: u32) -> bool {
        let row = self.rest.row[node as usize];
        row != NOBODY && self.history.outcome[row as usize] == Outcome::Info
    }

    /// The way as (node, arc) pairs, `None` if it meets a transaction twice.
    fn path(&self, target: u32, last: u32, closing: u32) -> Option<Vec<(u32, u32)>> {
        let mut path = Vec::new();
        let mut at = last;
        let mut arc = closing;
        while at != NOBODY {
            let reached = self.reached[at as usize];
            path.push((reached.node, arc));
            arc = reached.arc;
            at = reached.from;
        }
        path.push((target, arc));
        path.reverse();
        let mut rows: Vec<u32> = self.steps(&path).iter().map(|step| step.0).collect();
        rows.sort_unstable();
        let met = rows.len();
        rows.dedup();
        (rows.len() == met).then_some(path)
    }

    /// (row, row, arc) of each dependency: an edge with the links after it.
    fn steps(&self, path: &[(u32, u32)]) -> Vec<(u32, u32, u32)> {
        let row = |node: u32| self.rest.row[node as usize];
        let mut steps: Vec<(u32, u32, u32)> = Vec::new();
        for &(node, at) in path {
            let arc = &self.rest.graph.arcs[at as usize];
            match steps.last_mut() {
                Some(step) if arc.kind == Kind::Link => step.1 = row(arc.to),
                _ => steps.push((row(node), row(arc.to), at)),
            }
        }
        steps
    }

    fn anomaly(
        &self,
        question: Question,
        path: &[(u32, u32)],
        shortest: bool,
        explain: &dyn Fn(u32, u32, &Arc) -> Step,
    ) -> Anomaly {
        let steps: Vec<Step> = self
            .steps(path)
            .iter()
            .map(|&(from, to, at)| explain(from, to, &self.rest.graph.arcs[at as usize]))
            .collect();
        let mut rows: Vec<u32> = steps.iter().map(|step| step.from).collect();
        let witnesses = steps.iter().flat_map(|step| [step.by, step.also]);
        rows.extend(witnesses.filter(|&by| by != NOBODY));
        rows.sort_unstable();
        rows.dedup();
        Anomaly {
            name: question.name(),
            rows,
            key: Val::NONE,
            value: Val::NONE,
            steps,
            shortest,
        }
    }
}
