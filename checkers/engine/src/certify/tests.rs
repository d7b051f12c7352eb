//! Certificates against brute force, for every model: what is illegal gets one that is minimal, what
//! is legal never gets one that holds.

use super::verify::{check, Checked};
use super::*;
use crate::budget::Budget;
use crate::history::{History, Outcome, OPEN};
use crate::model::{Judge, Model, Part, Step};
use crate::models;
use crate::spec::Spec;
use crate::split::Object;
use crate::verdict::Core;
use std::collections::HashSet;

/// Small numbers without end (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A model, its operations with their arguments, and results that any of them might have.
type Case = (
    &'static str,
    &'static [(&'static str, &'static [&'static str])],
    &'static [&'static str],
);

const CASES: &[Case] = &[
    (
        "register",
        &[("read", &["nil"]), ("write", &["1", "2", "3"])],
        &["nil", "1", "2", "3"],
    ),
    (
        "cas-register(failed-cas=asserts)",
        &[
            ("read", &["nil"]),
            ("write", &["1", "2"]),
            ("cas", &["[1 2]", "[2 1]", "[2 3]", "[3 2]"]),
        ],
        &["nil", "1", "2", "3", "false"],
    ),
    (
        "rmw-register",
        &[
            ("READ", &["nil"]),
            ("WRITE", &["0", "1"]),
            ("READ_MODIFY_WRITE", &["[0 1]", "[1 2]", "[2 0]"]),
        ],
        &["nil", "0", "1", "2"],
    ),
    (
        "set",
        &[
            ("add", &["1", "2"]),
            ("remove", &["1", "2"]),
            ("contains", &["1", "2"]),
        ],
        &["0", "1"],
    ),
    (
        "g-set",
        &[("add", &["1", "2", "3"]), ("read", &["nil"])],
        &["[]", "[1]", "[2]", "[1 2]", "[1 2 3]", "[3]", "nil"],
    ),
    (
        "queue",
        &[("enqueue", &["1", "2", "3"]), ("dequeue", &["nil"])],
        &["nil", "1", "2", "3"],
    ),
    (
        "stack",
        &[("push", &["1", "2", "3"]), ("pop", &["nil"])],
        &["nil", "1", "2", "3"],
    ),
    (
        "priority-queue",
        &[("insert", &["1", "2", "3"]), ("poll", &["nil"])],
        &["nil", "1", "2", "3"],
    ),
    (
        "deque",
        &[
            ("push-front", &["1", "2"]),
            ("push-back", &["3"]),
            ("pop-front", &["nil"]),
            ("pop-back", &["nil"]),
        ],
        &["nil", "1", "2", "3"],
    ),
    (
        "mutex",
        &[("acquire", &["nil"]), ("release", &["nil"])],
        &["nil", "false"],
    ),
    (
        "reentrant-mutex",
        &[("acquire", &["nil"]), ("release", &["nil"])],
        &["nil", "false"],
    ),
    (
        "semaphore(n=2)",
        &[("acquire", &["nil"]), ("release", &["nil"])],
        &["nil", "false"],
    ),
    (
        "fenced-lock",
        &[
            ("acquire", &["nil"]),
            ("release", &["nil"]),
            ("use", &["1", "2", "3"]),
        ],
        &["1", "2", "3", "nil", "false"],
    ),
    (
        "kv-append",
        &[
            ("get", &["nil"]),
            ("put", &["a", "b"]),
            ("append", &["a", "b"]),
        ],
        &["", "a", "b", "ab", "aba", "ba", "bb", "aab"],
    ),
    (
        "kv",
        &[
            ("get", &["nil"]),
            ("put", &["1", "a"]),
            ("append", &["b"]),
            ("delete", &["nil"]),
        ],
        &["1", "a", "ab", "b", "nil"],
    ),
    (
        "counter",
        &[("add", &["1", "2"]), ("read", &["nil"])],
        &["0", "1", "2", "3", "4", "5"],
    ),
    (
        "fetch-and-add",
        &[("add", &["1"]), ("read", &["nil"])],
        &["0", "1", "2", "3", "4"],
    ),
    (
        "log",
        &[("append", &["7", "8"]), ("read", &["0", "1", "2"])],
        &["0", "1", "2", "7", "8", "nil"],
    ),
    (
        "append",
        &[("append", &["1", "2"]), ("read", &["nil"])],
        &["[]", "[1]", "[2]", "[1 2]", "[2 1]", "[1 1]", "[1 2 1]"],
    ),
];

