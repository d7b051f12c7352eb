//! Priority queue, every element put once, the largest first: O(n log n).
//!
//! An element is in for certain from the first return among its operations (insert, looks, poll) to
//! the last invocation among them. A poll or a look of v needs a gap of its own in which no larger
//! element is in for certain (Lee and Mathur 2025), and the poll comes after the looks. That is
//! enough: let each element be polled in the first such gap, be inserted as late as it can, and be
//! looked at in the last gap that is left. Then it is in where it is not certain to be only in gaps
//! that a larger element fills for certain, where nothing smaller is polled or looked at, and no
//! poll finds the queue empty.

use std::collections::BinaryHeap;

use crate::budget::{Meter, Stop};
use crate::history::{History, OPEN};
use crate::model::Fast;
use crate::models::queues::Collection;
use crate::split::Object;
use crate::values::Values;

use super::lives::{self, cover, gaps_of_empties, Found, Lives};

/// Judge a priority queue; `None` where an element was put twice.
pub fn judge(
    model: &Collection,
    history: &History,
    object: &Object,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    lives::judge(model, history, object, "priority-critical", solve, meter)
}

fn solve(lives: &Lives<'_>, meter: &mut Meter) -> Result<Option<Found>, Stop> {
    meter.budget().fits(lives.all.len().saturating_mul(160))?;
    let history = lives.history;
    // What is in for certain, with the looks: as lives whose ends are those of all operations.
    let mut wide = Lives {
        history,
        all: lives.all.clone(),
        empties: lives.empties.clone(),
        peeks: Vec::new(),
    };
    for &(at, row) in &lives.peeks {
        let life = &mut wide.all[at as usize];
        life.put_end = life.put_end.min(history.end(row as usize));
        if !life.stays() {
            life.take_inv = life.take_inv.max(history.inv[row as usize]);
        }
    }
    let order = wide.by_from();
    let gaps = match gaps_of_empties(&wide, &order) {
        Ok(gaps) => gaps,
        Err((row, cover)) => {
            let mut others = vec![row];
            for &at in &cover {
                others.extend(lives.looks(at));
            }
            return Ok(Some(Found::Illegal(lives.core(&cover, &others))));
        }
    };
    let ranks = ranks(lives, &history.values);
    let tops = Tops::new(&wide, &order, &ranks, meter)?;
    let mut moments = Vec::with_capacity(lives.all.len() * 2 + lives.peeks.len() + gaps.len());
    for at in 0..lives.all.len() as u32 {
        meter.tick()?;
        if let Err((begin, end)) = place(lives, &wide, at, ranks[at as usize], &tops, &mut moments)
        {
            let larger: Vec<u32> = order
                .iter()
                .copied()
                .filter(|&other| ranks[other as usize] > ranks[at as usize])
                .collect();
            let mut places = cover(&wide.all, &larger, begin, end);
            places.push(at);
            let looks: Vec<u32> = places.iter().flat_map(|&at| lives.looks(at)).collect();
            return Ok(Some(Found::Illegal(lives.core(&places, &looks))));
        }
    }
    for (&row, &gap) in lives.empties.iter().zip(&gaps) {
        moments.push((moment(gap, 1, 0, 0), row));
    }
    moments.sort_unstable();
    let rows = moments.into_iter().map(|(_, row)| row).collect();
    Ok(Some(Found::Legal(rows)))
}

/// Order of what happens in one gap: polls and looks, the largest element first; takes that found
/// nothing; inserts, the smallest first, each with the looks at it.
fn moment(gap: u32, class: u64, rank: u32, kind: u64) -> (u64, u64) {
    let rank = if class == 0 { u32::MAX - rank } else { rank };
    (u64::from(gap) << 2 | class, u64::from(rank) << 2 | kind)
}

/// Choose the moments of an element's operations, or name the gaps among which there is none.
fn place(
    lives: &Lives<'_>,
    wide: &Lives<'_>,
    at: u32,
    rank: u32,
    tops: &Tops,
    moments: &mut Vec<((u64, u64), u32)>,
) -> Result<(), (u32, u32)> {
    let history = lives.history;
    let life = &lives.all[at as usize];
    let sure = &wide.all[at as usize];
    let mut poll = OPEN;
    if !life.stays() {
        poll = tops.first(sure.until(), rank).unwrap_or(OPEN);
        if poll >= life.take_end {
            return Err((sure.until(), life.take_end));
        }
    }
    let mut insert = (sure.from() - 1).min(poll);
    let mut looks = Vec::new();
    for row in lives.looks(at) {
        let begin = history.inv[row as usize].max(life.put_inv);
        let end = history.end(row as usize).min(life.take_end);
        match tops.last((end - 1).min(poll), rank) {
            Some(look) if look >= begin => {
                insert = insert.min(look);
                looks.push((look, row));
            }
            _ => return Err((begin, end)),
        }
    }
    let class_at = |gap: u32| if gap == insert && gap != poll { 2 } else { 0 };
    moments.push((moment(insert, class_at(insert), rank, 0), life.put));
    for (look, row) in looks {
        moments.push((moment(look, class_at(look), rank, 1), row));
    }
    if !life.stays() {
        moments.push((moment(poll, 0, rank, 2), life.take));
    }
    Ok(())
}

