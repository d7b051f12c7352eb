//! The module `dissensus.checkers._engine`: what Python sees of the engine.
//!
//! Every call that can take long runs in a thread of its own without the GIL, while the caller
//! looks after signals: Ctrl-C cancels it. No panic reaches Python as one.

mod check;
mod convert;
mod formats;
mod guard;
mod history;
mod model;
mod summary;
mod txn;

use pyo3::prelude::*;

#[pymodule(name = "_engine")]
mod engine {
    #[pymodule_export]
    use super::check::check;
    #[pymodule_export]
    use super::convert::{about, lint, lint_file, write};
    #[pymodule_export]
    use super::formats::read;
    #[pymodule_export]
    use super::history::{Column, PyHistory};
    #[pymodule_export]
    use super::summary::summary;
    #[pymodule_export]
    use super::txn::transactions;

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
