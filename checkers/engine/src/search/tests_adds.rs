//! Rule (h): text that is appended to and set anew, against brute force.

use super::tests::{agree, push, Random};
use crate::history::{History, Outcome};
use crate::model::{Judge, Model};
use crate::spec::Spec;
use crate::values::Val;

fn kv() -> Box<dyn Model> {
    match crate::models::make(&Spec::parse("kv-append(init=empty)").unwrap()).unwrap() {
        Judge::Object(model) => model,
        _ => panic!("no object"),
    }
}

/// Operations around the moments at which they take effect, in their order; some answers are wrong,
/// and some updates crash.
fn random_text(random: &mut Random) -> History {
    let mut history = History::default();
    let names = [
        history.name("get"),
        history.name("append"),
        history.name("put"),
    ];
    let count = 4 + random.below(6);
    let (wide, crash) = (1 + random.below(40), random.below(25));
    let mut text = String::new();
    let mut texts = vec![String::new()];
    let mut ops = Vec::new();
    for at in 0..count {
        let (inv, ret) = (
            at * 10 + 100 - random.below(wide),
            at * 10 + 100 + random.below(wide),
        );
        let what = [0, 0, 1, 1, 1, 2][random.below(6) as usize];
        let word = ["a", "b", "c"][random.below(3) as usize];
        match what {
            1 => text.push_str(word),
            2 => text = word.to_string(),
            _ => {}
        }
        texts.push(text.clone());
        let other = random.below(texts.len() as u64) as usize;
        let seen = if random.chance(12) {
            texts[other].clone()
        } else {
            text.clone()
        };
        ops.push((inv, ret, what, word, seen));
    }
    ops.sort_by_key(|op| op.0);
    let mut ends: Vec<(u64, usize, usize)> = Vec::new();
    for (row, op) in ops.iter().enumerate() {
        ends.push((op.0, 0, row));
        ends.push((op.1, 1, row));
    }
    ends.sort_unstable();
    for (position, &(_, end, row)) in ends.iter().enumerate() {
        let (_, _, what, word, seen) = &ops[row];
        if end == 0 {
            let arg = if *what == 0 {
                Val::NIL
            } else {
                history.values.string(word)
            };
            push(&mut history, row as u32, names[*what], arg, position as u32);
        } else if !random.chance(crash) {
            history.ret[row] = position as u32;
            history.outcome[row] = Outcome::Ok;
            if *what == 0 {
                history.result[row] = history.values.string(seen);
            }
        }
    }
    history.events = ends.len() as u32;
    history
}

#[test]
fn text_as_brute_force_says() {
    let mut random = Random(0x5eed_7e87);
    let (mut legal, mut proofs) = (0, 0);
    for _ in 0..4_000 {
        let history = random_text(&mut random);
        legal += u64::from(agree(&history, &*kv(), &mut proofs));
    }
    assert!((1_000..3_900).contains(&legal), "{legal} of 4000 are legal");
}
