//! Makes an illegal history of one object so small that a person can read why it is illegal.
//!
//! What must stay as it is, is found by Junker's QuickXplain (AAAI 2004): some k log n probes for k
//! operations that stay, first among those that the algorithm named which found the history
//! illegal, else among those that returned last; then the same for the gaps. Probes are bounded by
//! counted work, never by a clock, so that the same history has the same certificate everywhere.

mod near;
mod scene;

use rustc_hash::FxHashMap;

use crate::budget::{Budget, Meter, Stop};
use crate::certify::classes::{free_class, part_of};
use crate::certify::weak::{probe, Found, Free, Kept, Table, ALWAYS};
use crate::certify::{Certificate, Gap};
use crate::history::{History, OPEN};
use crate::model::{Class, Model, Part};
use crate::planted;
use crate::split::Object;
use crate::verdict::Core;

/// Steps of one probe: some milliseconds. A probe that needs more is answered with "must stay".
const PROBE_STEPS: u64 = 250_000;
/// States, beside two for each class, that free operations may lead to where they come any number
/// of times: more are taken for endless.
const FEW_STATES: usize = 64;
/// Rows of a certificate in which free operations come any number of times beyond which the other
/// kind is tried as well: it may be the shorter one.
const LONG: usize = 10;
/// Steps of all probes for one object: some tenths of a second.
const STEPS: u64 = 6_000_000;
/// Pairs of classes that are looked at to leave out what nothing kept depends on.
const PAIRS: u64 = 30_000_000;
/// Candidates and their classes, up to which others are held against each of them as they come.
const FEW_OBSERVERS: usize = 16;
/// Gaps that are tried, from the end on.
const GAPS: usize = 2_000;

/// The smallest certificate that is found within the bounds; in the worst case every operation up
/// to the return of `core.blocked`.
pub fn minimise(
    history: &History,
    model: &dyn Model,
    object: &Object,
    core: &Core,
    budget: &Budget,
) -> Result<Certificate, Stop> {
    let mut task = Task {
        table: Table::new(history, model),
        history,
        model,
        object,
        meter: budget.meter(),
        steps: STEPS,
        minimal: true,
    };
    let end = history.end(core.blocked as usize);
    if !core.rows.is_empty() {
        let (rows, last) = task.named(core, end);
        if let Some(found) = task.attempt(&rows, last)? {
            return Ok(found);
        }
    }
    for rows in task.recent(core.blocked, end) {
        if let Some(found) = task.attempt(&rows, end)? {
            return Ok(found);
        }
    }
    Ok(task.whole(core.blocked, end))
}

/// A row that may stay as it is.
struct Candidate {
    row: u32,
    kept: Kept,
    read: bool,
    /// Its place among the free classes when it does not stay.
    free: Option<usize>,
}

/// The rows of one class that are no candidates.
struct Base {
    class: Class,
    number: u32,
    rows: u32,
    /// Times in which some of them are under way, in order.
    windows: Vec<(u32, u32)>,
}

/// The candidates, and all else that can matter to them.
struct Scene {
    rows: Vec<Candidate>,
    bases: Vec<Base>,
    end: u32,
    repeat: bool,
    begin: u32,
}

/// A gap in the time of a free class: its place in `bases`, begin and end.
type GapAt = (usize, Option<u32>, Option<u32>);

struct Task<'a> {
    table: Table<'a>,
    history: &'a History,
    model: &'a dyn Model,
    object: &'a Object,
    meter: Meter,
    steps: u64,
    minimal: bool,
}

