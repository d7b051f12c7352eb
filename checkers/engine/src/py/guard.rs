//! Long calls: without the GIL, interruptible, and with panics turned into errors.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::time::Duration;

use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;

use crate::budget::{Budget, Stop};
use crate::error::Error;

/// How often signals are looked after: Ctrl-C must return within 0.1 s.
const SIGNALS_EVERY: Duration = Duration::from_millis(20);
/// A deep recursion must end in an error of ours, not in a dead process.
const STACK_BYTES: usize = 64 << 20;

/// Run `work` in a thread of its own and wait for it, looking after signals. A signal's exception is
/// raised after the work has stopped. `watch`, where given, is called with (operations, keys done,
/// keys, configurations) each time.
pub fn run<T: Send>(
    py: Python<'_>,
    budget: &Budget,
    watch: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    let watch = watch.map(|watch| watch.clone().unbind());
    py.detach(|| {
        let (done, answer) = channel();
        std::thread::scope(|scope| {
            let spawned = std::thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, move || {
                    let result = catch_unwind(AssertUnwindSafe(work));
                    let _ = done.send(result);
                });
            if let Err(error) = spawned {
                return Err(PyRuntimeError::new_err(format!(
                    "no thread for the engine: {error}"
                )));
            }
            loop {
                match answer.recv_timeout(SIGNALS_EVERY) {
                    Ok(Ok(result)) => return result.map_err(to_python),
                    Ok(Err(panic)) => return Err(PyRuntimeError::new_err(text_of(&*panic))),
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(PyRuntimeError::new_err("the engine's thread is gone"));
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        let signal = Python::attach(|py| {
                            py.check_signals()?;
                            if let Some(watch) = &watch {
                                let p = budget.progress();
                                use std::sync::atomic::Ordering::Relaxed;
                                watch.call1(
                                    py,
                                    (
                                        p.operations.load(Relaxed),
                                        p.keys_done.load(Relaxed),
                                        p.keys.load(Relaxed),
                                        p.configurations.load(Relaxed),
                                    ),
                                )?;
                            }
                            Ok(())
                        });
                        if let Err(error) = signal {
                            budget.cancel();
                            let _ = answer.recv();
                            return Err(error);
                        }
                    }
                }
            }
        })
    })
}

/// An error of the engine's as a ValueError, which the Python side turns into a UserError.
/// What stopped at a bound is a MemoryError or a TimeoutError.
pub fn to_python(error: Error) -> PyErr {
    let text = error.to_string();
    match error.stop {
        None | Some(Stop::Interrupted) => PyValueError::new_err(text),
        Some(Stop::Memory) => PyMemoryError::new_err(text),
        Some(Stop::Time | Stop::Configurations) => PyTimeoutError::new_err(text),
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    format!("the native engine failed, please report this: {text}")
}
