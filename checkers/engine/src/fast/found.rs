//! What an algorithm finds out of one cut, and how that becomes the answer of the whole object.

use crate::budget::{Meter, Stop};
use crate::fast::cut::{self, Cut};
use crate::history::History;
use crate::model::Fast;
use crate::split::Object;
use crate::verdict::Answer;

pub enum Found {
    /// An order.
    Legal(Vec<u32>),
    /// Rows that show why there is none.
    Illegal(Vec<u32>),
    /// The condition of the algorithm does not hold.
    Unsure,
}

/// Judge the whole object, and where it is illegal, find the first return by which it is.
pub fn judge(
    name: &'static str,
    history: &History,
    object: &Object,
    meter: &mut Meter,
    mut find: impl FnMut(Cut, &mut Meter) -> Result<Found, Stop>,
) -> Result<Fast, Stop> {
    let whole = Cut::whole(history, object);
    match find(whole, meter)? {
        Found::Legal(rows) => return Ok(Some((name, Answer::Legal(rows)))),
        Found::Unsure => return Ok(None),
        Found::Illegal(_) => {}
    }
    let core = cut::first_blocked(whole, meter, |cut, meter| {
        Ok(match find(cut, meter)? {
            Found::Illegal(rows) => Some(rows),
            Found::Legal(_) | Found::Unsure => None,
        })
    })?;
    Ok(core.map(|core| (name, Answer::Illegal(core))))
}
