//! Budgets, cancelling, threads, and a model whose states are sets of states.

use std::time::{Duration, Instant};

use super::search;
use super::tests::{agree, random_register, random_run, Random};
use crate::budget::{Budget, Stop};
use crate::check::{check, Options};
use crate::history::{History, Outcome};
use crate::model::{Class, Judge, Model, Part, Step};
use crate::spec::Spec;
use crate::split;
use crate::values::{Val, Values};
use crate::verdict::Answer;

fn cas_register() -> Box<dyn Model> {
    match crate::models::make(&Spec::parse("cas-register").unwrap()).unwrap() {
        Judge::Object(model) => model,
        _ => panic!("no object"),
    }
}

/// A register that may forget a write: its state is the set of what it may hold.
struct Forgetful;

impl Model for Forgetful {
    fn name(&self) -> String {
        "forgetful".to_string()
    }
    fn fs(&self) -> &[&'static str] {
        &["read", "write"]
    }
    fn initial(&self, _: &Values) -> Vec<u32> {
        vec![Val::NIL.0]
    }
    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        if history.fs[op.f as usize] == "write" {
            next.extend_from_slice(state);
            next.push(op.arg.0);
        } else {
            next.extend(state.iter().filter(|&&held| held == op.result.0));
        }
        next.sort_unstable();
        next.dedup();
        match next.as_slice() {
            [] => Step::No,
            same if same == state => Step::Same,
            _ => Step::To,
        }
    }
    // A read narrows the set: no operation leaves every set as it is.
    fn is_read(&self, _: &History, _: &Class) -> bool {
        false
    }
    fn is_blind(&self, _: &History, _: &Class) -> bool {
        false
    }
    fn part(&self, history: &History, op: &Class) -> Part {
        match op.outcome {
            Outcome::Ok => Part::Must,
            Outcome::Info if history.fs[op.f as usize] == "write" => Part::May,
            _ => Part::Drop,
        }
    }
    fn accepts(&self, _: &History, _: &Class) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn sets_of_states_as_brute_force_says() {
    let mut random = Random(0x0bad_cafe_1234);
    let (mut legal, mut proofs) = (0, 0);
    for _ in 0..3_000 {
        let history = random_register(&mut random, false, 10);
        legal += u64::from(agree(&history, &Forgetful, &mut proofs));
    }
    assert!((900..2_100).contains(&legal), "{legal} of 3000 are legal");
}

/// Many clients add one after the other, and nothing that they do can be told apart: hard for any
/// search. Every write has a value of its own, each is read once, and the last read is of nobody's.
fn hard(clients: u32, rounds: u32) -> History {
    let mut history = History::default();
    let (swap, read) = (history.name("cas"), history.name("read"));
    let mut position = 0;
    for round in 0..rounds {
        for client in 0..clients {
            let (from, to) = (round * 7 + client * 3, round * 5 + client);
            let pair = history.values.list(&[Val(from % 11), Val(to % 11)]);
            super::tests::push(&mut history, round * clients + client, swap, pair, position);
            position += 1;
        }
    }
    let row = history.len();
    super::tests::push(&mut history, u32::MAX / 2, read, Val::NIL, position);
    history.ret[row] = position + 1;
    history.result[row] = Val(999);
    history.outcome[row] = Outcome::Ok;
    history.events = position + 2;
    history
}

fn judge(history: &History, budget: &Budget) -> Answer {
    let options = Options {
        prepass: false,
        ..Options::default()
    };
    let object = &split::whole(history)[0];
    search(history, &Endless, object, &options, budget, u64::MAX).answer
}

/// A cas register whose state counts what happened, so that no two ways meet; a read needs more
/// than there is.
struct Endless;

impl Model for Endless {
    fn name(&self) -> String {
        "endless".to_string()
    }
    fn fs(&self) -> &[&'static str] {
        &["cas", "read"]
    }
    fn initial(&self, _: &Values) -> Vec<u32> {
        Vec::new()
    }
    fn step(&self, history: &History, state: &[u32], op: &Class, next: &mut Vec<u32>) -> Step {
        if history.fs[op.f as usize] == "read" {
            return if state.len() > 999 {
                Step::Same
            } else {
                Step::No
            };
        }
        next.extend_from_slice(state);
        next.push(op.arg.0);
        Step::To
    }
    fn is_read(&self, history: &History, op: &Class) -> bool {
        history.fs[op.f as usize] == "read"
    }
    fn is_blind(&self, _: &History, _: &Class) -> bool {
        false
    }
    fn accepts(&self, _: &History, _: &Class) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn a_search_without_end_stops_at_its_bounds() {
    let history = hard(12, 4);
    let time = Budget::new(100_000_000, usize::MAX, u64::MAX);
    assert!(matches!(
        judge(&history, &time),
        Answer::Unknown {
            why: Stop::Time,
            ..
        }
    ));
    assert!(time.used_ns() < 260_000_000, "{} ns", time.used_ns());
    let few = Budget::unlimited();
    let object = &split::whole(&history)[0];
    let options = Options {
        prepass: false,
        ..Options::default()
    };
    let keyed = search(&history, &Endless, object, &options, &few, 5_000);
    assert!(matches!(
        keyed.answer,
        Answer::Unknown {
            why: Stop::Configurations,
            proven: 0,
            returns: 1
        }
    ));
    assert!(keyed.visited <= 5_100, "{}", keyed.visited);
}

#[test]
fn a_search_without_end_stops_when_it_is_asked_to() {
    let history = hard(12, 4);
    let budget = Budget::new(30_000_000_000, usize::MAX, u64::MAX);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let found = scope.spawn(|| judge(&history, &budget));
        std::thread::sleep(Duration::from_millis(20));
        budget.cancel();
        let found = found.join().unwrap();
        assert!(matches!(
            found,
            Answer::Unknown {
                why: Stop::Interrupted,
                ..
            }
        ));
    });
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn threads_change_nothing() {
    let mut random = Random(0x0123_4567_89ab);
    let mut history = random_run(&mut random, true, 4_000);
    for row in 0..history.len() {
        // Keys of their own for those that write what they read is no matter: each is judged.
        history.key[row] = Val(history.process[row] % 7);
    }
    let answers = |threads| {
        let options = Options {
            threads,
            certificates: 0,
            ..Options::default()
        };
        let report = check(&history, &*cas_register(), &options, &Budget::unlimited()).unwrap();
        let told = |answer: &Answer| match answer {
            Answer::Legal(order) => format!("legal {order:?}"),
            Answer::Illegal(core) => format!("illegal {}", core.blocked),
            Answer::Unknown { why, .. } => format!("unknown {why:?}"),
        };
        let all = report.objects.iter();
        all.map(|keyed| (keyed.key, keyed.visited, told(&keyed.answer)))
            .collect::<Vec<_>>()
    };
    let one = answers(1);
    assert!(one.len() > 1);
    assert_eq!(one, answers(2));
    assert_eq!(one, answers(5));
}
