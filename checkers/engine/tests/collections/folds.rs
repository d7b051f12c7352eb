//! Jepsen's folds on histories made by hand: each rule fires where it must, and not elsewhere.

use dissensus_engine::budget::Budget;
use dissensus_engine::formats::{read, Options, Source};
use dissensus_engine::model::Judge;
use dissensus_engine::models;
use dissensus_engine::spec::Spec;

/// What a fold finds in a history of "process type f value" lines: rule, rows, sentence.
fn find(model: &str, lines: &[&str]) -> Vec<String> {
    let edn: String = lines
        .iter()
        .map(|line| {
            let mut words = line.splitn(4, ' ');
            let mut next = || words.next().expect("four words");
            let (process, kind, f, value) = (next(), next(), next(), next());
            format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}}}\n")
        })
        .collect();
    let budget = Budget::unlimited();
    let history =
        read(Source::Bytes(edn.as_bytes()), &Options::default(), &budget).expect("a history");
    let Ok(Judge::Fold(fold)) = models::make(&Spec::parse(model).expect("a name")) else {
        panic!("{model} is no fold");
    };
    let again = models::make(&Spec::parse(&fold.name()).expect("its own name"));
    assert!(matches!(again, Ok(Judge::Fold(_))), "{}", fold.name());
    let mut meter = budget.meter();
    fold.judge(&history, &mut meter)
        .expect("no bound")
        .into_iter()
        .map(|found| format!("{} {:?} {}", found.rule, found.rows, found.text))
        .collect()
}

#[test]
fn jepsens_set() {
    let add = [
        "0 invoke add 1",
        "0 ok add 1",
        "1 invoke add 2",
        "1 info add 2",
    ];
    let judge = |found: &str| {
        let read = [
            "0 invoke read nil".to_string(),
            format!("0 ok read {found}"),
        ];
        find("jepsen-set", &[&add[..], &[&read[0], &read[1]]].concat())
    };
    assert_eq!(judge("[1]"), [""; 0]);
    assert_eq!(judge("[1 2 2]"), [""; 0]);
    assert_eq!(judge("nil"), [""; 0]);
    assert_eq!(
        judge("#{2}"),
        ["lost [0, 2] (1) added 1, and the last read (2) does not have it"]
    );
    assert_eq!(
        judge("[1 7 7]"),
        ["unexpected [2] (1) found 7, which nobody added"]
    );
}

#[test]
fn sets_in_full() {
    let lines = [
        "0 invoke add [0 1]",
        "0 ok add [0 1]",
        "1 invoke add [0 2]",
        "1 info add [0 2]",
        "0 invoke read nil",
        "0 ok read []",
        "0 invoke read nil",
        "0 ok read [1]",
    ];
    assert_eq!(find("set-full", &lines), [""; 0], "stale for a while");
    assert_eq!(
        find("set-full(linearizable=yes)", &lines),
        ["stale [0, 2] (1) added 1, it was there, and (2), which began later, does not have it"]
    );
    assert_eq!(
        find("set-full", &lines[..6]),
        ["lost [0, 2] (1) added 1, and no read from (2) on has it"]
    );
    assert_eq!(find("set-full", &lines[..4]), [""; 0], "never read");
    let twice = [&lines[..4], &["0 invoke read nil", "0 ok read [1 2 1]"]].concat();
    assert_eq!(
        find("set-full", &twice),
        ["duplicate [2] (1) found 1 more than once"]
    );
    let other = [&lines[..4], &["0 invoke read nil", "0 ok read [1 3]"]].concat();
    assert_eq!(
        find("set-full", &other),
        ["unexpected [2] (1) found 3, which nobody added"]
    );
}

