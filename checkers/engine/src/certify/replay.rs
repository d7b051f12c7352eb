//! Checks a linearization: every operation that must have happened stands in it once, operations
//! that came one after the other stand in that order, and the model allows it from the first to the
//! last. It asks the model alone; a pass over the rows, and one over the order.

use crate::history::History;
use crate::model::{Class, Model, Part, Step};
use crate::planted;
use crate::split::Object;

/// Err says where the order is none.
pub fn replay(
    history: &History,
    model: &dyn Model,
    object: &Object,
    order: &[u32],
) -> Result<(), String> {
    let mut placed = vec![false; history.len()];
    let mut state = model.initial(&history.values);
    let mut next = Vec::new();
    let mut invoked = 0;
    for &row in order {
        let at = row as usize;
        if placed.get(at) != Some(&false) {
            return Err(format!(
                "row {row} stands twice in the order, or there is none"
            ));
        }
        placed[at] = true;
        if planted!("replay-time", history.end(at) < invoked, false) {
            return Err(format!(
                "row {row} had returned before one that stands before it began"
            ));
        }
        invoked = invoked.max(history.inv[at]);
        let class = Class::of(model, history, row as usize);
        if model.part(history, &class) == Part::Drop {
            return Err(format!("row {row} did not happen"));
        }
        next.clear();
        match model.step(history, &state, &class, &mut next) {
            Step::No => return Err(format!("row {row} cannot happen in its place")),
            Step::Same => {}
            Step::To => std::mem::swap(&mut state, &mut next),
        }
    }
    let mut of_object = 0;
    for &row in &object.rows {
        let class = Class::of(model, history, row as usize);
        if placed.get(row as usize) == Some(&true) {
            of_object += 1;
        } else if model.part(history, &class) == Part::Must {
            return Err(format!("row {row} is missing in the order"));
        }
    }
    if of_object != order.len() {
        return Err("the order has rows of another object".to_string());
    }
    Ok(())
}
