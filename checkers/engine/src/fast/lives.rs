//! Lives of the elements of a queue, stack or priority queue: when each was put in and taken out.
//!
//! Moments are gaps between events: gap g is just after the event at position g, so that an
//! operation can take effect in the gaps from its invocation up to, not including, its return.
//! Every element is put at most once: else its life is not known, and the general search has to
//! choose. Legality of all three types survives leaving out elements (with all their operations),
//! which is what the cores and the treatment of crashed takes rest on.

use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome, OPEN};
use crate::model::Fast;
use crate::models::queues::{Collection, Does};
use crate::models::said;
use crate::split::Object;
use crate::values::Val;
use crate::verdict::{Answer, Core};

use super::places::{Places, NOBODY};

/// End of a take that crashed: after everything that returned, before what is never taken.
const LAST: u32 = OPEN - 1;

/// An element's life.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub value: Val,
    /// Rows; `take` is `NOBODY` for an element that stays.
    pub put: u32,
    pub take: u32,
    pub put_inv: u32,
    pub put_end: u32,
    /// `OPEN` for an element that stays.
    pub take_inv: u32,
    pub take_end: u32,
}

impl Life {
    /// It is in from here ...
    #[inline]
    pub fn from(&self) -> u32 {
        self.put_end.min(self.take_end)
    }

    /// ... until here, for certain, where `from` is before `until`.
    #[inline]
    pub fn until(&self) -> u32 {
        self.take_inv.max(self.put_inv)
    }

    pub fn stays(&self) -> bool {
        self.take == NOBODY
    }

    /// Its rows.
    pub fn rows(&self, out: &mut Vec<u32>) {
        out.push(self.put);
        if !self.stays() {
            out.push(self.take);
        }
    }
}

/// What an algorithm is given: elements with known lives, and observations.
pub struct Lives<'h> {
    pub history: &'h History,
    pub all: Vec<Life>,
    /// Takes that found nothing.
    pub empties: Vec<u32>,
    /// Looks at the next element, with the element's place in `all`.
    pub peeks: Vec<(u32, u32)>,
}

impl Lives<'_> {
    /// Places of the lives, in the order of `from`.
    pub fn by_from(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.all.len() as u32).collect();
        order.sort_unstable_by_key(|&at| self.all[at as usize].from());
        order
    }

    /// All rows of some elements, and others.
    pub fn core(&self, places: &[u32], others: &[u32]) -> Vec<u32> {
        let mut rows = others.to_vec();
        for &at in places {
            self.all[at as usize].rows(&mut rows);
        }
        rows
    }
}

/// What an algorithm finds.
pub enum Found {
    /// Rows in a legal order.
    Legal(Vec<u32>),
    /// Rows that are illegal by themselves.
    Illegal(Vec<u32>),
}

/// What the rows of an object say.
struct Read<'h> {
    lives: Lives<'h>,
    /// Takes that crashed: each may have taken any element, or none.
    wild: Vec<u32>,
}