#[test]
fn queues_in_total() {
    let lines = [
        "0 invoke enqueue 1",
        "0 ok enqueue 1",
        "0 invoke enqueue 2",
        "0 ok enqueue 2",
        "1 invoke dequeue nil",
        "1 ok dequeue 1",
        "1 invoke drain nil",
        "1 ok drain [2 1]",
    ];
    assert_eq!(find("total-queue", &lines), [""; 0]);
    assert_eq!(
        find("total-queue(duplicates=wrong)", &lines),
        ["duplicate [2, 3] 1 was enqueued 1 times and dequeued 2 times"]
    );
    assert_eq!(
        find("total-queue", &lines[..6]),
        ["lost [1] (1) enqueued 2, and nobody dequeued it"]
    );
    let crash = |n: usize| {
        let more = ["2 invoke dequeue nil", "2 info dequeue nil"];
        find("total-queue", &[&lines[..n], &more[..]].concat())
    };
    assert_eq!(crash(6), [""; 0], "the dequeue that crashed may have it");
    assert_eq!(
        crash(4),
        ["lost [0, 1, 2] 2 elements were enqueued and never dequeued, and only 1 dequeues crashed"]
    );
    let wrong = [&lines[..], &["1 invoke dequeue nil", "1 ok dequeue 9"]].concat();
    assert_eq!(
        find("total-queue", &wrong),
        ["unexpected [4] (1) dequeued 9, which nobody enqueued"]
    );
}

#[test]
fn banks() {
    let first = ["0 invoke read nil", "0 ok read {0 10, 1 10}"];
    let judge = |model: &str, found: &str| {
        let more = [
            "1 invoke read nil".to_string(),
            format!("1 ok read {found}"),
        ];
        find(model, &[&first[..], &[&more[0], &more[1]]].concat())
    };
    assert_eq!(judge("bank", "{0 3, 1 17}"), [""; 0]);
    assert_eq!(judge("bank", "nil"), [""; 0]);
    assert_eq!(
        judge("bank", "{0 3, 1 18}"),
        ["wrong-total [0, 1] (2) found 21 in all, not 20"]
    );
    assert_eq!(
        judge("bank", "{0 -1, 1 21}"),
        ["negative-balance [1] (1) found -1 in account 0"]
    );
    assert_eq!(judge("bank(negative=yes)", "{0 -1, 1 21}"), [""; 0]);
    assert_eq!(
        judge("bank(total=21)", "{0 3, 1 18}"),
        ["wrong-total [0] (1) found 20 in all, not 21"]
    );
}

#[test]
fn long_forks() {
    let judge = |one: &str, other: &str| {
        let lines = [one, other].map(|found| format!("0 ok read [{found}]"));
        let begin = "0 invoke read nil";
        find(
            "long-fork(group-size=2)",
            &[begin, &lines[0], begin, &lines[1]],
        )
    };
    assert_eq!(judge("[:r 0 1] [:r 1 nil]", "[:r 1 1] [:r 0 1]"), [""; 0]);
    assert_eq!(judge("[:r 0 1] [:r 1 nil]", "[:r 2 1] [:r 0 nil]"), [""; 0]);
    assert_eq!(
        judge("[:r 0 1] [:r 1 nil]", "[:r 1 1] [:r 0 nil]"),
        ["long-fork [0, 1] (1) saw the write of 0 and not that of 1, (2) the other way round"]
    );
    assert_eq!(
        judge("[:r 0 1] [:r 1 nil]", "[:r 0 2] [:r 1 nil]"),
        ["two-values [0, 1] (1) and (2) found two values of key 0"]
    );
}

#[test]
fn leases() {
    let judge = |model: &str, middle: &[&str]| {
        let mut lines = vec!["0 invoke acquire nil", "0 ok acquire [10 50]"];
        lines.extend(middle);
        lines.extend(["1 invoke acquire nil", "1 ok acquire {:from 40, :until 90}"]);
        find(model, &lines)
    };
    let both = "two-holders [0, 1] (1) and (2) gave leases to two holders at once: one until 50, \
                the other from 40 on";
    assert_eq!(judge("lease", &[]), [both]);
    assert_eq!(judge("lease(eps=4)", &[]), [both]);
    assert_eq!(judge("lease(eps=5)", &[]), [""; 0]);
    assert_eq!(
        judge("lease", &["0 invoke release nil", "0 ok release nil"]),
        [""; 0]
    );
    let again = ["0 invoke renew nil", "0 ok renew [20 30]"];
    assert_eq!(judge("lease", &again).len(), 1, "the longest counts");
}
