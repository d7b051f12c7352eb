//! Damaged files through every reader, and what can be read through the check: an error or a
//! verdict, never a crash, more than 5 s or more than 1 GB; and the fast path says what the general
//! reader says.
//!
//! FUZZ=1000000 cargo test --release --test formats_fuzz -- --ignored --nocapture

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dissensus_engine::budget::{peak_bytes, reset_peak, Budget};
use dissensus_engine::check;
use dissensus_engine::error::{Error, Result};
use dissensus_engine::formats::{prepare, read, Options, Source};
use dissensus_engine::history::History;
use dissensus_engine::lint;
use dissensus_engine::model::Judge;
use dissensus_engine::models;
use dissensus_engine::spec::Spec;
use dissensus_engine::txn::{self, txns::Workload};
use dissensus_engine::values::Val;
use dissensus_engine::verdict::Answer;

/// What one file may take: an answer after that is a failure.
const TIME: Duration = Duration::from_secs(5);
const BYTES: usize = 1_000_000_000;
/// What its check may take: an answer after that is UNKNOWN.
const CHECK_NS: u64 = 20_000_000;
const CHECK_BYTES: usize = 100_000_000;
const CHECK_CONFIGURATIONS: u64 = 2_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// The hand-made files, and some lines as programs write them.
fn corpus() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/checkers/formats");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|e| e != "hex"))
        .collect();
    paths.sort();
    let mut files: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(files.len() >= 12, "{paths:?}");
    files.push(unhexed(include_str!(
        "../../../tests/checkers/formats/run.jepsen.hex"
    )));
    for shape in 0..4 {
        files.push(regular(shape).into_bytes());
    }
    files
}

fn unhexed(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    let byte = |pair: &[char]| {
        let text: String = pair.iter().collect();
        u8::from_str_radix(&text, 16).unwrap()
    };
    digits.chunks(2).map(byte).collect()
}

/// Lines alike, in one of some shapes.
fn regular(shape: usize) -> String {
    let mut random = Random(7 + shape as u64);
    let mut out = String::new();
    for i in 0..60 {
        let p = i / 2 % 3 + 5 * (i / 40);
        let kind = if i % 2 == 0 { "invoke" } else { "ok" };
        let v = random.next() >> random.below(48);
        let t = random.next() >> random.below(40);
        out += &match shape {
            0 => format!(
                "{{:process {p}, :type :{kind}, :f :write, :value {v}, :index {i}, :time {t}}}\n"
            ),
            1 => format!("{{:type :{kind} :f :txn :value [[:append {v} 1] [:r 3 nil]] :process {p} :x-tag {t}}}\n"),
            2 => format!(
                "{{\"ev\":\"op\",\"i\":{i},\"t\":{t},\"p\":{p},\"type\":\"{kind}\",\"f\":\"write\",\
                 \"k\":null,\"v\":{v},\"node\":\"n{p}\",\"err\":null}}\n"
            ),
            _ => format!("{{\"process\": {p}, \"type\": \"{kind}\", \"f\": \"cas\", \"value\": [{v}, \"{t}\"]}}\n"),
        };
    }
    out
}

fn mutate(file: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        let n = random.below(40).min(bytes.len().saturating_sub(at));
        match random.below(9) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            2 => {
                let part = bytes[at..at + n].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            3 => {
                let from = random.below(other.len());
                let to = (from + random.below(60)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            4 => {
                bytes.drain(at..at + n);
            }
            5 => {
                let odd: [&[u8]; 12] = [
                    b"\0",
                    b"\xff",
                    b"\"",
                    b"[[[[",
                    b"}",
                    b"{",
                    b"1e400",
                    b"nil",
                    b"#_",
                    b"99999999999999999999",
                    b"\\u",
                    b"\n",
                ];
                bytes.splice(at..at, odd[random.below(odd.len())].iter().copied());
            }
            6 if !bytes.is_empty() => {
                bytes[at] = b"0123456789:,;\"[]{}()# \n\t-."[random.below(26)]
            }
            7 => {
                // A whole line twice, or away.
                let start = bytes[..at]
                    .iter()
                    .rposition(|&b| b == b'\n')
                    .map_or(0, |n| n + 1);
                let end = bytes[at..]
                    .iter()
                    .position(|&b| b == b'\n')
                    .map_or(bytes.len(), |n| at + n + 1);
                let line = bytes[start..end].to_vec();
                if random.below(2) == 0 {
                    bytes.splice(start..start, line);
                } else {
                    bytes.drain(start..end);
                }
            }
            _ => {}
        }
    }
    bytes
}

fn shown(h: &History) -> String {
    let mut out = format!("{} {} {:?}", h.format, h.events, h.cut);
    let value = |v: Val| format!("{:?}", h.values.look(v)) + &h.values.json(v);
    for row in 0..h.len() {
        out += &format!(
            "\n{} {} {} {} {} {:?} {} {} {} {}",
            h.process[row],
            h.f_of(row),
            if h.key[row].is_none() {
                "-".into()
            } else {
                h.values.json(h.key[row])
            },
            h.values.json(h.arg[row]),
            if h.result[row].is_none() {
                "-".into()
            } else {
                h.values.json(h.result[row])
            },
            h.outcome[row],
            h.inv[row],
            h.ret[row],
            h.inv_ns[row],
            h.ret_ns[row],
        );
        for column in [&h.node, &h.error] {
            out += &column
                .get(row)
                .map_or(String::new(), |&v| value(v).chars().take(40).collect());
        }
        out += &h
            .hint
            .get(row)
            .map_or(String::new(), |hint| format!(" {hint}"));
    }
    for fault in &h.faults {
        out += &format!("\n{} {} {}", fault.f, fault.position, fault.time_ns);
    }
    for hole in &h.holes {
        out += &format!(
            "\n{} {} {} {}",
            hole.at, hole.position, hole.rule, hole.text
        );
    }
    out
}

fn of(bytes: &[u8], general: bool, salvage: bool) -> Result<History> {
    let options = Options {
        general,
        salvage,
        ..Options::default()
    };
    read(Source::Bytes(bytes), &options, &Budget::unlimited())
}

fn outcome(found: &Result<History>) -> (bool, String) {
    match found {
        Ok(history) => (true, shown(history)),
        Err(error) => (false, error.to_string()),
    }
}

/// What a check says of a history: "legal", "illegal", "unknown", or "refused" where no model has
/// its operations.
fn judged(mut history: History) -> &'static str {
    prepare(&mut history, None);
    let budget = Budget::new(CHECK_NS, CHECK_BYTES, CHECK_CONFIGURATIONS);
    let word = |legal: bool| if legal { "legal" } else { "illegal" };
    let verdict = || -> Result<&'static str> {
        lint::json(&lint::of_history(&history, &budget)?);
        let spec = Spec::parse(&history.guess.model)?;
        let workload = match spec.name.as_str() {
            "list-append" => Some(Workload::ListAppend),
            "rw-register" => Some(Workload::RwRegister),
            _ => None,
        };
        if let Some(workload) = workload {
            let found = txn::judge(&history, workload, &budget)?;
            found.json(&history);
            return Ok(word(found.anomalies.is_empty()));
        }
        match models::make(&spec)? {
            Judge::Object(model) => {
                let options = check::Options {
                    threads: 1,
                    ..check::Options::default()
                };
                let report = check::check(&history, &*model, &options, &budget)?;
                let any = |is: fn(&Answer) -> bool| report.objects.iter().any(|o| is(&o.answer));
                Ok(if any(|answer| matches!(answer, Answer::Illegal(_))) {
                    "illegal"
                } else if any(|answer| matches!(answer, Answer::Unknown { .. })) {
                    "unknown"
                } else {
                    "legal"
                })
            }
            Judge::Fold(fold) => {
                let found = fold.judge(&history, &mut budget.meter());
                Ok(word(found.map_err(Error::from)?.is_empty()))
            }
            Judge::Transactions(_) => Ok("refused"),
        }
    };
    verdict().unwrap_or_else(|error| match error.stop {
        Some(_) => "unknown",
        None => "refused",
    })
}

