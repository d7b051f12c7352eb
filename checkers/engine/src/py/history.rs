//! A history that lives in the engine, as Python sees it: columns by the buffer protocol, and values
//! on request. It can also be made from columns that Python holds.

use std::ffi::{c_int, CStr};
use std::sync::Arc;

use pyo3::exceptions::{PyBufferError, PyIndexError, PyKeyError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::history::{History, Outcome, OPEN};
use crate::values::{Look, Val, Values};

/// (name, value, client events before it, time in ns) of what a nemesis did.
type FaultRow = (String, Py<PyAny>, u32, i64);

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

/// Python's interned values as ours: lists, dicts, text, numbers, truth values, None.
fn from_object(object: &Bound<'_, PyAny>, values: &mut Values, depth: usize) -> PyResult<Val> {
    use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
    if depth > DEPTH_MAX {
        return Err(PyValueError::new_err("lists inside each other, too deep"));
    }
    if object.is_none() {
        Ok(Val::NIL)
    } else if let Ok(yes) = object.cast::<PyBool>() {
        Ok(values.boolean(yes.is_true()))
    } else if object.is_instance_of::<PyInt>() {
        match object.extract::<i64>() {
            Ok(number) => Ok(values.int(number)),
            Err(_) => Ok(values.big(object.str()?.to_str()?)),
        }
    } else if let Ok(number) = object.cast::<PyFloat>() {
        Ok(values.float(number.value()))
    } else if let Ok(text) = object.cast::<PyString>() {
        Ok(values.string(text.to_str()?))
    } else if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        let mut items = Vec::new();
        for item in object.try_iter()? {
            items.push(from_object(&item?, values, depth + 1)?);
        }
        Ok(values.list(&items))
    } else if let Ok(dict) = object.cast::<PyDict>() {
        let mut items = Vec::new();
        for (key, value) in dict.iter() {
            items.push(from_object(&key, values, depth + 1)?);
            items.push(from_object(&value, values, depth + 1)?);
        }
        Ok(values.map(&items))
    } else {
        let kind = object.get_type().name()?.to_string();
        Err(PyValueError::new_err(format!(
            "no value of a history: {kind}"
        )))
    }
}

const DEPTH_MAX: usize = 1000;

/// A column of Python's as numbers of ours.
fn numbers<T: pyo3::buffer::Element>(
    py: Python<'_>,
    column: &Bound<'_, PyAny>,
) -> PyResult<Vec<T>> {
    pyo3::buffer::PyBuffer::<T>::get(column)?.to_vec(py)
}

/// The value of each number in a column, by a table of values.
fn looked_up(column: &[i32], table: &[Val]) -> PyResult<Vec<Val>> {
    let get = |&number: &i32| {
        usize::try_from(number)
            .ok()
            .and_then(|n| table.get(n))
            .copied()
    };
    let found: Option<Vec<Val>> = column.iter().map(get).collect();
    found.ok_or_else(|| PyValueError::new_err("a column has a number without a value"))
}

fn position(number: i64) -> PyResult<u32> {
    match number {
        -1 => Ok(OPEN),
        _ => u32::try_from(number)
            .ok()
            .filter(|&number| number < OPEN)
            .ok_or_else(|| PyValueError::new_err("more events than 32 bits can count")),
    }
}

/// A column of a history, by the buffer protocol. Positions of returns are -1 while open.
#[pyclass(frozen, module = "dissensus.checkers._engine")]
pub struct Column {
    history: Arc<History>,
    name: ColumnName,
    shape: [isize; 1],
    strides: [isize; 1],
}

#[derive(Clone, Copy)]
enum ColumnName {
    Process,
    F,
    Key,
    Arg,
    Result,
    Outcome,
    Inv,
    Ret,
    InvNs,
    RetNs,
    Node,
    Error,
    Hint,
}

impl ColumnName {
    fn of(name: &str) -> Option<ColumnName> {
        use ColumnName::*;
        Some(match name {
            "process" => Process,
            "f" => F,
            "key" => Key,
            "arg" => Arg,
            "result" => Result,
            "outcome" => Outcome,
            "inv" => Inv,
            "ret" => Ret,
            "inv_ns" => InvNs,
            "ret_ns" => RetNs,
            "node" => Node,
            "error" => Error,
            "hint" => Hint,
            _ => return None,
        })
    }

