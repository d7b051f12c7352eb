//! Stack, every element put once, O(n log n).
//!
//! A legal order gives every element a life from its push to its pop, and lives are nested or apart.
//! An element is in for certain from its push's return to its pop's invocation; where that is no
//! time at all, it can be pushed and popped at one moment, and is in nobody's way. Look at the gaps
//! that no element fills for certain: they cut the others into components, and since the lives of a
//! component have no gap between them, one of its elements, the root, is below all the rest. Its
//! push can take effect in the gap before the component and its pop in the gap after it. Any element
//! of which that is true can be the root: in a legal order with another root, make its life longer,
//! around all others. So: take such an element away, which opens new gaps, and go on; where elements
//! are left and none can be taken away, the history is illegal. (Lee and Mathur 2025 and LiMo, 2025,
//! find the same elements by other conditions.)
//!
//! A gap once open stays open, so each push and each pop is marked by the first open gap that it
//! spans, once: segments of time between the ends of certain lives are counted in a tree of minima,
//! and spans are found in a tree of their latest ends.

use crate::budget::{Meter, Stop};
use crate::history::{History, OPEN};
use crate::model::Fast;
use crate::models::queues::Collection;
use crate::split::Object;

use super::bits::Bits;
use super::lives::{self, gaps_of_empties, Found, Lives};
use super::trees::{Counts, Spans};

/// More elements than this in an illegal component are not made fewer.
const SMALL: usize = 64;

/// Judge a stack; `None` where an element was pushed twice, or was only looked at.
pub fn judge(
    model: &Collection,
    history: &History,
    object: &Object,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    lives::judge(model, history, object, "stack-critical", solve, meter)
}

fn solve(lives: &Lives<'_>, meter: &mut Meter) -> Result<Option<Found>, Stop> {
    if !lives.peeks.is_empty() {
        return Ok(None);
    }
    meter.budget().fits(lives.all.len().saturating_mul(160))?;
    let order = lives.by_from();
    let gaps = match gaps_of_empties(lives, &order) {
        Ok(gaps) => gaps,
        Err((row, cover)) => return Ok(Some(Found::Illegal(lives.core(&cover, &[row])))),
    };
    let all = &lives.all;
    let certain: Vec<u32> = order
        .into_iter()
        .filter(|&at| all[at as usize].from() < all[at as usize].until())
        .collect();
    let nest = nest(lives, &certain, meter)?;
    if !nest.stuck.is_empty() {
        let places = fewer(lives, nest.stuck, meter)?;
        return Ok(Some(Found::Illegal(lives.core(&places, &[]))));
    }
    Ok(Some(Found::Legal(order_of(lives, &nest, &gaps))))
}

/// The elements that were taken away, outermost first, each with the segments of its push and pop.
struct Nest {
    taken: Vec<(u32, u32, u32)>,
    /// Where each segment begins: the position of an event, 0 for the first one.
    starts: Vec<u32>,
    /// What is left.
    stuck: Vec<u32>,
}