const VERDICTS: [&str; 4] = ["legal", "illegal", "unknown", "refused"];

fn fuzz(count: usize, seed: u64) {
    let corpus = corpus();
    let mut random = Random(seed);
    let (mut read, mut refused, mut kept) = (0, 0, 0);
    let mut verdicts = [0usize; VERDICTS.len()];
    let (mut longest, mut most) = (Duration::ZERO, 0);
    for turn in 0..count {
        let file = &corpus[turn % corpus.len()];
        let other = &corpus[random.below(corpus.len())];
        let bytes = mutate(file, other, &mut random);
        let salvage = turn % 3 == 0;
        reset_peak();
        let from = Instant::now();
        let found = of(&bytes, false, salvage);
        let fast = outcome(&found);
        if let Ok(history) = found {
            let verdict = judged(history);
            let at = VERDICTS.iter().position(|known| *known == verdict);
            verdicts[at.unwrap()] += 1;
        }
        longest = longest.max(from.elapsed());
        most = most.max(peak_bytes());
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            longest < TIME && most < BYTES,
            "{longest:?} {most} {:?}",
            text()
        );
        let slow = outcome(&of(&bytes, true, salvage));
        assert_eq!(fast, slow, "{:?}", text());
        read += usize::from(fast.0);
        refused += usize::from(!fast.0);
        kept += usize::from(fast.1.matches('\n').count() > 1);
    }
    println!(
        "figure: {count} damaged files: {read} read, {refused} refused, {kept} with operations; \
         the worst took {} ms and {} kB",
        longest.as_millis(),
        most / 1_000
    );
    let told = VERDICTS.iter().zip(verdicts);
    let told: Vec<String> = told.map(|(word, n)| format!("{n} {word}")).collect();
    println!("figure: of those read: {}", told.join(", "));
    assert!(read * 10 > count && refused * 10 > count && kept * 20 > count);
    assert!(verdicts[0] * 50 > count && verdicts[1] * 50 > count);
}

#[test]
fn ten_thousand_damaged_files() {
    fuzz(10_000, 1);
}

#[test]
#[ignore = "takes long: FUZZ=1000000"]
fn many_damaged_files() {
    let number = |name: &str, default| {
        std::env::var(name)
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(default)
    };
    fuzz(number("FUZZ", 100_000) as usize, number("SEED", 2));
}

#[test]
fn a_name_that_stands_twice_is_no_name_for_what_follows() {
    let twice = r#"{"process": 0, "type": "invoke", "f": "write", "value": 1, "f": "read"}"#;
    let plain = r#"{"process": 1, "type": "invoke", "f": "write", "value": 1}                "#;
    let bytes = format!("{}\n{twice}\n{plain}\n", plain.replace("\": 1,", "\": 2,"));
    let fast = outcome(&of(bytes.as_bytes(), false, false));
    assert!(fast.0 && fast.1.contains("1 write"), "{}", fast.1);
    assert_eq!(fast, outcome(&of(bytes.as_bytes(), true, false)));
}

#[test]
fn whole_files_are_read_alike() {
    for bytes in corpus() {
        let fast = outcome(&of(&bytes, false, false));
        assert!(fast.0, "{}: {}", fast.1, String::from_utf8_lossy(&bytes));
        assert_eq!(fast, outcome(&of(&bytes, true, false)));
    }
}
