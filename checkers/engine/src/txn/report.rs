//! What the analysis of transactions finds, and its JSON.

use std::fmt::Write;

use super::graph::Kind;
use super::txns::{Txns, NOBODY};
use crate::budget::Stop;
use crate::history::History;
use crate::values::{json_string, Val};

/// One step of a cycle: why `from` comes before `to`.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub from: u32,
    pub to: u32,
    pub kind: Kind,
    pub key: Val,
    /// The version that `from` wrote (ww, wr) or read (rw): its last element, for lists. `NONE` is
    /// the initial version.
    pub value: Val,
    /// The version that `to` wrote (ww, rw).
    pub next: Val,
    /// The row whose read shows that `value` came before `next`, `NOBODY` where no read saw `next`.
    pub by: u32,
    /// The other row that shows it, for "process" and "realtime": `by` knew `value`, and came before
    /// this one, which knew `next`.
    pub also: u32,
    /// How the order of the two versions is known: "read" (one list shows both), "unseen" (no list
    /// shows `next`), "initial" (nothing comes before the initial version), "update" (`by` read the
    /// one and wrote the other), "process", "realtime"; empty where no order of versions is needed.
    pub why: &'static str,
}

#[derive(Clone, Debug)]
pub struct Anomaly {
    /// "G-single-item-realtime", "internal" ...
    pub name: String,
    /// The rows that show it, in order.
    pub rows: Vec<u32>,
    pub key: Val,
    pub value: Val,
    pub steps: Vec<Step>,
    /// A cycle is one of the shortest of its kind in its component.
    pub shortest: bool,
}

/// What was found in one history.
pub struct Found {
    pub transactions: u32,
    pub edges: u32,
    pub components: u32,
    pub visited: u64,
    pub anomalies: Vec<Anomaly>,
    /// Names of the anomalies that the best order of versions has; where the versions are known, the
    /// anomalies themselves. What none of these breaks does hold.
    pub possible: Vec<String>,
    /// Why `possible` says nothing; empty where it does.
    pub unknown: String,
    /// Rows in a serial order.
    pub order: Option<Vec<u32>>,
    /// The order keeps real time.
    pub strict: bool,
}

impl Found {
    pub fn new(txns: &Txns) -> Found {
        Found {
            transactions: txns.len() as u32,
            edges: 0,
            components: 0,
            visited: 0,
            anomalies: Vec::new(),
            possible: Vec::new(),
            unknown: String::new(),
            order: None,
            strict: false,
        }
    }

    /// Over its budget.
    pub fn stopped(txns: &Txns, stop: Stop) -> Found {
        let mut found = Found::new(txns);
        found.unknown = format!("the budget of {} is spent", stop.text());
        found
    }

    /// What was found is possible.
    pub fn name_possible(&mut self) {
        let names = self.anomalies.iter().map(|anomaly| anomaly.name.clone());
        self.possible.extend(names);
        self.possible.sort_unstable();
        self.possible.dedup();
    }

    pub fn json(&self, history: &History) -> String {
        let mut out = String::new();
        let _ = write!(
            out,
            "{{\"transactions\":{},\"edges\":{},\"components\":{},\"visited\":{},\"strict\":{}",
            self.transactions, self.edges, self.components, self.visited, self.strict
        );
        out.push_str(",\"unknown\":");
        json_string(&self.unknown, &mut out);
        out.push_str(",\"order\":");
        match &self.order {
            None => out.push_str("null"),
            Some(order) => numbers(order, &mut out),
        }
        out.push_str(",\"possible\":[");
        for (i, name) in self.possible.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            json_string(name, &mut out);
        }
        out.push_str("],\"anomalies\":[");
        for (i, anomaly) in self.anomalies.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            anomaly.write_json(history, &mut out);
        }
        out.push_str("]}");
        out
    }
}

impl Step {
    /// A step of which no more is known than its edge.
    pub fn bare(from: u32, to: u32, kind: Kind) -> Step {
        Step {
            from,
            to,
            kind,
            key: Val::NONE,
            value: Val::NONE,
            next: Val::NONE,
            by: NOBODY,
            also: NOBODY,
            why: "",
        }
    }
}

impl Anomaly {
    fn write_json(&self, history: &History, out: &mut String) {
        let values = &history.values;
        out.push_str("{\"name\":");
        json_string(&self.name, out);
        out.push_str(",\"rows\":");
        numbers(&self.rows, out);
        out.push_str(",\"key\":");
        values.write_json(self.key, out);
        out.push_str(",\"value\":");
        values.write_json(self.value, out);
        let _ = write!(out, ",\"shortest\":{},\"steps\":[", self.shortest);
        for (i, step) in self.steps.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            let _ = write!(
                out,
                "{{\"from\":{},\"to\":{},\"edge\":\"{}\",\"why\":\"{}\"",
                step.from,
                step.to,
                step.kind.name(),
                step.why
            );
            for (name, row) in [("by", step.by), ("also", step.also)] {
                let _ = match row {
                    NOBODY => write!(out, ",\"{name}\":null"),
                    row => write!(out, ",\"{name}\":{row}"),
                };
            }
            for (name, value) in [
                ("key", step.key),
                ("value", step.value),
                ("next", step.next),
            ] {
                let _ = write!(out, ",\"{name}\":");
                values.write_json(value, out);
            }
            out.push('}');
        }
        out.push_str("]}");
    }
}

fn numbers(rows: &[u32], out: &mut String) {
    out.push('[');
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        let _ = write!(out, "{row}");
    }
    out.push(']');
}