impl Task<'_> {
    // -- what might be enough ------------------------------------------------------------------

    /// The best certificate whose rows are among these; `None` where they do not show it.
    fn attempt(&mut self, candidates: &[u32], end: u32) -> Result<Option<Certificate>, Stop> {
        let object = self.object;
        let Some(near) = self.near(candidates, end, &object.rows)? else {
            return Ok(None);
        };
        let mut best: Option<Certificate> = None;
        for repeat in [true, false] {
            let Some(scene) = self.scene(candidates, end, repeat, OPEN, &near)? else {
                continue;
            };
            if self.illegal(&scene, &vec![true; scene.rows.len()], None)? {
                let found = self.shrink(scene, &near)?;
                if found.minimal && found.kept.len() <= LONG {
                    return Ok(Some(found));
                }
                let better = |best: &Certificate| {
                    (!found.minimal, found.kept.len()) < (!best.minimal, best.kept.len())
                };
                if best.as_ref().is_none_or(better) {
                    best = Some(found);
                }
            }
        }
        Ok(best)
    }

    /// What was over before `begin`, or before the first of the rows, may have come in any order.
    /// `near` holds all rows that can matter to these. `None` where free operations lead to many
    /// states and `repeat` is set.
    fn scene(
        &mut self,
        rows: &[u32],
        end: u32,
        repeat: bool,
        begin: u32,
        near: &[u32],
    ) -> Result<Option<Scene>, Stop> {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        rows.dedup();
        let first = rows
            .first()
            .map_or(0, |&row| self.history.inv[row as usize]);
        let mut scene = Scene {
            rows: Vec::new(),
            bases: Vec::new(),
            end,
            repeat,
            begin: begin.min(first),
        };
        let mut places: FxHashMap<Class, usize> = FxHashMap::default();
        for &row in &rows {
            let class = Class::of(self.model, self.history, row as usize);
            let (part, ret) = part_of(self.history, self.model, row, end);
            if part == Part::Drop {
                continue;
            }
            let free = free_class(self.history, self.model, row);
            let kept = Kept {
                inv: self.history.inv[row as usize],
                ret: if part == Part::Must { ret } else { OPEN },
                class: self.table.class_id(class),
            };
            let free = free.map(|class| self.base(&mut scene, &mut places, class));
            scene.rows.push(Candidate {
                row,
                kept,
                read: self.model.is_read(self.history, &class),
                free,
            });
        }
        let mut candidates = rows.iter().peekable();
        for &row in near {
            if self.history.inv[row as usize] >= end {
                break;
            }
            while candidates.next_if(|&&next| next < row).is_some() {}
            if candidates.peek() == Some(&&row) {
                continue;
            }
            let Some(class) = free_class(self.history, self.model, row) else {
                continue;
            };
            let at = self.base(&mut scene, &mut places, class);
            let (from, to) = self.span(row, end);
            scene.add(at, from, to);
        }
        Ok((!repeat || self.few_states(&scene)).then_some(scene))
    }

    /// Free operations lead to few states, however often they happen.
    fn few_states(&mut self, scene: &Scene) -> bool {
        let classes: Vec<u32> = scene.bases.iter().map(|base| base.number).collect();
        self.table
            .reachable(&classes, FEW_STATES + 2 * classes.len())
    }

    fn base(
        &mut self,
        scene: &mut Scene,
        places: &mut FxHashMap<Class, usize>,
        class: Class,
    ) -> usize {
        *places.entry(class).or_insert_with(|| {
            scene.bases.push(Base {
                class,
                number: self.table.class_id(class),
                rows: 0,
                windows: Vec::new(),
            });
            scene.bases.len() - 1
        })
    }

    /// When a row that is not kept can take effect.
    fn span(&self, row: u32, end: u32) -> (u32, u32) {
        let to = self.history.end(row as usize);
        (
            self.history.inv[row as usize],
            if to >= end { OPEN } else { to },
        )
    }

    // -- probes --------------------------------------------------------------------------------

    /// Whether it is certain that there is no legal order when these rows stay; `gaps` are all that
    /// there are unless some are chosen.
    fn illegal(
        &mut self,
        scene: &Scene,
        stays: &[bool],
        gaps: Option<&[GapAt]>,
    ) -> Result<bool, Stop> {
        self.meter.look()?;
        let kept: Vec<Kept> = scene
            .rows
            .iter()
            .zip(stays)
            .filter(|(_, &s)| s)
            .map(|(c, _)| c.kept)
            .collect();
        let free = scene.free(stays, gaps);
        let granted = PROBE_STEPS.min(self.steps);
        let mut left = granted;
        let found = probe(&mut self.table, &kept, &free, &mut left, &mut self.meter);
        self.steps -= granted - left;
        let found = found?;
        self.minimal &= found != Found::GaveUp;
        Ok(found == Found::Illegal)
    }

    // -- minimising ----------------------------------------------------------------------------

    /// From a scene that is illegal when all its candidates stay.
    fn shrink(&mut self, mut scene: Scene, near: &[u32]) -> Result<Certificate, Stop> {
        self.minimal = true;
        let mut near = near.to_vec();
        loop {
            let kept = self.keep(&scene)?;
            let rows: Vec<u32> = kept.iter().map(|&at| scene.rows[at].row).collect();
            let end = kept
                .iter()
                .map(|&at| scene.rows[at].kept.ret)
                .filter(|&ret| ret != OPEN);
            let end = end.max().unwrap_or(scene.end);
            let same = rows.len() == scene.rows.len() && end == scene.end;
            if same {
                let gaps = self.gaps(&scene)?;
                return Ok(self.certificate(&scene, &gaps, &near));
            }
            // Cut earlier and with fewer candidates it is illegal all the same, and what cannot
            // matter any more is left out.
            let next = match self.near(&rows, end, &near)? {
                None => None,
                Some(fewer) => {
                    near = fewer;
                    self.scene(&rows, end, scene.repeat, scene.begin, &near)?
                }
            };
            match next {
                Some(next) => scene = next,
                None => {
                    self.minimal = false;
                    let gaps = scene.gaps(&vec![true; scene.rows.len()]);
                    return Ok(self.certificate(&scene, &gaps, &near));
                }
            }
        }
    }

    /// Places of the candidates that must stay.
    fn keep(&mut self, scene: &Scene) -> Result<Vec<usize>, Stop> {
        let mut order: Vec<usize> = (0..scene.rows.len()).collect();
        let recency = |at: usize| {
            let kept = scene.rows[at].kept;
            if kept.ret == OPEN {
                kept.inv
            } else {
                kept.ret
            }
        };
        // Of two explanations the one by updates says more than the one by reads.
        order.sort_by_key(|&at| (scene.rows[at].read, std::cmp::Reverse(recency(at))));
        let mut kept = explain(&order, &mut |some| {
            let mut stays = vec![false; scene.rows.len()];
            some.iter().for_each(|&at| stays[at] = true);
            self.illegal(scene, &stays, None)
        })?;
        kept.sort_unstable();
        Ok(kept)
    }

    /// The gaps that it hangs on.
    fn gaps(&mut self, scene: &Scene) -> Result<Vec<GapAt>, Stop> {
        let stays = vec![true; scene.rows.len()];
        let mut gaps = scene.gaps(&stays);
        // Of two explanations the one that lies nearer to the failure is told.
        gaps.sort_by_key(|&(at, from, to)| {
            (
                std::cmp::Reverse(to.unwrap_or(OPEN)),
                std::cmp::Reverse(from),
                at,
            )
        });
        if gaps.len() > GAPS && self.illegal(scene, &stays, Some(&gaps[..GAPS]))? {
            gaps.truncate(GAPS);
        }
        explain(&gaps, &mut |some| self.illegal(scene, &stays, Some(some)))
    }

    fn certificate(&self, scene: &Scene, gaps: &[GapAt], near: &[u32]) -> Certificate {
        let mut rows_at: FxHashMap<u32, u32> = FxHashMap::default();
        let wanted = gaps.iter().flat_map(|&(_, from, to)| [from, to]).flatten();
        rows_at.extend(wanted.map(|position| (position, OPEN)));
        // The sides of a gap are ends of rows that are near: of its own class.
        for row in near.iter().chain(scene.rows.iter().map(|one| &one.row)) {
            for position in [
                self.history.inv[*row as usize],
                self.history.ret[*row as usize],
            ] {
                rows_at.entry(position).and_modify(|known| *known = *row);
            }
        }
        let side = |position: Option<u32>| position.map(|p| (p, rows_at[&p]));
        let mut told: Vec<Gap> = gaps
            .iter()
            .map(|&(at, from, to)| Gap {
                class: scene.bases[at].class,
                after: side(from),
                before: side(to),
            })
            .collect();
        told.sort_by_key(|gap| (gap.after, gap.before, gap.class.f, gap.class.arg));
        let last = scene
            .rows
            .iter()
            .filter(|c| c.kept.ret != OPEN)
            .max_by_key(|c| c.kept.ret);
        Certificate {
            key: self.object.key,
            model: self.model.name(),
            end: scene.end,
            kept: scene.rows.iter().map(|candidate| candidate.row).collect(),
            gaps: told,
            repeat: scene.repeat,
            blocked: last.map_or(0, |candidate| candidate.row),
            minimal: self.minimal,
        }
    }

    /// Nothing is weakened but by the cut.
    fn whole(&self, blocked: u32, end: u32) -> Certificate {
        Certificate {
            key: self.object.key,
            model: self.model.name(),
            end,
            kept: self.counting(&self.object.rows, end),
            gaps: Vec::new(),
            repeat: false,
            blocked,
            minimal: false,
        }
    }
}

/// QuickXplain: some of `parts` for which `holds` is true, with none that could go; those in front
/// are preferred. `holds` grows with its argument and is true for all of `parts`.
fn explain<T: Copy>(
    parts: &[T],
    holds: &mut dyn FnMut(&[T]) -> Result<bool, Stop>,
) -> Result<Vec<T>, Stop> {
    if parts.is_empty() || holds(&[])? {
        return Ok(Vec::new());
    }
    explain_part(&[], parts, false, holds)
}

fn explain_part<T: Copy>(
    base: &[T],
    parts: &[T],
    changed: bool,
    holds: &mut dyn FnMut(&[T]) -> Result<bool, Stop>,
) -> Result<Vec<T>, Stop> {
    if changed && holds(base)? {
        return Ok(Vec::new());
    }
    if parts.len() <= 1 {
        return Ok(parts.to_vec());
    }
    let (front, back) = parts.split_at(parts.len() / 2);
    let with = |more: &[T]| [base, more].concat();
    let from_back = explain_part(&with(front), back, true, holds)?;
    let from_front = explain_part(&with(&from_back), front, !from_back.is_empty(), holds)?;
    Ok([from_front, from_back].concat())
}
