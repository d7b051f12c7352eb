//! Reading files.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use super::guard;
use super::history::PyHistory;
use crate::budget::Budget;
use crate::formats::jepsen::store;
use crate::formats::{self, Format, Options};
use crate::spec::Spec;

/// The history of a file or of a store directory of Jepsen's. `format` is found by content where it
/// is None. `model` is what it will be judged by, None for the model that is guessed: where its
/// values are those of jepsen.independent and that model has keys, they are lifted. Raises
/// ValueError with the place of what is wrong, MemoryError or TimeoutError beyond the bounds.
#[pyfunction]
#[pyo3(signature = (path, *, format=None, salvage=false, model=None, cpu_s=None, memory_bytes=None,
    watch=None))]
#[allow(clippy::too_many_arguments)] // Python gives them by name.
pub fn read(
    py: Python<'_>,
    path: PathBuf,
    format: Option<&str>,
    salvage: bool,
    model: Option<&str>,
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
    let model = model.map(Spec::parse).transpose();
    let model = model.map_err(guard::to_python)?;
    let inner = guard::run(py, &budget, watch, || {
        let mut history = store::read(&path, &options, &budget)?;
        formats::prepare(&mut history, model.as_ref());
        Ok(history)
    })?;
    Ok(PyHistory {
        inner: Arc::new(inner),
    })
}
