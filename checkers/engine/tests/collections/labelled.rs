//! Histories that others published, with the verdicts that they gave.

use std::path::PathBuf;

use dissensus_engine::budget::Budget;
use dissensus_engine::check::{check, Options};
use dissensus_engine::formats::{self, read, Source};
use dissensus_engine::model::Judge;
use dissensus_engine::models;
use dissensus_engine::spec::Spec;
use dissensus_engine::verdict::Answer;

const MODELS: &[&str] = &[
    "queue",
    "stack",
    "priority-queue",
    "deque",
    "set",
    "semaphore",
    "mutex",
    "bank",
    "jepsen-set",
    "long-fork",
];

fn histories() -> Option<PathBuf> {
    let shared = match std::env::var("DISSENSUS_SHARED") {
        Ok(path) => PathBuf::from(path),
        Err(_) => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let folder = shared.join("histories");
    folder.join("index.csv").is_file().then_some(folder)
}

#[test]
fn published_verdicts() {
    let Some(folder) = histories() else {
        println!("skipped: no published histories here; DISSENSUS_SHARED names their folder");
        return;
    };
    let index = std::fs::read_to_string(folder.join("index.csv")).expect("an index");
    let mut count = 0;
    for line in index.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let spec = Spec::parse(fields[2]).expect("a model");
        if !MODELS.contains(&spec.name.as_str()) {
            continue;
        }
        count += 1;
        let budget = Budget::unlimited();
        let path = folder.join(fields[0]);
        let history = read(Source::Path(&path), &formats::Options::default(), &budget)
            .unwrap_or_else(|error| panic!("{}: {error}", fields[0]));
        let legal = match models::make(&spec).expect("a model") {
            Judge::Fold(fold) => {
                let found = fold.judge(&history, &mut budget.meter()).expect("no bound");
                found.is_empty()
            }
            Judge::Object(model) => {
                let report = check(&history, &*model, &Options::default(), &budget)
                    .unwrap_or_else(|error| panic!("{}: {error}", fields[0]));
                let legal = |answer: &Answer| matches!(answer, Answer::Legal(_));
                report.objects.iter().all(|keyed| legal(&keyed.answer))
            }
            Judge::Transactions(_) => panic!("{}", fields[2]),
        };
        assert_eq!(legal, fields[3] == "VALID", "{} {}", fields[0], fields[2]);
    }
    assert!(count >= 19, "{count} rows");
}
