//! FIFO queue, every element put once, in the time of a sort.
//!
//! Element a has to go before b where a's put, or a's take, returned before b's was invoked (what is
//! never taken goes after all that is). The history is legal iff no take precedes its put, no two
//! elements have to go before each other, and every take that found nothing has a gap in which no
//! element is in for certain (Gibbons, Bruno, Phillips 2002; Bouajjani et al. 2015).
//!
//! The order is found greedily. Among the elements that are left, let e be the first whose put
//! returned and d the first whose take returned. Nothing goes before e by its put; if something does
//! by its take, d does. Likewise d, and e by its put. So e can go next, or d can, or the two have to
//! go before each other. Gaps of empty takes cut the history into segments, each with an order of
//! its own. For times of put and take, an element's put counts as returned once its take has, and
//! its take as invoked no sooner than its put, which makes the order of elements an order of all
//! operations.

use crate::budget::{Meter, Stop};
use crate::history::{History, OPEN};
use crate::model::Fast;
use crate::models::queues::Collection;
use crate::split::Object;

use super::lives::{self, gaps_of_empties, Found, Lives};

/// Judge a queue; `None` where an element was put twice, or was only looked at.
pub fn judge(
    model: &Collection,
    history: &History,
    object: &Object,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    lives::judge(model, history, object, "queue-intervals", solve, meter)
}

fn solve(lives: &Lives<'_>, meter: &mut Meter) -> Result<Option<Found>, Stop> {
    if !lives.peeks.is_empty() {
        return Ok(None);
    }
    let all = &lives.all;
    meter.budget().fits(all.len().saturating_mul(32))?;
    let mut by_put = lives.by_from();
    let gaps = match gaps_of_empties(lives, &by_put) {
        Ok(gaps) => gaps,
        Err((row, cover)) => return Ok(Some(Found::Illegal(lives.core(&cover, &[row])))),
    };
    let mut by_take: Vec<u32> = (0..all.len() as u32).collect();
    by_take.sort_unstable_by_key(|&at| all[at as usize].take_end);
    if !gaps.is_empty() {
        let segment = |at: &u32| {
            let until = all[*at as usize].until();
            gaps.partition_point(|&gap| gap < until)
        };
        by_put.sort_by_cached_key(segment);
        by_take.sort_by_cached_key(segment);
    }
    let order = match element_order(lives, &by_put, &by_take, meter)? {
        Ok(order) => order,
        Err(pair) => return Ok(Some(Found::Illegal(lives.core(&pair, &[])))),
    };
    drop((by_put, by_take));
    let cuts: Vec<u32> = gaps
        .iter()
        .map(|&gap| order.partition_point(|&at| all[at as usize].until() <= gap) as u32)
        .collect();
    Ok(interleave(lives, &order, &cuts).map(Found::Legal))
}

/// The elements in an order that both puts and takes can have, or two that have to go before each
/// other.
fn element_order(
    lives: &Lives<'_>,
    by_put: &[u32],
    by_take: &[u32],
    meter: &mut Meter,
) -> Result<Result<Vec<u32>, [u32; 2]>, Stop> {
    let all = &lives.all;
    let mut gone = vec![false; all.len()];
    let mut order = Vec::with_capacity(all.len());
    let (mut i, mut j) = (0, 0);
    loop {
        meter.tick()?;
        while by_put.get(i).is_some_and(|&at| gone[at as usize]) {
            i += 1;
        }
        while by_take.get(j).is_some_and(|&at| gone[at as usize]) {
            j += 1;
        }
        let (Some(&e), Some(&d)) = (by_put.get(i), by_take.get(j)) else {
            return Ok(Ok(order));
        };
        let (first, second) = (&all[e as usize], &all[d as usize]);
        let next = if first.until() <= second.take_end {
            e
        } else if crate::planted!(
            "queue-interval-ends-swapped",
            second.put_inv,
            second.until()
        ) <= first.from()
        {
            d
        } else {
            return Ok(Err([e, d]));
        };
        gone[next as usize] = true;
        order.push(next);
    }
}

/// Puts and takes, both in the order of the elements, and the takes that found nothing after so many
/// elements as `cuts` says.
fn interleave(lives: &Lives<'_>, order: &[u32], cuts: &[u32]) -> Option<Vec<u32>> {
    let all = &lives.all;
    // The first return among the takes from each place on.
    let mut take_by = vec![OPEN; order.len() + 1];
    for (place, &at) in order.iter().enumerate().rev() {
        take_by[place] = take_by[place + 1].min(all[at as usize].take_end);
    }
    let taken = order.partition_point(|&at| !all[at as usize].stays());
    let mut out = Vec::with_capacity(order.len() + taken + cuts.len());
    let (mut puts, mut takes) = (0, 0);
    let ends = cuts.iter().map(|&cut| cut as usize);
    let mut empties = lives.empties.iter();
    for end in ends.chain([order.len()]) {
        loop {
            if puts < end && all[order[puts] as usize].put_inv <= take_by[takes] {
                out.push(all[order[puts] as usize].put);
                puts += 1;
            } else if takes < puts && takes < taken {
                out.push(all[order[takes] as usize].take);
                takes += 1;
            } else if puts < end {
                return None;
            } else {
                break;
            }
        }
        out.extend(empties.next());
    }
    (takes == taken).then_some(out)
}
