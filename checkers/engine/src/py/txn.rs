//! Judging transactions.

use std::sync::Arc;

use pyo3::prelude::*;

use super::guard;
use super::history::PyHistory;
use crate::budget::Budget;
use crate::error::Error;
use crate::txn::{self, txns::Workload};

/// What is wrong with the transactions of a history ("list-append", "rw-register"), as JSON: see
/// `checkers/transactions.py`. Raises ValueError for what is no transaction.
#[pyfunction]
#[pyo3(signature = (history, workload, *, cpu_s=None, memory_bytes=None, watch=None))]
pub fn transactions(
    py: Python<'_>,
    history: &PyHistory,
    workload: &str,
    cpu_s: Option<f64>,
    memory_bytes: Option<usize>,
    watch: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    let workload = match workload {
        "list-append" => Workload::ListAppend,
        "rw-register" => Workload::RwRegister,
        other => {
            let error = Error::new(format!("no workload {other:?}"));
            return Err(guard::to_python(error));
        }
    };
    let cpu_ns = cpu_s.map_or(u64::MAX, |s| (s.max(0.0) * 1e9) as u64);
    let budget = Budget::new(cpu_ns, memory_bytes.unwrap_or(usize::MAX), u64::MAX);
    let inner = Arc::clone(&history.inner);
    guard::run(py, &budget, watch, || {
        let found = txn::judge(&inner, workload, &budget)?;
        Ok(found.json(&inner))
    })
}
