//! A history that lives in the engine, as Python sees it: columns, and values on request.

use std::sync::Arc;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::history::History;
use crate::values::{Look, Val, Values};

/// A history in the engine. Rows are operations, in order of their invocations.
#[pyclass(name = "History", frozen, module = "dissensus.checkers._engine")]
pub struct PyHistory {
    pub inner: Arc<History>,
}

/// A value as a Python object: keywords become strings, sets become lists.
pub fn to_object(py: Python<'_>, values: &Values, value: Val) -> PyResult<Py<PyAny>> {
    use pyo3::types::{PyDict, PyList};
    use pyo3::IntoPyObjectExt;
    Ok(match values.look(value) {
        Look::None | Look::Nil => py.None(),
        Look::Bool(yes) => yes.into_py_any(py)?,
        Look::Int(number) => number.into_py_any(py)?,
        Look::Big(text) => py.get_type::<pyo3::types::PyInt>().call1((text,))?.unbind(),
        Look::Float(number) => number.into_py_any(py)?,
        Look::Str(text) | Look::Keyword(text) => text.into_py_any(py)?,
        Look::List(items) | Look::Set(items) => {
            let list = PyList::empty(py);
            for &item in items {
                list.append(to_object(py, values, item)?)?;
            }
            list.into_any().unbind()
        }
        Look::Map(items) => {
            let dict = PyDict::new(py);
            for pair in items.chunks_exact(2) {
                let key = match values.as_name(pair[0]) {
                    Some(name) => name.into_py_any(py)?,
                    None => values.json(pair[0]).into_py_any(py)?,
                };
                dict.set_item(key, to_object(py, values, pair[1])?)?;
            }
            dict.into_any().unbind()
        }
    })
}

#[pymethods]
impl PyHistory {
    fn __len__(&self) -> usize {
        self.inner.len()
    }

    /// (process, f, key, arg, result, outcome, inv, ret, inv_ns, ret_ns) of a row.
    fn row(&self, py: Python<'_>, row: usize) -> PyResult<Py<PyAny>> {
        use pyo3::IntoPyObjectExt;
        let h = &self.inner;
        if row >= h.len() {
            return Err(PyIndexError::new_err(format!("row {row} of {}", h.len())));
        }
        let object = |value| to_object(py, &h.values, value);
        (
            h.process[row],
            h.f_of(row),
            object(h.key[row])?,
            object(h.arg[row])?,
            object(h.result[row])?,
            h.outcome[row] as u8,
            h.inv[row],
            if h.ret[row] == crate::history::OPEN {
                -1
            } else {
                i64::from(h.ret[row])
            },
            h.inv_ns[row],
            h.ret_ns[row],
        )
            .into_py_any(py)
    }
}
