//! Histories of jepsen.independent: many objects of one kind, each operation's value is `[key value]`.
//!
//! EDN does not tell such a pair from a list of two, as the `[old new]` of a cas. A history is lifted
//! (the first of the pair becomes the key, the second the value) only if all of this holds:
//!
//! * no operation has a key of its own, and the model takes each key as an object of its own;
//! * every operation was invoked with a list of two, and every one that succeeded completed with a
//!   list of two that begins with the same key;
//! * an operation whose own value is a pair (cas, read-modify-write) has `[key [old new]]`;
//! * something shows that the first is a key: an operation other than those that was invoked with
//!   `[key nil]`, as reads are, or one of those with its `[key [old new]]`.

use crate::history::{History, Outcome};
use crate::model::Judge;
use crate::models;
use crate::planted;
use crate::spec::Spec;
use crate::values::{Val, Values};

/// The columns of a lifted history.
pub struct Lifted {
    key: Vec<Val>,
    arg: Vec<Val>,
    result: Vec<Val>,
}

impl Lifted {
    /// Put these columns in, and get those that were there.
    pub fn swap(&mut self, history: &mut History) {
        std::mem::swap(&mut self.key, &mut history.key);
        std::mem::swap(&mut self.arg, &mut history.arg);
        std::mem::swap(&mut self.result, &mut history.result);
    }
}

/// Whether the model of a name takes each key as an object of its own.
pub fn is_keyed(spec: &Spec) -> bool {
    matches!(models::make(spec), Ok(Judge::Object(model)) if model.by_key())
}

/// Operations whose own value is a pair.
fn takes_pair(name: &str) -> bool {
    let plain = models::said::plain(name);
    matches!(
        plain.as_str(),
        "cas" | "compareandset" | "compareandswap" | "rmw" | "readmodifywrite"
    )
}

fn pair(values: &Values, value: Val) -> Option<(Val, Val)> {
    match values.as_list(value)? {
        &[first, second] => Some((first, second)),
        _ => None,
    }
}

/// The history with its keys lifted, where its values are those of jepsen.independent.
pub fn lifted(history: &History) -> Option<Lifted> {
    let values = &history.values;
    let pairs: Vec<bool> = history.fs.iter().map(|name| takes_pair(name)).collect();
    let mut shown = false;
    let n = history.len();
    // Most histories end here, at their first operation.
    pair(values, *history.arg.first()?)?;
    let mut new = Lifted {
        key: Vec::with_capacity(n),
        arg: Vec::with_capacity(n),
        result: Vec::with_capacity(n),
    };
    for row in 0..n {
        if !history.key[row].is_none() {
            return None;
        }
        let (key, arg) = pair(values, history.arg[row])?;
        let of_pairs = planted!("lift-cas", pairs[history.f[row] as usize], false);
        if of_pairs {
            pair(values, arg)?;
        }
        shown |= of_pairs || arg.is_nil();
        let result = match pair(values, history.result[row]) {
            Some((other, result)) if other == key => result,
            _ if history.outcome[row] == Outcome::Ok => return None,
            // What an operation that did not succeed says beside its key.
            _ => history.result[row],
        };
        new.key.push(key);
        new.arg.push(arg);
        new.result.push(result);
    }
    shown.then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::formats::{read, Options, Source};

    fn keys(lines: &str) -> Option<Vec<String>> {
        let mut text = String::new();
        for (process, line) in lines.lines().enumerate() {
            let (f, rest) = line.split_once(' ').unwrap();
            let (arg, result) = rest.split_once(" -> ").unwrap();
            text += &format!("{{:process {process} :type :invoke :f :{f} :value {arg}}}\n");
            text += &format!("{{:process {process} :type :ok :f :{f} :value {result}}}\n");
        }
        let budget = Budget::unlimited();
        let options = Options::default();
        let mut history = read(Source::Bytes(text.as_bytes()), &options, &budget).unwrap();
        let mut new = lifted(&history)?;
        new.swap(&mut history);
        let shown = |row: usize| {
            let json = |value| history.values.json(value);
            let (key, arg) = (json(history.key[row]), json(history.arg[row]));
            format!("{key} {arg} {}", json(history.result[row]))
        };
        Some((0..history.len()).map(shown).collect())
    }

    #[test]
    fn pairs_with_a_read_or_a_nested_cas_are_lifted() {
        let found = keys("write [7 1] -> [7 1]\nread [7 nil] -> [7 1]\nread [8 nil] -> [8 nil]");
        assert_eq!(found.unwrap(), ["7 1 1", "7 null 1", "8 null null"]);
        let found = keys("cas [:x [1 2]] -> [:x [1 2]]");
        assert_eq!(found.unwrap(), ["\"x\" [1,2] [1,2]"]);
    }

    #[test]
    fn pairs_of_old_and_new_are_not() {
        assert!(keys("cas [1 2] -> [1 2]\ncas [2 nil] -> [2 nil]").is_none());
        assert!(keys("write [1 2] -> [1 2]\nread nil -> [1 2]").is_none());
        assert!(keys("write [1 2] -> [1 2]\nwrite [3 4] -> [3 4]").is_none());
        assert!(keys("read [7 nil] -> [8 1]").is_none());
        assert!(keys("add [0 1] -> [0 1]\nread nil -> #{1}").is_none());
        assert!(keys("read [7 nil] -> [7 nil]\ncas [1 2] -> [1 2]").is_none());
    }

    #[test]
    fn only_models_with_keys_are_lifted_for() {
        for (text, keyed) in [
            ("cas-register", true),
            ("queue", true),
            ("multi-register", false),
            ("unique-ids", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_keyed(&Spec::parse(text).unwrap()), keyed, "{text}");
        }
    }
}
