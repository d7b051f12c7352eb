//! The native history checker of Dissensus: it parses, interns, splits, checks, minimises and
//! verifies without a Python object per operation.
//!
//! ```text
//!  formats ─► History (columns) ─► split ─► fast | search ─► Answer ─► certify ─► JSON for Python
//!                                └► txn
//! ```

pub mod budget;
pub mod certify;
pub mod check;
pub mod error;
pub mod fast;
pub mod formats;
pub mod history;
pub mod lint;
pub mod model;
pub mod models;
pub mod planted;
pub mod search;
pub mod spec;
pub mod split;
pub mod summary;
pub mod txn;
pub mod values;
pub mod verdict;

#[cfg(feature = "python")]
mod py;
