//! Looks at a file as it is: what does not fit is taken, counted and shown with its line.

use super::{cut, of_odd, rules, Lint, Severity};
use crate::budget::Budget;
use crate::error::{Error, Place, Result};
use crate::formats::jepsen::About;
use crate::formats::pair::{Event, Pairer, Sink};
use crate::formats::text::End;
use crate::formats::{detect, located, read_into, Format, Options, Source};
use crate::history::History;

/// A pairer that remembers where each event stands and which number it has.
struct Watch {
    pairer: Pairer,
    budget: Budget,
    /// Offset of each event that was taken.
    at: Vec<u64>,
    /// Index and offset of each event that gives one.
    indices: Vec<(i64, u64)>,
    faults: u64,
}

impl Sink for Watch {
    fn history(&mut self) -> &mut History {
        self.pairer.history()
    }

    fn event(&mut self, event: &Event) -> Result<()> {
        if self.at.len() == self.at.capacity() {
            self.budget.fits(self.at.capacity() * 24)?;
        }
        let before = self.pairer.history.events;
        self.pairer.event(event)?;
        if self.pairer.history.events > before {
            self.at.push(event.at);
        }
        if event.index >= 0 {
            self.indices.push((event.index, event.at));
        }
        Ok(())
    }

    fn fault(&mut self, name: &str, value: crate::values::Val, time: i64) {
        self.faults += 1;
        self.pairer.fault(name, value, time);
    }

    fn hole(&mut self, at: u64, why: String) {
        self.pairer.hole(at, why);
    }
}

/// What a file shows, the gravest first, and its history as far as it could be read.
pub fn of_file(
    source: Source<'_>,
    options: &Options,
    budget: &Budget,
) -> Result<(Vec<Lint>, History)> {
    let format = match options.format {
        Some(format) => format,
        None => detect::detect(source)?,
    };
    // A file that is whole must not be read as one that may be cut: its last line may lack its end.
    let found = watched(source, format, options, false, budget);
    let (watch, end, about) = match found {
        Err(error) if error.stop.is_none() => watched(source, format, options, true, budget)?,
        found => found?,
    };
    let Watch {
        pairer,
        at,
        mut indices,
        faults,
        ..
    } = watch;
    let (mut history, odd) = pairer.finish();
    history.format = format.name();
    history.about = about;
    let mut found = rules::all(&history, budget)?;
    for lint in &mut found {
        let places = lint
            .events
            .iter()
            .filter_map(|&event| at.get(event as usize));
        lint.places = places.map(|&at| Place::Byte(at)).collect();
    }
    found.extend(of_odd(&odd, Severity::Error));
    if let End::Cut(at) = end {
        history.cut = Some(at);
        found.push(cut(at));
    }
    found.extend(of_indices(&mut indices, faults));
    found.sort_by_key(|lint| lint.severity);
    if !format.is_binary() {
        locate(source, &mut found)?;
    }
    Ok((found, history))
}

/// Read a file with a pairer that takes what does not fit.
fn watched(
    source: Source<'_>,
    format: Format,
    options: &Options,
    salvage: bool,
    budget: &Budget,
) -> Result<(Watch, End, About)> {
    let mut watch = Watch {
        pairer: Pairer::new(true),
        budget: budget.clone(),
        at: Vec::new(),
        indices: Vec::new(),
        faults: 0,
    };
    let options = Options {
        salvage,
        ..*options
    };
    let read = read_into(format, source, &options, &mut watch, budget);
    let (end, about) = read.map_err(|error| located(error, format, source))?;
    Ok((watch, end, about))
}

/// Lines and columns for bytes.
fn locate(source: Source<'_>, found: &mut [Lint]) -> Result<()> {
    let of = |place: &Place| match place {
        Place::Byte(at) => *at,
        _ => 0,
    };
    let mut wanted: Vec<u64> = found
        .iter()
        .flat_map(|lint| lint.places.iter().map(of))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let places = source.places(&wanted);
    if places.len() != wanted.len() {
        return Err(Error::new("the file changed while it was read"));
    }
    for place in found.iter_mut().flat_map(|lint| lint.places.iter_mut()) {
        if let Ok(at) = wanted.binary_search(&of(place)) {
            *place = places[at];
        }
    }
    Ok(())
}

/// Indices that occur twice, that go back, and that leave gaps.
fn of_indices(indices: &mut [(i64, u64)], faults: u64) -> Vec<Lint> {
    let mut back = Lint::new("index-back", Severity::Warning);
    let mut twice = Lint::new("index-duplicate", Severity::Warning);
    let mut sparse = Lint::new("index-sparse", Severity::Note);
    let case = |lint: &mut Lint, (index, at): (i64, u64)| {
        lint.count += 1;
        if lint.places.len() < super::SHOWN {
            lint.places.push(Place::Byte(at));
            lint.events.push(index.clamp(0, i64::from(u32::MAX)) as u32);
        }
    };
    for pair in indices.windows(2) {
        if pair[1].0 < pair[0].0 {
            case(&mut back, pair[1]);
        }
    }
    indices.sort_unstable();
    for pair in indices.windows(2) {
        if pair[1].0 == pair[0].0 {
            case(&mut twice, pair[1]);
        }
    }
    let distinct = indices.len() as u64 - twice.count;
    if let (Some(first), Some(last)) = (indices.first(), indices.last()) {
        let room = last.0.abs_diff(first.0).saturating_add(1);
        // What a nemesis did has indices of its own.
        let gaps = room.saturating_sub(distinct).saturating_sub(faults);
        if gaps > 0 {
            let hole = indices.windows(2).find(|pair| pair[1].0 > pair[0].0 + 1);
            case(&mut sparse, hole.map_or(*last, |pair| pair[1]));
            sparse.count = gaps;
        }
    }
    let first = |lint: &Lint| lint.events.first().copied().unwrap_or(0);
    let told = [
        back.told(|lint| {
            let (n, index) = (lint.count, first(lint));
            format!("indices go back {n} times (the first: {index}): the order of the file counts")
        }),
        twice.told(|lint| {
            let (n, index) = (lint.count, first(lint));
            format!("{n} indices occur twice (the first: {index}): two histories in one file?")
        }),
        sparse.told(|lint| {
            let (n, index) = (lint.count, first(lint));
            format!("{n} indices are missing (the first before {index}): was something left out?")
        }),
    ];
    let mut found: Vec<Lint> = told.into_iter().flatten().collect();
    // They are numbers of the file's own, not positions.
    found.iter_mut().for_each(|lint| lint.events.clear());
    found
}