/// Models without a bound on their states.
const ENDLESS: &[&str] = &[
    "queue",
    "stack",
    "priority",
    "deque",
    "reentrant",
    "fenced",
    "kv",
    "counter",
    "fetch",
    "log",
    "append",
];

fn value(history: &mut History, text: &str) -> Val {
    if let Some(inner) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let items: Vec<Val> = inner
            .split_whitespace()
            .map(|item| value(history, item))
            .collect();
        return history.values.list(&items);
    }
    match text {
        "nil" => Val::NIL,
        "false" => Val::FALSE,
        _ => match text.parse() {
            Ok(number) => history.values.int(number),
            Err(_) => history.values.string(text),
        },
    }
}

fn model_of(name: &str) -> Box<dyn Model> {
    match models::make(&Spec::parse(name).unwrap()).unwrap() {
        Judge::Object(model) => model,
        _ => panic!("{name} is no object"),
    }
}

/// A random history: a legal run of the object, with a lie now and then.
fn history_of(case: &Case, dice: &mut Dice, operations: usize, lies: bool) -> History {
    let model = model_of(case.0);
    let mut history = History::default();
    let results: Vec<Val> = case
        .2
        .iter()
        .map(|text| value(&mut history, text))
        .collect();
    let mut state = model.initial(&history.values);
    let clients = 2 + dice.below(3);
    // Client -> its open row, and whether it took effect.
    let mut open: Vec<Option<(usize, bool)>> = vec![None; clients];
    let mut process: Vec<u32> = (0..clients as u32).collect();
    let mut now = 0;
    while history.len() < operations || open.iter().any(Option::is_some) {
        let client = dice.below(clients);
        match open[client] {
            None if history.len() < operations => {
                let (f, args) = case.1[dice.below(case.1.len())];
                let arg = args[dice.below(args.len())];
                let arg = value(&mut history, arg);
                let f = history.name(f);
                history.process.push(process[client]);
                history.f.push(f);
                history.key.push(Val::NIL);
                history.arg.push(arg);
                history.result.push(Val::NONE);
                history.outcome.push(Outcome::Info);
                history.inv.push(now);
                history.ret.push(OPEN);
                now += 1;
                open[client] = Some((history.len() - 1, false));
            }
            None => {}
            Some((row, false)) => {
                if dice.once_in(9) {
                    // It crashes, and takes effect or not.
                    let class = Class::of(&*model, &history, row);
                    let mut next = Vec::new();
                    let step = model.step(&history, &state, &class, &mut next);
                    if step == Step::To && dice.once_in(2) {
                        state = next;
                    }
                    process[client] += clients as u32;
                    open[client] = None;
                } else if happen(&mut history, &*model, &results, dice, row, &mut state, lies) {
                    open[client] = Some((row, true));
                } else if dice.once_in(4) {
                    history.outcome[row] = Outcome::Fail;
                    open[client] = Some((row, true));
                }
            }
            Some((row, true)) => {
                history.ret[row] = now;
                now += 1;
                open[client] = None;
            }
        }
    }
    history.events = now;
    history.inv_ns = vec![-1; history.len()];
    history.ret_ns = vec![-1; history.len()];
    history
}

