//! One question answered: split, choose the algorithm, search, certify, keys in parallel.
//!
//! The answer never depends on the number of threads: each key is judged for itself, and bounds on
//! configurations are shares that are fixed before the keys are searched. There are two rounds: in
//! the first one every key gets a small share, so that one hard key does not keep the others from
//! an answer; what is left is divided among those that were not done.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Mutex;

use crate::budget::{Budget, Meter, Stop};
use crate::certify::{self, Certificate, Checked};
use crate::error::{Error, Result};
use crate::fast::order;
use crate::fast::staleness::Staleness;
use crate::history::History;
use crate::model::{Class, Fast, Model};
use crate::search;
use crate::split::Object;
use crate::verdict::{Answer, Keyed};

/// The first round gives every key so many configurations, and so many for each operation.
const FIRST: u64 = 20_000;
const FIRST_PER_OPERATION: u64 = 8;
/// Operations below which a second thread is not worth its start.
const THREAD_MIN: usize = 4_000;
const STACK_BYTES: usize = 16 << 20;

/// How a check is done, beside its budget.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads; 0 is one for each core.
    pub threads: usize,
    /// Never a polynomial algorithm: only the general search.
    pub search_only: bool,
    /// Look first for reads of values that nobody wrote.
    pub prepass: bool,
    /// Minimise what is illegal, at most for so many keys.
    pub certificates: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            threads: 0,
            search_only: false,
            prepass: true,
            certificates: 3,
        }
    }
}

/// A certificate, and what the verifier says of it.
pub struct Certified {
    pub certificate: Certificate,
    pub checked: Checked,
}

/// What a check found.
pub struct Report {
    pub model: String,
    pub objects: Vec<Keyed>,
    pub certificates: Vec<Certified>,
    pub configurations: u64,
    /// The worst of the objects of which it can be said.
    pub staleness: Option<Staleness>,
}

/// Judge every object of the history. Err for operations that the model does not have.
pub fn check(
    history: &History,
    model: &dyn Model,
    options: &Options,
    budget: &Budget,
) -> Result<Report> {
    accept(history, model)?;
    let objects = model.objects(history);
    let progress = budget.progress();
    progress.operations.store(history.len() as u64, Relaxed);
    progress.keys.store(objects.len() as u64, Relaxed);
    let all: Vec<usize> = (0..objects.len()).collect();
    let first = |object: &Object| FIRST + FIRST_PER_OPERATION * object.rows.len() as u64;
    let bound = budget.configurations() / objects.len().max(1) as u64;
    let mut answers: Vec<Option<Keyed>> = fan_out(options, history.len(), &all, |at| {
        let keyed = judge(
            history,
            model,
            &objects[at],
            options,
            budget,
            first(&objects[at]).min(bound.max(1)),
        );
        if !gave_up(&keyed) {
            progress.keys_done.fetch_add(1, Relaxed);
        }
        keyed
    })
    .into_iter()
    .map(Some)
    .collect();
    let open: Vec<usize> = all
        .into_iter()
        .filter(|&at| answers[at].as_ref().is_some_and(gave_up))
        .collect();
    let used: u64 = answers.iter().flatten().map(|keyed| keyed.visited).sum();
    let left = budget.configurations().saturating_sub(used) / open.len().max(1) as u64;
    if left > 0 {
        let again = fan_out(options, history.len(), &open, |at| {
            let keyed = search::search(history, model, &objects[at], options, budget, left);
            progress.keys_done.fetch_add(1, Relaxed);
            keyed
        });
        for (&at, mut keyed) in open.iter().zip(again) {
            if let Some(before) = &answers[at] {
                keyed.visited += before.visited;
            }
            answers[at] = Some(keyed);
        }
    }
    let answers: Vec<Keyed> = answers.into_iter().flatten().collect();
    Ok(Report {
        model: model.name(),
        configurations: answers.iter().map(|keyed| keyed.visited).sum(),
        staleness: staleness(history, model, &objects, &answers, budget),
        certificates: certified(history, model, &objects, &answers, options, budget),
        objects: answers,
    })
}

/// How stale reads were. Of a legal object that is known: not at all. `None` where the budget ends
/// before it is known.
fn staleness(
    history: &History,
    model: &dyn Model,
    objects: &[Object],
    answers: &[Keyed],
    budget: &Budget,
) -> Option<Staleness> {
    let mut meter = budget.meter();
    let mut worst: Option<Staleness> = None;
    for (object, keyed) in objects.iter().zip(answers) {
        let one = match keyed.answer {
            Answer::Legal(_) if matches!(keyed.algorithm, "zones" | "cas-chains") => {
                Some(Staleness::default())
            }
            Answer::Legal(_) => None,
            _ => model.staleness(history, object, &mut meter).ok()?,
        };
        if let Some(one) = one {
            worst = Some(worst.unwrap_or_default().worst(one));
        }
    }
    worst
}

