//! Figures of a history for its summary: counts, times, and whether reads saw what was written.

use rustc_hash::FxHashSet;

use crate::budget::{Meter, Stop};
use crate::history::{History, Outcome};
use crate::values::{json_string, Val};

/// What clients call a read.
const READS: [&str; 2] = ["read", "get"];
/// So many answers of reads are looked for among the writes before all writes are remembered.
const SAMPLE: usize = 4096;

/// Counts of a history.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    /// (ok, info, fail) of each name, in the order of `History::fs`.
    pub by_f: Vec<[u64; 3]>,
    /// The earliest and the latest time, -1 where there is none.
    pub first_ns: i64,
    pub last_ns: i64,
    /// Some read answered with a value that was written to its key.
    pub read_saw_write: bool,
}

impl Summary {
    pub fn of(history: &History, meter: &mut Meter) -> Result<Summary, Stop> {
        let mut by_f = vec![[0; 3]; history.fs.len()];
        for (&f, &outcome) in history.f.iter().zip(&history.outcome) {
            let place = match outcome {
                Outcome::Ok => 0,
                Outcome::Info => 1,
                Outcome::Fail => 2,
            };
            by_f[f as usize][place] += 1;
        }
        let times = || history.inv_ns.iter().copied().filter(|&ns| ns >= 0);
        let returns = history.ret_ns.iter().copied().max().unwrap_or(-1);
        Ok(Summary {
            by_f,
            first_ns: times().min().unwrap_or(-1),
            last_ns: times().max().unwrap_or(-1).max(returns),
            read_saw_write: saw(history, meter)?,
        })
    }

    /// {"by_f": [[name, ok, info, fail]], "first_ns", "last_ns", "read_saw_write"}.
    pub fn json(&self, history: &History) -> String {
        let mut out = String::from("{\"by_f\":[");
        for (at, (name, [ok, info, fail])) in history.fs.iter().zip(&self.by_f).enumerate() {
            out.push_str(if at > 0 { ",[" } else { "[" });
            json_string(name, &mut out);
            out.push_str(&format!(",{ok},{info},{fail}]"));
        }
        out.push_str(&format!(
            "],\"first_ns\":{},\"last_ns\":{},\"read_saw_write\":{}}}",
            self.first_ns, self.last_ns, self.read_saw_write
        ));
        out
    }
}

/// What an update may have written; the new value of a cas is the second of its pair.
fn written(history: &History, row: usize) -> Val {
    let arg = history.arg[row];
    match history.values.as_list(arg) {
        Some([_, new]) if history.f_of(row) == "cas" => *new,
        _ => arg,
    }
}

/// A few of the answers suffice nearly always; else all writes are remembered.
fn saw(history: &History, meter: &mut Meter) -> Result<bool, Stop> {
    let is_read: Vec<bool> = history
        .fs
        .iter()
        .map(|name| READS.contains(&name.as_str()))
        .collect();
    let reads = |row: &usize| is_read[history.f[*row] as usize];
    let answered = (0..history.len())
        .filter(reads)
        .filter(|&row| history.outcome[row] == Outcome::Ok);
    let mut answers: FxHashSet<(Val, Val)> = FxHashSet::default();
    let mut left_over = false;
    for row in answered.clone() {
        if answers.len() > SAMPLE {
            left_over = true;
            break;
        }
        let (key, found) = (history.key[row], history.result[row]);
        answers.insert((key, found));
        let parts = history.values.as_items(found).unwrap_or(&[]);
        answers.extend(parts.iter().map(|&part| (key, part)));
    }
    let writes = (0..history.len())
        .filter(|row| !reads(row))
        .filter(|&row| history.outcome[row] != Outcome::Fail);
    for row in writes.clone() {
        meter.tick()?;
        if answers.contains(&(history.key[row], written(history, row))) {
            return Ok(true);
        }
    }
    if !left_over {
        return Ok(false);
    }
    meter.budget().fits(history.len() * 16)?;
    let mut all: FxHashSet<(Val, Val)> = FxHashSet::default();
    for row in writes {
        meter.tick()?;
        all.insert((history.key[row], written(history, row)));
    }
    for row in answered {
        meter.tick()?;
        let (key, found) = (history.key[row], history.result[row]);
        let parts = history.values.as_items(found).unwrap_or(&[]);
        if all.contains(&(key, found)) || parts.iter().any(|&part| all.contains(&(key, part))) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::formats::{read, Options, Source};

    fn of(text: &str) -> Summary {
        let budget = Budget::unlimited();
        let history = read(Source::Bytes(text.as_bytes()), &Options::default(), &budget).unwrap();
        Summary::of(&history, &mut budget.meter()).unwrap()
    }

    #[test]
    fn counts_and_times() {
        let found = of("{:process 0, :type :invoke, :f :write, :value 3, :time 5}
            {:process 0, :type :ok, :f :write, :value 3, :time 9}
            {:process 1, :type :invoke, :f :read, :time 10}
            {:process 1, :type :ok, :f :read, :value 3, :time 12}
            {:process 1, :type :invoke, :f :read, :time 13}");
        assert_eq!(found.by_f, [[1, 0, 0], [1, 1, 0]]);
        assert_eq!((found.first_ns, found.last_ns), (5, 13));
        assert!(found.read_saw_write);
    }

    #[test]
    fn a_read_of_another_value_saw_nothing_that_was_written() {
        let write = "{:process 0, :type :invoke, :f :cas, :value [1 2]}";
        let read = "{:process 1, :type :invoke, :f :read}{:process 1, :type :ok, :f :read, :value";
        assert!(!of(&format!("{write}{read} 1}}")).read_saw_write);
        assert!(of(&format!("{write}{read} 2}}")).read_saw_write);
        assert!(of(&format!("{write}{read} [7 2]}}")).read_saw_write);
    }
}
