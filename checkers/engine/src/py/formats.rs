//! Reading files.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use super::guard;
use super::history::PyHistory;
use crate::budget::Budget;
use crate::formats::jepsen::store;
use crate::formats::{Format, Options};

/// The history of a file or of a store directory of Jepsen's. `format` is found by content where it is None. Raises ValueError with the
/// place of what is wrong.
#[pyfunction]
#[pyo3(signature = (path, *, format=None, salvage=false, cpu_s=None, memory_bytes=None, watch=None))]
pub fn read(
    py: Python<'_>,
    path: PathBuf,
    format: Option<&str>,
    salvage: bool,
    cpu_s: Option<f64>,
    memory_bytes: Option<usize>,
    watch: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyHistory> {
    let format = format.map(Format::of).transpose();
    let format = format.map_err(guard::to_python)?;
    let cpu_ns = cpu_s.map_or(u64::MAX, |s| (s.max(0.0) * 1e9) as u64);
    let budget = Budget::new(cpu_ns, memory_bytes.unwrap_or(usize::MAX), u64::MAX);
    let options = Options {
        format,
        salvage,
        general: false,
    };
    let inner = guard::run(py, &budget, watch, || store::read(&path, &options, &budget))?;
    Ok(PyHistory {
        inner: Arc::new(inner),
    })
}
