//! The transactions of a history as flat micro-operations, with dense numbers for keys.

use rustc_hash::FxHashMap;

use crate::error::{Error, Result};
use crate::history::{History, Outcome};
use crate::values::{Look, Val};

/// No transaction, no micro-operation.
pub const NOBODY: u32 = u32::MAX;
/// A value that several micro-operations write: who wrote what was read is not known.
pub const SEVERAL: u32 = u32::MAX - 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// `[:append k v]` and `[:r k [v ...]]`.
    ListAppend,
    /// `[:w k v]` and `[:r k v]`.
    RwRegister,
}

impl Workload {
    pub fn name(self) -> &'static str {
        match self {
            Workload::ListAppend => "list-append",
            Workload::RwRegister => "rw-register",
        }
    }
}

/// Transactions have the numbers of their rows; micro-operations are numbered through.
pub struct Txns {
    pub workload: Workload,
    /// Row -> its first micro-operation; one more entry than rows.
    pub start: Vec<u32>,
    /// Micro-operation -> its row.
    pub owner: Vec<u32>,
    /// Micro-operation -> dense number of its key.
    pub key: Vec<u32>,
    /// What was written or read; a list, or `NIL` for an empty one, for reads of lists.
    pub value: Vec<Val>,
    pub is_write: Vec<bool>,
    pub outcome: Vec<Outcome>,
    /// Dense number -> key.
    pub keys: Vec<Val>,
    /// (key, value) -> the micro-operation that writes it, or `SEVERAL`.
    writers: FxHashMap<(u32, Val), u32>,
    /// Write -> the next write of the same transaction to the same key, or `NOBODY`.
    pub later: Vec<u32>,
}

impl Txns {
    /// Read the transactions. Reads of transactions that did not complete are left out: their
    /// results are not known.
    pub fn read(history: &History, workload: Workload) -> Result<Txns> {
        if history.len() >= SEVERAL as usize / 8 {
            return Err(Error::new(format!(
                "{} transactions are too many",
                history.len()
            )));
        }
        let mut txns = Txns {
            workload,
            start: Vec::with_capacity(history.len() + 1),
            owner: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
            is_write: Vec::new(),
            outcome: history.outcome.clone(),
            keys: Vec::new(),
            writers: FxHashMap::default(),
            later: Vec::new(),
        };
        txns.start.push(0);
        let mut dense: FxHashMap<Val, u32> = FxHashMap::default();
        let mut names: Vec<(Val, bool)> = Vec::new();
        for row in 0..history.len() {
            txns.take(history, row, &mut dense, &mut names)?;
            txns.start.push(txns.owner.len() as u32);
        }
        txns.chain();
        Ok(txns)
    }

    fn take(
        &mut self,
        history: &History,
        row: usize,
        dense: &mut FxHashMap<Val, u32>,
        names: &mut Vec<(Val, bool)>,
    ) -> Result<()> {
        let ok = self.outcome[row] == Outcome::Ok;
        let values = &history.values;
        let workload = self.workload;
        let whole = if ok && values.as_list(history.result[row]).is_some() {
            history.result[row]
        } else {
            history.arg[row]
        };
        let wrong =
            |what: Val| {
                Error::new(format!(
                "row {row}: a transaction is a list of [:{} KEY VALUE] and [:r KEY VALUE], not {}",
                if workload == Workload::ListAppend { "append" } else { "w" },
                short(&values.json(what))
            ))
            };
        let Some(ops) = values.as_list(whole) else {
            return Err(wrong(whole));
        };
        for &op in ops {
            let Some(&[name, key, value]) = values.as_list(op) else {
                return Err(wrong(op));
            };
            let known = names.iter().find(|(seen, _)| *seen == name).copied();
            let writes = match known {
                Some((_, writes)) => writes,
                None => {
                    let writes = match (values.as_name(name), self.workload) {
                        (Some("r" | "read"), _) => false,
                        (Some("append" | "a"), Workload::ListAppend) => true,
                        (Some("w" | "write"), Workload::RwRegister) => true,
                        _ => return Err(wrong(op)),
                    };
                    names.push((name, writes));
                    writes
                }
            };
            if !writes && !ok {
                continue;
            }
            let readable = self.workload == Workload::RwRegister
                || matches!(values.look(value), Look::Nil | Look::List(_));
            if !writes && !readable {
                return Err(wrong(op));
            }
            self.push(row as u32, key, value, writes, dense);
        }
        Ok(())
    }

    fn push(
        &mut self,
        row: u32,
        key: Val,
        value: Val,
        writes: bool,
        dense: &mut FxHashMap<Val, u32>,
    ) {
        let next = dense.len() as u32;
        let key = *dense.entry(key).or_insert_with(|| {
            self.keys.push(key);
            next
        });
        let op = self.owner.len() as u32;
        self.owner.push(row);
        self.key.push(key);
        self.value.push(value);
        self.is_write.push(writes);
        if writes {
            self.writers
                .entry((key, value))
                .and_modify(|writer| *writer = SEVERAL)
                .or_insert(op);
        }
    }

    /// Number of transactions.
    pub fn len(&self) -> usize {
        self.outcome.len()
    }

    pub fn is_empty(&self) -> bool {
        self.outcome.is_empty()
    }

    /// The micro-operations of a transaction.
    pub fn ops(&self, row: u32) -> std::ops::Range<usize> {
        self.start[row as usize] as usize..self.start[row as usize + 1] as usize
    }

    /// The micro-operation that writes `value` to `key`; `NOBODY`, `SEVERAL`.
    pub fn writer(&self, key: u32, value: Val) -> u32 {
        self.writers.get(&(key, value)).copied().unwrap_or(NOBODY)
    }

    /// The outcome of a micro-operation's transaction.
    pub fn outcome_of(&self, op: u32) -> Outcome {
        self.outcome[self.owner[op as usize] as usize]
    }

    pub fn owner_of(&self, op: u32) -> u32 {
        self.owner[op as usize]
    }

    /// Whether a later write of the same transaction to the same key makes this one intermediate.
    pub fn is_intermediate(&self, op: u32) -> bool {
        self.later[op as usize] != NOBODY
    }

    /// Note for each write the next one of the same transaction to the same key.
    fn chain(&mut self) {
        self.later = vec![NOBODY; self.owner.len()];
        let mut next = vec![NOBODY; self.keys.len()];
        for op in (0..self.owner.len()).rev() {
            if !self.is_write[op] {
                continue;
            }
            let slot = &mut next[self.key[op] as usize];
            if *slot != NOBODY && self.owner[*slot as usize] == self.owner[op] {
                self.later[op] = *slot;
            }
            *slot = op as u32;
        }
    }

    /// Micro-operations of each key, in order: (first entries, micro-operations).
    pub fn by_key(&self) -> (Vec<u32>, Vec<u32>) {
        let mut start = vec![0u32; self.keys.len() + 1];
        for &key in &self.key {
            start[key as usize + 1] += 1;
        }
        for key in 0..self.keys.len() {
            start[key + 1] += start[key];
        }
        let mut fill = start.clone();
        let mut ops = vec![0u32; self.key.len()];
        for (op, &key) in self.key.iter().enumerate() {
            ops[fill[key as usize] as usize] = op as u32;
            fill[key as usize] += 1;
        }
        (start, ops)
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_string(),
    }
}
