//! The models, by name: a line of `make` each, a file for each family.

use crate::error::{Error, Result};
use crate::model::Judge;
use crate::spec::Spec;

/// The model of a name. Err names what is wrong with it.
pub fn make(spec: &Spec) -> Result<Judge> {
    Err(Error::new(format!("there is no model {:?}", spec.name)))
}