/// The row takes effect with some result that fits, or a wrong one; false where none fits.
fn happen(
    history: &mut History,
    model: &dyn Model,
    results: &[Val],
    dice: &mut Dice,
    row: usize,
    state: &mut Vec<u32>,
    lies: bool,
) -> bool {
    let lie = lies && dice.once_in(4);
    history.outcome[row] = Outcome::Ok;
    let first = dice.below(results.len());
    for i in 0..results.len() {
        history.result[row] = results[(first + i) % results.len()];
        let class = Class::of(model, history, row);
        if model.accepts(history, &class).is_err() {
            continue;
        }
        let mut next = Vec::new();
        match model.step(history, state, &class, &mut next) {
            Step::No if lie => return true,
            Step::No => continue,
            Step::Same => return true,
            Step::To if lie && dice.once_in(2) => return true,
            Step::To => {
                *state = next;
                return true;
            }
        }
    }
    history.outcome[row] = Outcome::Info;
    history.result[row] = Val::NONE;
    false
}

/// Does any order of the rows fit? All subsets and orders, remembered.
fn legal(history: &History, model: &dyn Model, rows: &[u32]) -> bool {
    let rows: Vec<u32> = rows
        .iter()
        .copied()
        .filter(|&row| model.part(history, &Class::of(model, history, row as usize)) != Part::Drop)
        .collect();
    let must: u64 = (0..rows.len())
        .filter(|&i| {
            model.part(history, &Class::of(model, history, rows[i] as usize)) == Part::Must
        })
        .fold(0, |mask, i| mask | 1 << i);
    let mut seen = HashSet::new();
    let mut ahead = vec![(0u64, model.initial(&history.values))];
    while let Some((done, state)) = ahead.pop() {
        if done & must == must {
            return true;
        }
        if !seen.insert((done, state.clone())) {
            continue;
        }
        for (i, &row) in rows.iter().enumerate() {
            let waits = |j: usize| {
                must >> j & 1 == 1
                    && done >> j & 1 == 0
                    && history.ret[rows[j] as usize] < history.inv[row as usize]
            };
            if done >> i & 1 == 1 || (0..rows.len()).any(waits) {
                continue;
            }
            let mut next = Vec::new();
            match model.step(
                history,
                &state,
                &Class::of(model, history, row as usize),
                &mut next,
            ) {
                Step::No => {}
                Step::Same => ahead.push((done | 1 << i, state.clone())),
                Step::To => ahead.push((done | 1 << i, next)),
            }
        }
    }
    false
}

fn whole(history: &History) -> Object {
    Object {
        key: Val::NIL,
        rows: (0..history.len() as u32).collect(),
    }
}

/// The row that returns last.
fn last(history: &History) -> Option<u32> {
    let rows = 0..history.len() as u32;
    rows.filter(|&row| history.end(row as usize) != OPEN)
        .max_by_key(|&row| history.ret[row as usize])
}

fn certificate_of(history: &History, model: &dyn Model) -> Certificate {
    let core = Core {
        blocked: last(history).unwrap(),
        rows: Vec::new(),
    };
    minimise(history, model, &whole(history), &core, &Budget::unlimited()).unwrap()
}

fn holds(history: &History, model: &dyn Model, certificate: &Certificate) -> Checked {
    verify(
        history,
        model,
        &whole(history),
        certificate,
        &Budget::unlimited(),
    )
    .unwrap()
}

/// All certificates that demand one thing less.
fn weaker(history: &History, model: &dyn Model, certificate: &Certificate) -> Vec<Certificate> {
    let mut found = Vec::new();
    for (i, &row) in certificate.kept.iter().enumerate() {
        let mut less = certificate.clone();
        less.kept.remove(i);
        if let Some(class) = free_class(history, model, row) {
            let (inv, ret) = (history.inv[row as usize], history.end(row as usize));
            less.gaps.retain(|gap| {
                gap.class != class
                    || gap.before.is_some_and(|(to, _)| to <= inv)
                    || gap.after.is_some_and(|(from, _)| from >= ret)
            });
        }
        found.push(less);
    }
    for i in 0..certificate.gaps.len() {
        let mut less = certificate.clone();
        less.gaps.remove(i);
        found.push(less);
    }
    found
}

fn rounds() -> u64 {
    std::env::var("DISSENSUS_FUZZ")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(40)
}