/// Ranks of the elements by priority, from 1.
fn ranks(lives: &Lives<'_>, values: &Values) -> Vec<u32> {
    let priority = |at: &u32| values.as_int(lives.all[*at as usize].value);
    let mut order: Vec<u32> = (0..lives.all.len() as u32).collect();
    order.sort_by_key(priority);
    let mut ranks = vec![0; order.len()];
    for (rank, at) in order.into_iter().enumerate() {
        ranks[at as usize] = rank as u32 + 1;
    }
    ranks
}

/// The rank of the largest element that is in for certain, 0 for none, by segments of time.
struct Tops {
    starts: Vec<u32>,
    size: usize,
    /// The least top below each node.
    least: Vec<u32>,
}

impl Tops {
    fn new(
        wide: &Lives<'_>,
        order: &[u32],
        ranks: &[u32],
        meter: &mut Meter,
    ) -> Result<Tops, Stop> {
        let mut starts = vec![0];
        let certain = |at: &&u32| {
            let life = &wide.all[**at as usize];
            life.from() < life.until()
        };
        for &at in order.iter().filter(certain) {
            let life = &wide.all[at as usize];
            starts.extend([life.from(), life.until()]);
        }
        starts.sort_unstable();
        starts.dedup();
        let size = starts.len().next_power_of_two();
        let mut least = vec![u32::MAX; size * 2];
        let mut heap: BinaryHeap<(u32, u32)> = BinaryHeap::new();
        let mut coming = order.iter().filter(certain).peekable();
        for (segment, &start) in starts.iter().enumerate() {
            meter.tick()?;
            while let Some(&at) = coming.next_if(|at| wide.all[**at as usize].from() <= start) {
                heap.push((ranks[at as usize], wide.all[at as usize].until()));
            }
            while heap.peek().is_some_and(|&(_, until)| until <= start) {
                heap.pop();
            }
            least[size + segment] = heap.peek().map_or(0, |&(rank, _)| rank);
        }
        for node in (1..size).rev() {
            least[node] = least[node * 2].min(least[node * 2 + 1]);
        }
        Ok(Tops {
            starts,
            size,
            least,
        })
    }

    fn segment(&self, gap: u32) -> usize {
        self.starts.partition_point(|&start| start <= gap) - 1
    }

    /// The first gap from `gap` on in which nothing larger than `rank` is in for certain.
    fn first(&self, gap: u32, rank: u32) -> Option<u32> {
        let mut node = self.size + self.segment(gap);
        if self.least[node] <= rank {
            return Some(gap);
        }
        while node > 1 {
            if node % 2 == 0 && self.least[node + 1] <= rank {
                node += 1;
                while node < self.size {
                    node = node * 2 + usize::from(self.least[node * 2] > rank);
                }
                return self.starts.get(node - self.size).copied();
            }
            node /= 2;
        }
        None
    }

    /// The last gap up to `gap` in which nothing larger than `rank` is in for certain.
    fn last(&self, gap: u32, rank: u32) -> Option<u32> {
        let mut node = self.size + self.segment(gap);
        if self.least[node] <= rank {
            return Some(gap);
        }
        while node > 1 {
            if node % 2 == 1 && self.least[node - 1] <= rank {
                node -= 1;
                while node < self.size {
                    node = node * 2 + usize::from(self.least[node * 2 + 1] <= rank);
                }
                let end = self.starts.get(node - self.size + 1)?;
                return Some(end - 1);
            }
            node /= 2;
        }
        None
    }
}

impl Lives<'_> {
    /// Rows of the looks at an element.
    fn looks(&self, at: u32) -> impl Iterator<Item = u32> + '_ {
        let (start, end) = (
            self.peeks.partition_point(|&(other, _)| other < at),
            self.peeks.partition_point(|&(other, _)| other <= at),
        );
        self.peeks[start..end].iter().map(|&(_, row)| row)
    }
}
