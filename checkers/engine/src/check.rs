//! One question answered: split, choose the algorithm, search, certify, keys in parallel.

use crate::budget::Budget;
use crate::certify::Certificate;
use crate::error::{Error, Result};
use crate::history::History;
use crate::model::Model;
use crate::verdict::Keyed;

/// How a check is done, beside its budget.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads; 0 is one for each core.
    pub threads: usize,
    /// Never a polynomial algorithm: only the general search.
    pub search_only: bool,
    /// Look first for reads of values that nobody wrote.
    pub prepass: bool,
    /// Minimise what is illegal, at most for so many keys.
    pub certificates: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            threads: 0,
            search_only: false,
            prepass: true,
            certificates: 3,
        }
    }
}

/// What a check found.
pub struct Report {
    pub model: String,
    pub objects: Vec<Keyed>,
    pub certificates: Vec<Certificate>,
    pub configurations: u64,
}

/// Judge every object of the history. Err for operations that the model does not have.
pub fn check(
    _history: &History,
    _model: &dyn Model,
    _options: &Options,
    _budget: &Budget,
) -> Result<Report> {
    Err(Error::new("not built yet"))
}