#[test]
fn what_is_illegal_gets_a_minimal_certificate_and_what_is_legal_none() {
    for case in CASES {
        let model = model_of(case.0);
        let (mut bad, mut good, mut minimal) = (0, 0, 0);
        let (mut refuted, mut unknown) = (0, 0);
        for seed in 1..=rounds() {
            let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let operations = 3 + dice.below(6);
            let history = history_of(case, &mut dice, operations, true);
            let rows = whole(&history).rows;
            if legal(&history, &*model, &rows) {
                good += 1;
                for _ in 0..3 {
                    if let Some(lie) = any_certificate(&history, &*model, &mut dice) {
                        let checked = holds(&history, &*model, &lie);
                        assert_ne!(checked, Checked::Holds, "{} {seed} {lie:?}", case.0);
                    }
                }
                continue;
            }
            bad += 1;
            let certificate = certificate_of(&history, &*model);
            let told = format!("{} seed {seed}: {certificate:?}", case.0);
            assert_eq!(
                holds(&history, &*model, &certificate),
                Checked::Holds,
                "{told}"
            );
            minimal += usize::from(certificate.minimal);
            for less in weaker(&history, &*model, &certificate) {
                let checked = check(
                    &history,
                    &*model,
                    &whole(&history),
                    &less,
                    &Budget::unlimited(),
                );
                let checked = checked.unwrap();
                refuted += usize::from(matches!(checked, Checked::Refuted(_)));
                unknown += usize::from(checked == Checked::TooMuch);
                assert!(
                    checked != Checked::Holds || !certificate.minimal,
                    "{told}\nless: {less:?}"
                );
            }
        }
        println!(
            "{}: {good} legal, {bad} illegal, {minimal} minimal; {refuted} weakened further are \
             legal, {unknown} too much to try",
            case.0
        );
        assert!(unknown * 20 <= refuted, "{}: {unknown}, {refuted}", case.0);
        assert!(
            good * 5 > rounds() && bad * 5 > rounds(),
            "{} {good} {bad}",
            case.0
        );
        assert!(
            minimal * 100 >= bad as usize * 95,
            "{}: {minimal} of {bad}",
            case.0
        );
    }
}

/// Some certificate that could have been made for the history.
fn any_certificate(history: &History, model: &dyn Model, dice: &mut Dice) -> Option<Certificate> {
    let rows: Vec<u32> = (0..history.len() as u32)
        .filter(|&row| history.outcome[row as usize] == Outcome::Ok)
        .collect();
    let blocked = *rows.get(dice.below(rows.len()))?;
    let end = history.ret[blocked as usize];
    let mut certificate = Certificate {
        key: Val::NIL,
        model: model.name(),
        end,
        kept: Vec::new(),
        gaps: Vec::new(),
        repeat: !ENDLESS.iter().any(|name| model.name().starts_with(name)) && dice.once_in(2),
        blocked,
        minimal: true,
    };
    for row in 0..history.len() as u32 {
        let class = Class::of(model, history, row as usize);
        let counts = history.inv[row as usize] < end && model.part(history, &class) != Part::Drop;
        if counts && (row == blocked || !dice.once_in(4)) {
            certificate.kept.push(row);
        } else if let (Some(class), true) = (free_class(history, model, row), dice.once_in(2)) {
            let (inv, ret) = (history.inv[row as usize], history.end(row as usize));
            let before = Some((inv, row));
            let after = (ret != OPEN).then_some((ret, row));
            let side = dice.once_in(2);
            if !side && after.is_none() {
                continue;
            }
            certificate.gaps.push(Gap {
                class,
                after: if side { None } else { after },
                before: if side { before } else { None },
            });
        }
    }
    Some(certificate)
}