/// Certificates of the first illegal objects, each checked again; fewer where the budget ends.
fn certified(
    history: &History,
    model: &dyn Model,
    objects: &[Object],
    answers: &[Keyed],
    options: &Options,
    budget: &Budget,
) -> Vec<Certified> {
    let mut found = Vec::new();
    for (object, keyed) in objects.iter().zip(answers) {
        let Answer::Illegal(core) = &keyed.answer else {
            continue;
        };
        if found.len() == options.certificates {
            break;
        }
        let Ok(certificate) = certify::minimise(history, model, object, core, budget) else {
            break;
        };
        let checked = certify::verify(history, model, object, &certificate, budget);
        found.push(Certified {
            certificate,
            checked: checked.unwrap_or(Checked::TooMuch),
        });
    }
    found
}

/// The search stopped at its share, while the budget as a whole was not used up.
fn gave_up(keyed: &Keyed) -> bool {
    let why = Stop::Configurations;
    matches!(keyed.answer, Answer::Unknown { why: found, .. } if found == why)
}

/// One object: by the model's own algorithm where it has one, else by the general search.
fn judge(
    history: &History,
    model: &dyn Model,
    object: &Object,
    options: &Options,
    budget: &Budget,
    configurations: u64,
) -> Keyed {
    if !options.search_only {
        match polynomial(history, model, object, &mut budget.meter()) {
            Ok(None) => {}
            Ok(Some((algorithm, answer))) => {
                return Keyed {
                    key: object.key,
                    algorithm,
                    answer,
                    visited: 0,
                };
            }
            Err(why) => {
                return Keyed {
                    key: object.key,
                    algorithm: "",
                    answer: Answer::Unknown {
                        why,
                        proven: 0,
                        returns: 0,
                    },
                    visited: 0,
                };
            }
        }
    }
    search::search(history, model, object, options, budget, configurations)
}

/// Along the server's own order, else by the model's own algorithm.
fn polynomial(
    history: &History,
    model: &dyn Model,
    object: &Object,
    meter: &mut Meter,
) -> std::result::Result<Fast, Stop> {
    match order::judge(history, object, model, meter)? {
        Some(order) => Ok(Some(("server-order", Answer::Legal(order)))),
        None => model.fast(history, object, meter),
    }
}

/// The answers of `work` for each of `places`, in their order, by as many threads as are asked for.
fn fan_out<T: Send>(
    options: &Options,
    operations: usize,
    places: &[usize],
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = if options.threads == 0 {
        cores.min(1 + operations / THREAD_MIN)
    } else {
        options.threads
    };
    let threads = wanted.min(places.len());
    if threads <= 1 {
        return places.iter().map(|&at| work(at)).collect();
    }
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(places.len()));
    let run = || {
        let mut mine = Vec::new();
        loop {
            let turn = next.fetch_add(1, Relaxed);
            let Some(&at) = places.get(turn) else { break };
            mine.push((turn, work(at)));
        }
        if let Ok(mut found) = found.lock() {
            found.extend(mine);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where no thread can be had, this one does the work.
            let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
            let _ = builder.spawn_scoped(scope, run);
        }
        run();
    });
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|(turn, _)| *turn);
    found.into_iter().map(|(_, answer)| answer).collect()
}

/// Err for an operation whose name is not one of `fs`.
pub fn known(history: &History, model: &str, fs: &[&str]) -> Result<()> {
    let strange: Vec<bool> = history
        .fs
        .iter()
        .map(|f| !fs.contains(&f.as_str()))
        .collect();
    if !strange.contains(&true) {
        return Ok(());
    }
    let row = history
        .f
        .iter()
        .position(|&f| strange.get(f as usize) != Some(&false));
    row.map_or(Ok(()), |row| {
        let place = format!("operation of model {model}");
        let text = unknown(&place, history.f_of(row), fs);
        Err(Error::new(format!("event {}: {text}", history.inv[row])))
    })
}

/// Err for an operation that the model does not have, or whose argument it cannot read.
fn accept(history: &History, model: &dyn Model) -> Result<()> {
    if !model.any_name() {
        known(history, &model.name(), model.fs())?;
    }
    let all: Vec<bool> = history.fs.iter().map(|f| model.accepts_all(f)).collect();
    let mut last = None;
    for (row, &f) in history.f.iter().enumerate() {
        if all.get(f as usize) == Some(&true) {
            continue;
        }
        let class = Class::of(model, history, row);
        if last != Some(class) {
            if let Err(text) = model.accepts(history, &class) {
                return Err(Error::new(format!("event {}: {text}", history.inv[row])));
            }
            last = Some(class);
        }
    }
    Ok(())
}

/// "unknown KIND "NAME": did you mean "NEAREST"? (known: ...)".
pub fn unknown(kind: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|other| (distance(name, other), *other))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, other)| *distance <= other.len().max(name.len()) / 2);
    let hint = nearest.map_or(String::new(), |(_, other)| {
        format!("; did you mean {other:?}?")
    });
    format!(
        "unknown {kind}: {name:?}{hint} (known: {})",
        known.join(", ")
    )
}

/// Letters to add, drop or change, whatever their case (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
