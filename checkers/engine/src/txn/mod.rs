//! Transactions: dependency graphs, anomalies, serial orders.
//!
//! ```text
//!  History ─► txns (flat micro-operations) ─► list | register ─► graph ─► order: one pass that ends
//!             with a serial order, or leaves a rest ─► cycles: the shortest of each kind in the rest
//! ```
//! What the anomalies say of isolation levels is for the lattice on the Python side: here stand
//! only facts, each with the rows that show it.

pub mod cycles;
pub mod fractured;
pub mod graph;
pub mod list;
pub mod order;
pub mod register;
pub mod report;
pub mod scan;
pub mod serial;
pub mod txns;
pub mod versions;

#[cfg(test)]
mod tests;

use crate::budget::{Budget, Stop};
use crate::error::{Error, Result};
use crate::history::History;
use report::Found;
use txns::{Txns, Workload};

/// Judge the transactions of a history.
pub fn judge(history: &History, workload: Workload, budget: &Budget) -> Result<Found> {
    let txns = Txns::read(history, workload)?;
    let mut meter = budget.meter();
    let found = match workload {
        Workload::ListAppend => list::judge(history, &txns, &mut meter),
        Workload::RwRegister => register::judge(history, &txns, &mut meter),
    };
    match found {
        Ok(found) => Ok(found),
        Err(Stop::Interrupted) => Err(Error::new("interrupted")),
        Err(stop) => Ok(Found::stopped(&txns, stop)),
    }
}