/// An algorithm: it may refuse with `None`.
pub type Algorithm = fn(&Lives<'_>, &mut Meter) -> Result<Option<Found>, Stop>;

/// Judge an object by an algorithm for known lives.
///
/// Takes that crashed: they may be left out, so that what is legal without them is legal. What is
/// illegal even without the elements that nobody is known to have taken is illegal, whichever of
/// these the crashed takes took. In between one guess is tried, the earliest element for the
/// earliest take, and then it is up to the search.
pub fn judge(
    model: &Collection,
    history: &History,
    object: &Object,
    name: &'static str,
    algorithm: Algorithm,
    meter: &mut Meter,
) -> Result<Fast, Stop> {
    let read = match read(model, history, object, meter)? {
        Reading::Ambiguous => return Ok(None),
        Reading::Illegal(rows) => return Ok(Some((name, illegal(history, rows)))),
        Reading::Known(read) => read,
    };
    let Read { mut lives, wild } = read;
    let rows = match algorithm(&lives, meter)? {
        None => return Ok(None),
        Some(Found::Legal(order)) => return Ok(Some((name, Answer::Legal(order)))),
        Some(Found::Illegal(rows)) => rows,
    };
    if wild.is_empty() || !lives.all.iter().any(Life::stays) {
        return Ok(Some((name, illegal(history, rows))));
    }
    let taken = without_leftovers(&lives);
    if let Some(Found::Illegal(rows)) = algorithm(&taken, meter)? {
        return Ok(Some((name, illegal(history, rows))));
    }
    guess(&mut lives, &wild);
    if let Some(Found::Legal(order)) = algorithm(&lives, meter)? {
        return Ok(Some((name, Answer::Legal(order))));
    }
    Ok(None)
}

/// The answer that some rows are illegal by themselves, or with the rest of the history.
pub fn illegal(history: &History, mut rows: Vec<u32>) -> Answer {
    rows.sort_unstable();
    rows.dedup();
    let returned = |row: &u32| history.end(*row as usize) != OPEN;
    let blocked = rows
        .iter()
        .copied()
        .filter(returned)
        .max_by_key(|&row| history.end(row as usize))
        .unwrap_or(0);
    Answer::Illegal(Core { blocked, rows })
}

fn without_leftovers<'h>(lives: &Lives<'h>) -> Lives<'h> {
    let mut place = vec![NOBODY; lives.all.len()];
    let mut all = Vec::new();
    for (at, life) in lives.all.iter().enumerate() {
        if !life.stays() {
            place[at] = all.len() as u32;
            all.push(*life);
        }
    }
    let peeks = lives
        .peeks
        .iter()
        .map(|&(at, row)| (place[at as usize], row))
        .filter(|&(at, _)| at != NOBODY)
        .collect();
    Lives {
        history: lives.history,
        all,
        empties: lives.empties.clone(),
        peeks,
    }
}

/// Give leftovers to crashed takes, the first that was put for certain to the first take.
fn guess(lives: &mut Lives<'_>, wild: &[u32]) {
    let mut left: Vec<u32> = (0..lives.all.len() as u32)
        .filter(|&at| lives.all[at as usize].stays())
        .collect();
    left.sort_by_key(|&at| lives.all[at as usize].put_end);
    for (&at, &row) in left.iter().zip(wild) {
        let life = &mut lives.all[at as usize];
        life.take = row;
        life.take_inv = lives.history.inv[row as usize];
        life.take_end = LAST;
    }
}

enum Reading<'h> {
    Known(Read<'h>),
    /// Rows that are illegal by themselves, whatever the order.
    Illegal(Vec<u32>),
    /// An element was put twice.
    Ambiguous,
}

fn read<'h>(
    model: &Collection,
    history: &'h History,
    object: &Object,
    meter: &mut Meter,
) -> Result<Reading<'h>, Stop> {
    let table = model.table(history);
    let size = std::mem::size_of::<Life>() + 16;
    meter
        .budget()
        .fits(object.rows.len().saturating_mul(size))?;
    let does = |row: u32| {
        table
            .get(history.f[row as usize] as usize)
            .copied()
            .flatten()
    };
    let mut places = Places::new(object.rows.len());
    let mut all: Vec<Life> = Vec::with_capacity(object.rows.len() / 2);
    for &row in &object.rows {
        meter.tick()?;
        let at = row as usize;
        if history.outcome[at] == Outcome::Fail || !matches!(does(row), Some(Does::Put(_))) {
            continue;
        }
        let value = history.arg[at];
        if places.get(value) != NOBODY {
            return Ok(Reading::Ambiguous);
        }
        places.set(value, all.len() as u32);
        all.push(Life {
            value,
            put: row,
            take: NOBODY,
            put_inv: history.inv[at],
            put_end: history.end(at),
            take_inv: OPEN,
            take_end: OPEN,
        });
    }
    let mut lives = Lives {
        history,
        all,
        empties: Vec::new(),
        peeks: Vec::new(),
    };
    let mut wild = Vec::new();
    for &row in &object.rows {
        meter.tick()?;
        let takes = match does(row) {
            Some(Does::Take(_)) => true,
            Some(Does::Peek(_)) => false,
            _ => continue,
        };
        match history.outcome[row as usize] {
            Outcome::Info if takes => wild.push(row),
            Outcome::Info => {}
            Outcome::Fail if !(takes && model.failed_asserts) => {}
            _ => {
                if let Some(rows) = observe(&mut lives, &places, row, takes) {
                    return Ok(Reading::Illegal(rows));
                }
            }
        }
    }
    forget_unused(&mut lives);
    lives.peeks.sort_unstable();
    Ok(Reading::Known(Read { lives, wild }))
}