    /// Where the column lies, how many elements it has, how large one is, and its format.
    fn parts(self, h: &History) -> (*const u8, usize, usize, &'static CStr) {
        fn of<T>(column: &[T], format: &'static CStr) -> (*const u8, usize, usize, &'static CStr) {
            (column.as_ptr().cast(), column.len(), size_of::<T>(), format)
        }
        match self {
            ColumnName::Process => of(&h.process, c"I"),
            ColumnName::F => of(&h.f, c"H"),
            ColumnName::Key => of(&h.key, c"I"),
            ColumnName::Arg => of(&h.arg, c"I"),
            ColumnName::Result => of(&h.result, c"I"),
            ColumnName::Outcome => of(&h.outcome, c"B"),
            ColumnName::Inv => of(&h.inv, c"i"),
            ColumnName::Ret => of(&h.ret, c"i"),
            ColumnName::InvNs => of(&h.inv_ns, c"q"),
            ColumnName::RetNs => of(&h.ret_ns, c"q"),
            ColumnName::Node => of(&h.node, c"I"),
            ColumnName::Error => of(&h.error, c"I"),
            ColumnName::Hint => of(&h.hint, c"q"),
        }
    }
}

#[pymethods]
impl Column {
    // SAFETY: CPython calls this with a valid `view` to fill in, or with null.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view"));
        }
        if flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE {
            return Err(PyBufferError::new_err("a history does not change"));
        }
        let column = slf.get();
        let (start, len, size, format) = column.name.parts(&column.history);
        // SAFETY: `view` is valid. The column is in an `Arc<History>` that nothing changes and that
        // `obj` keeps alive; `shape` and `strides` lie in the same frozen object.
        unsafe {
            (*view).buf = start.cast_mut().cast();
            (*view).len = (len * size) as isize;
            (*view).readonly = 1;
            (*view).itemsize = size as isize;
            (*view).format = if flags & ffi::PyBUF_FORMAT == ffi::PyBUF_FORMAT {
                format.as_ptr().cast_mut()
            } else {
                std::ptr::null_mut()
            };
            (*view).ndim = 1;
            (*view).shape = column.shape.as_ptr().cast_mut();
            (*view).strides = column.strides.as_ptr().cast_mut();
            (*view).suboffsets = std::ptr::null_mut();
            (*view).internal = std::ptr::null_mut();
            (*view).obj = slf.clone().into_any().into_ptr();
        }
        Ok(())
    }
}

