//! Writing histories in other forms, and explaining what is odd about them.

use std::path::PathBuf;

use pyo3::prelude::*;

use super::guard;
use super::history::PyHistory;
use crate::budget::Budget;
use crate::error::Error;
use crate::formats::jepsen::store;
use crate::formats::write::{write_file, Form};
use crate::formats::{Format, Options, Source};
use crate::lint as rules;

fn budget_of(cpu_s: Option<f64>, memory_bytes: Option<usize>) -> Budget {
    let cpu_ns = cpu_s.map_or(u64::MAX, |s| (s.max(0.0) * 1e9) as u64);
    Budget::new(cpu_ns, memory_bytes.unwrap_or(usize::MAX), u64::MAX)
}

/// Write a history into a new file: "jsonl", "edn" or "json" (elle-cli's), by its name where `form`
/// is None. Returns (form, events). Raises ValueError where the file is there already.
#[pyfunction]
#[pyo3(signature = (history, path, *, form=None, cpu_s=None, memory_bytes=None))]
pub fn write(
    py: Python<'_>,
    history: &PyHistory,
    path: PathBuf,
    form: Option<&str>,
    cpu_s: Option<f64>,
    memory_bytes: Option<usize>,
) -> PyResult<(&'static str, u64)> {
    let located = |error: Error| Error {
        stop: error.stop,
        ..Error::new(error.in_file(&path.to_string_lossy()))
    };
    let form = match form {
        Some(name) => Form::of(name),
        None => Form::of_path(&path).map_err(located),
    };
    let form = form.map_err(guard::to_python)?;
    let budget = budget_of(cpu_s, memory_bytes);
    let events = guard::run(py, &budget, None, || {
        write_file(&history.inner, form, &path, &budget).map_err(located)
    })?;
    Ok((form.name(), events))
}

/// What the columns of a history show, as a JSON array of findings, the gravest first.
#[pyfunction]
#[pyo3(signature = (history, *, cpu_s=None, memory_bytes=None))]
pub fn lint(
    py: Python<'_>,
    history: &PyHistory,
    cpu_s: Option<f64>,
    memory_bytes: Option<usize>,
) -> PyResult<String> {
    let budget = budget_of(cpu_s, memory_bytes);
    guard::run(py, &budget, None, || {
        Ok(rules::json(&rules::of_history(&history.inner, &budget)?))
    })
}

/// What a file, or the best file of a store directory, shows: a JSON array of findings, with lines.
#[pyfunction]
#[pyo3(signature = (path, *, format=None, cpu_s=None, memory_bytes=None))]
pub fn lint_file(
    py: Python<'_>,
    path: PathBuf,
    format: Option<&str>,
    cpu_s: Option<f64>,
    memory_bytes: Option<usize>,
) -> PyResult<String> {
    let format = format.map(Format::of).transpose();
    let options = Options {
        format: format.map_err(guard::to_python)?,
        ..Options::default()
    };
    let budget = budget_of(cpu_s, memory_bytes);
    guard::run(py, &budget, None, || {
        let place = store::find(&path, &budget)?;
        let found = rules::of_file(Source::Path(&place.file), &options, &budget);
        let (found, _) = found.map_err(|error| place.located(error))?;
        Ok(rules::json(&found))
    })
}

/// What the file says of its test: (name, workload, label, file of the store directory).
#[pyfunction]
pub fn about(history: &PyHistory) -> [Option<String>; 4] {
    let about = &history.inner.about;
    [&about.name, &about.workload, &about.valid, &about.file].map(Clone::clone)
}