/// Note what a take or a look has found. Rows that are illegal, where it cannot have found that.
fn observe(lives: &mut Lives<'_>, places: &Places, row: u32, takes: bool) -> Option<Vec<u32>> {
    let history = lives.history;
    let at = row as usize;
    let result = history.result[at];
    if said::empty(&history.values, result) {
        lives.empties.push(row);
        return None;
    }
    let place = places.get(result);
    let Some(life) = lives.all.get_mut(place as usize) else {
        return Some(vec![row]);
    };
    if history.end(at) < life.put_inv {
        return Some(vec![life.put, row]);
    }
    if !takes {
        lives.peeks.push((place, row));
        return None;
    }
    if !life.stays() {
        return Some(vec![life.put, life.take, row]);
    }
    life.take = row;
    life.take_inv = history.inv[at];
    life.take_end = history.end(at);
    None
}

/// Leave out elements that may never have been put, and that nobody has seen.
fn forget_unused(lives: &mut Lives<'_>) {
    let mut seen = vec![false; lives.all.len()];
    for &(at, _) in &lives.peeks {
        seen[at as usize] = true;
    }
    let unused = |at: usize, life: &Life| life.put_end == OPEN && life.stays() && !seen[at];
    if !lives
        .all
        .iter()
        .enumerate()
        .any(|(at, life)| unused(at, life))
    {
        return;
    }
    let mut place = vec![NOBODY; lives.all.len()];
    let mut kept = Vec::new();
    for (at, life) in lives.all.iter().enumerate() {
        if !unused(at, life) {
            place[at] = kept.len() as u32;
            kept.push(*life);
        }
    }
    for peek in &mut lives.peeks {
        peek.0 = place[peek.0 as usize];
    }
    lives.all = kept;
}

/// When nothing was in: the first gap for each take that found nothing, or the place of one that has
/// none and of the lives that fill all its gaps. `order` are lives by `from`.
pub fn gaps_of_empties(lives: &Lives<'_>, order: &[u32]) -> Result<Vec<u32>, (u32, Vec<u32>)> {
    let history = lives.history;
    let mut gaps = Vec::with_capacity(lives.empties.len());
    let mut next = 0;
    let mut full_until = 0;
    for &row in &lives.empties {
        // The gaps between an invocation and an earlier take's first gap are as full for this one.
        let mut gap = history.inv[row as usize].max(full_until);
        while let Some(life) = order.get(next).map(|&at| &lives.all[at as usize]) {
            if life.from() > gap {
                break;
            }
            next += 1;
            full_until = full_until.max(life.until());
            gap = gap.max(full_until);
        }
        if gap >= crate::planted!("empty-take-anywhere", history.end(row as usize), OPEN) {
            let (begin, end) = (history.inv[row as usize], history.end(row as usize));
            return Err((row, cover(&lives.all, order, begin, end)));
        }
        gaps.push(gap);
    }
    Ok(gaps)
}

/// Few lives that fill all gaps from `gap` up to, not including, `end`: always the one that lasts
/// longest. `order` are lives by `from`.
pub fn cover(all: &[Life], order: &[u32], mut gap: u32, end: u32) -> Vec<u32> {
    let mut chosen = Vec::new();
    let mut longest: Option<u32> = None;
    let until = |at: u32| all[at as usize].until();
    let mut coming = order.iter().peekable();
    while gap < end {
        while let Some(&at) = coming.next_if(|at| all[**at as usize].from() <= gap) {
            if longest.is_none_or(|longest| until(longest) < until(at)) {
                longest = Some(at);
            }
        }
        match longest {
            Some(at) if until(at) > gap => {
                gap = until(at);
                chosen.push(at);
            }
            _ => break,
        }
    }
    chosen
}