#[pymethods]
impl PyHistory {
    /// A history from Python's columns (`harness.history.History`): arrays of numbers, and the
    /// values that those of `key`, `arg` and `result` stand for.
    #[new]
    #[pyo3(signature = (columns, values, keys, fs, nodes))]
    fn new(
        py: Python<'_>,
        columns: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
        keys: &Bound<'_, PyAny>,
        fs: Vec<String>,
        nodes: &Bound<'_, PyAny>,
    ) -> PyResult<PyHistory> {
        let column = |name: &str| columns.get_item(name);
        let mut h = History {
            fs,
            ..History::default()
        };
        let table = |of: &Bound<'_, PyAny>, values: &mut Values| -> PyResult<Vec<Val>> {
            of.try_iter()?
                .map(|item| from_object(&item?, values, 0))
                .collect()
        };
        let vals = table(values, &mut h.values)?;
        let none = |val: Val| if val.is_nil() { Val::NONE } else { val };
        let keys: Vec<Val> = table(keys, &mut h.values)?.into_iter().map(none).collect();
        let nodes: Vec<Val> = table(nodes, &mut h.values)?.into_iter().map(none).collect();
        let process: Vec<i32> = numbers(py, &column("process")?)?;
        h.process = process.iter().map(|&number| number as u32).collect();
        h.f = numbers(py, &column("f")?)?;
        h.key = looked_up(&numbers::<i32>(py, &column("key")?)?, &keys)?;
        h.arg = looked_up(&numbers::<i32>(py, &column("arg")?)?, &vals)?;
        h.result = looked_up(&numbers::<i32>(py, &column("result")?)?, &vals)?;
        // Nodes and errors are names of one table.
        let named = |name: &str| -> PyResult<Vec<Val>> {
            let found: Vec<i16> = numbers(py, &column(name)?)?;
            let found: Vec<i32> = found.into_iter().map(i32::from).collect();
            looked_up(&found, &nodes)
        };
        h.node = named("node")?;
        h.error = named("error")?;
        let outcomes: Vec<u8> = numbers(py, &column("outcome")?)?;
        h.outcome = outcomes
            .iter()
            .map(|&code| match code {
                1 => Outcome::Ok,
                2 => Outcome::Fail,
                _ => Outcome::Info,
            })
            .collect();
        let place = |name: &str| -> PyResult<Vec<u32>> {
            let positions: Vec<i64> = numbers(py, &column(name)?)?;
            positions.into_iter().map(position).collect()
        };
        h.inv = place("inv")?;
        h.ret = place("ret")?;
        h.inv_ns = numbers(py, &column("t_inv")?)?;
        h.ret_ns = numbers(py, &column("t_ret")?)?;
        let rows = h.process.len();
        let lengths = [
            h.f.len(),
            h.key.len(),
            h.arg.len(),
            h.result.len(),
            h.outcome.len(),
        ];
        let more = [
            h.inv.len(),
            h.ret.len(),
            h.inv_ns.len(),
            h.ret_ns.len(),
            h.node.len(),
            h.error.len(),
        ];
        if lengths.iter().chain(&more).any(|&len| len != rows) {
            return Err(PyValueError::new_err("columns of different lengths"));
        }
        if h.f.iter().any(|&f| usize::from(f) >= h.fs.len()) {
            return Err(PyValueError::new_err(
                "a column has a number without a name",
            ));
        }
        for row in 0..rows {
            if h.ret[row] == OPEN {
                h.result[row] = Val::NONE;
            } else {
                h.events = h.events.max(h.ret[row] + 1);
            }
            h.events = h.events.max(h.inv[row].saturating_add(1));
        }
        Ok(PyHistory { inner: Arc::new(h) })
    }

    /// A column: "process", "f", "key", "arg", "result", "outcome", "inv", "ret", "inv_ns",
    /// "ret_ns", or "node", "error", "hint", which can be empty.
    fn column(&self, name: &str) -> PyResult<Column> {
        let Some(column) = ColumnName::of(name) else {
            return Err(PyKeyError::new_err(name.to_string()));
        };
        let (_, len, size, _) = column.parts(&self.inner);
        Ok(Column {
            history: self.inner.clone(),
            name: column,
            shape: [len as isize],
            strides: [size as isize],
        })
    }

    /// Names of operations; the column "f" has places in it.
    fn fs(&self) -> Vec<String> {
        self.inner.fs.clone()
    }

    /// The value of a number in the columns "key", "arg", "result", "node", "error".
    fn value(&self, py: Python<'_>, number: u32) -> PyResult<Py<PyAny>> {
        let value = Val(number);
        if !self.inner.values.has(value) {
            return Err(PyIndexError::new_err(format!("there is no value {number}")));
        }
        to_object(py, &self.inner.values, value)
    }

    /// Name of the format that it was read from.
    #[getter]
    fn format(&self) -> &'static str {
        self.inner.format
    }

    /// (model, reason) of what its operations look like; the model is "" where none has them.
    #[getter]
    fn guess(&self) -> (&str, &str) {
        (&self.inner.guess.model, &self.inner.guess.reason)
    }

    /// Its values were `[key value]`, as jepsen.independent has them, and were made keys and values.
    #[getter]
    fn lifted(&self) -> bool {
        self.inner.lifted
    }

    /// Offset at which the file was cut off; None where it was whole.
    #[getter]
    fn cut(&self) -> Option<u64> {
        self.inner.cut
    }

    /// (offset in the file, client events before it, rule, text) of all that was left out.
    #[getter]
    fn holes(&self) -> Vec<(u64, u32, &'static str, &str)> {
        let holes = self.inner.holes.iter();
        holes
            .map(|hole| (hole.at, hole.position, hole.rule, hole.text.as_str()))
            .collect()
    }

    /// (name, value, client events before it, time in ns) of all that a nemesis did.
    #[getter]
    fn faults(&self, py: Python<'_>) -> PyResult<Vec<FaultRow>> {
        let faults = self.inner.faults.iter();
        faults
            .map(|fault| {
                let value = to_object(py, &self.inner.values, fault.value)?;
                Ok((fault.f.clone(), value, fault.position, fault.time_ns))
            })
            .collect()
    }

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