/// Take away what can be taken away. `certain` are the elements that are in for some time.
fn nest(lives: &Lives<'_>, certain: &[u32], meter: &mut Meter) -> Result<Nest, Stop> {
    let all = &lives.all;
    let mut starts: Vec<u32> = vec![0];
    for &at in certain {
        let life = &all[at as usize];
        starts.push(life.from());
        if life.until() != OPEN {
            starts.push(life.until());
        }
    }
    starts[1..].sort_unstable();
    let first_after = |position: u32| starts.partition_point(|&start| start < position);
    let mut counts = Counts::new(starts.len());
    // Spans in segments, push and pop of element i at 2i and 2i + 1.
    let mut spans = Vec::with_capacity(certain.len() * 2);
    let mut bodies = Vec::with_capacity(certain.len());
    for &at in certain {
        let life = &all[at as usize];
        let (from, until) = (first_after(life.from()), first_after(life.until()));
        counts.start(from, until);
        bodies.push((from as u32, until as u32));
        let pushed = starts.partition_point(|&start| start <= life.put_inv) - 1;
        spans.push((pushed as u32, from as u32));
        spans.push((until as u32, first_after(life.take_end) as u32));
    }
    counts.build();
    let mut open = Bits::new(starts.len());
    let mut spans_left = Spans::new(&spans);
    let mut marks = vec![0u8; certain.len()];
    let mut ready: Vec<u32> = Vec::new();
    for (i, &(_, until)) in bodies.iter().enumerate() {
        if until as usize >= starts.len() {
            marks[i] = 1;
        }
    }
    let mut taken = Vec::with_capacity(certain.len());
    let mut range = (0, starts.len());
    loop {
        while let Some(segment) = counts.take_zero(range.0, range.1) {
            meter.tick()?;
            open.insert(segment);
            while let Some(span) = spans_left.take_at(segment as u32) {
                meter.tick()?;
                let i = span as usize / 2;
                marks[i] += 1;
                if marks[i] == 2 {
                    ready.push(i as u32);
                }
            }
        }
        let Some(i) = ready.pop() else { break };
        let (from, until) = bodies[i as usize];
        let push = open.before(from as usize).unwrap_or(0);
        let pop = open.from(until as usize).unwrap_or(starts.len());
        taken.push((certain[i as usize], push as u32, pop as u32));
        counts.remove(from as usize, until as usize);
        range = (from as usize, until as usize);
    }
    let stuck = (0..certain.len())
        .filter(|&i| marks[i] < 2)
        .map(|i| certain[i])
        .collect();
    Ok(Nest {
        taken,
        starts,
        stuck,
    })
}

/// Fewer elements that are stuck as well.
fn fewer(lives: &Lives<'_>, mut stuck: Vec<u32>, meter: &mut Meter) -> Result<Vec<u32>, Stop> {
    for _ in 0..2 {
        let (mut low, mut high) = (0, stuck.len());
        // The first `high` are stuck without the rest, the first `low` are not.
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if nest(lives, &stuck[..middle], meter)?.stuck.is_empty() {
                low = middle;
            } else {
                high = middle;
            }
        }
        stuck.truncate(high);
        stuck.reverse();
    }
    if stuck.len() > SMALL {
        return Ok(stuck);
    }
    let mut at = 0;
    while at < stuck.len() {
        let mut part = stuck.clone();
        part.remove(at);
        if nest(lives, &part, meter)?.stuck.is_empty() {
            at += 1;
        } else {
            stuck = part;
        }
    }
    Ok(stuck)
}

/// Everything at its moment: pops at the beginning of their segments, pushes at the end, what is in
/// for no time and what found nothing where it fits between.
fn order_of(lives: &Lives<'_>, nest: &Nest, gaps: &[u32]) -> Vec<u32> {
    let key = |gap: u32, class: u64, turn: u32| (u64::from(gap) << 2 | class, turn);
    let mut moments: Vec<((u64, u32), u32)> = Vec::with_capacity(lives.all.len() * 2);
    let mut nested = vec![false; lives.all.len()];
    let count = nest.taken.len() as u32;
    for (turn, &(at, push, pop)) in nest.taken.iter().enumerate() {
        let life = &lives.all[at as usize];
        nested[at as usize] = true;
        let end = nest.starts.get(push as usize + 1).copied().unwrap_or(OPEN) - 1;
        moments.push((key(end, 2, turn as u32), life.put));
        if !life.stays() {
            let start = nest.starts.get(pop as usize).copied().unwrap_or(OPEN);
            moments.push((key(start, 0, count - turn as u32), life.take));
        }
    }
    for (at, life) in lives.all.iter().enumerate() {
        if !nested[at] {
            let gap = life.until();
            moments.push((key(gap, 1, at as u32 * 2), life.put));
            moments.push((key(gap, 1, at as u32 * 2 + 1), life.take));
        }
    }
    for (&row, &gap) in lives.empties.iter().zip(gaps) {
        moments.push((key(gap, 1, u32::MAX), row));
    }
    moments.sort_unstable();
    moments.into_iter().map(|(_, row)| row).collect()
}
