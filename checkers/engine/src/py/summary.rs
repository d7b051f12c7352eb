//! Figures of a history.

use std::sync::Arc;

use pyo3::prelude::*;

use super::guard;
use super::history::PyHistory;
use crate::budget::Budget;
use crate::error::Error;
use crate::summary::Summary;

/// Counts, times, and whether reads saw what was written, as JSON: {"by_f": [[name, ok, info,
/// fail]], "first_ns", "last_ns", "read_saw_write"}.
#[pyfunction]
pub fn summary(py: Python<'_>, history: &PyHistory) -> PyResult<String> {
    let inner = Arc::clone(&history.inner);
    let budget = Budget::unlimited();
    guard::run(py, &budget, None, || {
        let found = Summary::of(&inner, &mut budget.meter());
        let stopped = |why: crate::budget::Stop| Error::new(why.text());
        found.map(|found| found.json(&inner)).map_err(stopped)
    })
}
