//! placeholder
use super::report::Found;
use super::txns::Txns;
use crate::budget::{Meter, Stop};
use crate::history::History;
pub fn judge(_: &History, txns: &Txns, _: &mut Meter) -> Result<Found, Stop> {
    Ok(Found::new(txns))
}
