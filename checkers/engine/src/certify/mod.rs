//! Certificates: the smallest part of a history that is still illegal, in a form that separate
//! programs can check.
//!
//! Minimising only weakens: a read may go; an update that is not kept may take effect any number of
//! times, or never, at any time that the bounds leave open.

use crate::values::Val;

/// The time of the updates of one class (f, arg) that are not kept is bounded on one side.
#[derive(Clone, Debug)]
pub struct Bound {
    pub f: u16,
    pub arg: Val,
    /// The row that gives the bound.
    pub row: u32,
    /// True: they take effect only after the invocation of `row`; false: only before its return.
    pub first: bool,
}

/// Why an object is illegal.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub key: Val,
    pub model: String,
    /// The history is cut after this position: the return of `blocked`.
    pub end: u32,
    /// Rows that are kept as they are, up to the cut.
    pub kept: Vec<u32>,
    pub bounds: Vec<Bound>,
    /// The row among `kept` whose return is not possible.
    pub blocked: u32,
}