#[test]
fn tampered_certificates_are_refused() {
    let mut refused = 0;
    for case in CASES {
        let model = model_of(case.0);
        for seed in 1..=rounds() / 6 {
            let mut dice = Dice(seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
            let history = history_of(case, &mut dice, 7, true);
            if legal(&history, &*model, &whole(&history).rows) {
                continue;
            }
            let right = certificate_of(&history, &*model);
            let no = |wrong: &Certificate, what: &str| {
                let checked = holds(&history, &*model, wrong);
                assert_ne!(
                    checked,
                    Checked::Holds,
                    "{} {seed} {what}: {wrong:?}",
                    case.0
                );
                1
            };
            let change = |how: &dyn Fn(&mut Certificate)| {
                let mut wrong = right.clone();
                how(&mut wrong);
                wrong
            };
            refused += no(&change(&|c| c.model = "another".into()), "model");
            refused += no(&change(&|c| c.key = Val::TRUE), "key");
            refused += no(&change(&|c| c.end += 1), "end later");
            refused += no(&change(&|c| c.end = 0), "end at first");
            refused += no(
                &change(&|c| c.kept.push(history.len() as u32)),
                "a row that is none",
            );
            refused += no(&change(&|c| c.blocked = u32::MAX), "blocked is none");
            refused += no(&change(&|c| c.kept.clear()), "nothing kept");
            for gap in 0..right.gaps.len() {
                let wider = change(&|c| {
                    c.gaps[gap].before = None;
                    c.gaps[gap].after = None;
                });
                refused += no(&wider, "a gap over all");
            }
            if right.minimal {
                for less in weaker(&history, &*model, &right) {
                    refused += no(&less, "one thing less");
                }
            }
        }
    }
    assert!(refused > 10 * rounds(), "{refused}");
}

#[test]
fn orders_are_replayed() {
    for case in CASES {
        let model = model_of(case.0);
        let mut swapped = 0;
        for seed in 1..=rounds() / 3 {
            let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let history = history_of(case, &mut dice, 7, false);
            let object = whole(&history);
            let Some(order) = some_order(&history, &*model, &object.rows) else {
                panic!("{} {seed}: a run of the model is legal", case.0);
            };
            assert_eq!(
                replay(&history, &*model, &object, &order),
                Ok(()),
                "{} {seed}",
                case.0
            );
            let twice = [order.clone(), order.clone()].concat();
            assert!(order.is_empty() || replay(&history, &*model, &object, &twice).is_err());
            for i in 1..order.len() {
                let mut wrong = order.clone();
                wrong.swap(i - 1, i);
                let late = history.end(order[i - 1] as usize) < history.inv[order[i] as usize];
                let said = replay(&history, &*model, &object, &wrong);
                assert!(!late || said.is_err(), "{} {seed}: real time", case.0);
                swapped += usize::from(late);
                let mut less = order.clone();
                let gone = less.remove(i);
                if model.part(&history, &Class::of(&*model, &history, gone as usize)) == Part::Must
                {
                    assert!(replay(&history, &*model, &object, &less).is_err());
                }
            }
        }
        assert!(swapped > 0, "{}", case.0);
    }
}

/// A legal order, by trying.
fn some_order(history: &History, model: &dyn Model, rows: &[u32]) -> Option<Vec<u32>> {
    let rows: Vec<u32> = rows
        .iter()
        .copied()
        .filter(|&row| model.part(history, &Class::of(model, history, row as usize)) != Part::Drop)
        .collect();
    let mut seen = HashSet::new();
    let mut ahead = vec![(Vec::<u32>::new(), model.initial(&history.values))];
    while let Some((order, state)) = ahead.pop() {
        let waiting = |row: &&u32| {
            !order.contains(row)
                && model.part(history, &Class::of(model, history, **row as usize)) == Part::Must
        };
        let bound = rows
            .iter()
            .filter(waiting)
            .map(|&row| history.ret[row as usize])
            .min();
        let Some(bound) = bound else {
            return Some(order);
        };
        let mut done = order.clone();
        done.sort_unstable();
        if !seen.insert((done, state.clone())) {
            continue;
        }
        for &row in &rows {
            if order.contains(&row) || history.inv[row as usize] > bound {
                continue;
            }
            let mut next = Vec::new();
            let after = match model.step(
                history,
                &state,
                &Class::of(model, history, row as usize),
                &mut next,
            ) {
                Step::No => continue,
                Step::Same => state.clone(),
                Step::To => next,
            };
            let mut longer = order.clone();
            longer.push(row);
            ahead.push((longer, after));
        }
    }
    None
}
