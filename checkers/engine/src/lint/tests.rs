use super::*;
use crate::formats::{Options, Source};

const CLEAN: &str = "\
{:index 0 :time 10 :process 0 :type :invoke :f :write :value 1}
{:index 1 :time 20 :process 1 :type :invoke :f :read :value nil}
{:index 2 :time 25 :process :nemesis :type :info :f :kill :value nil}
{:index 3 :time 30 :process 0 :type :ok :f :write :value 1}
{:index 4 :time 40 :process 1 :type :ok :f :read :value 1}
{:index 5 :time 50 :process 0 :type :invoke :f :cas :value [1 2]}
{:index 6 :time 60 :process 0 :type :fail :f :cas :value [1 2] :error :precondition}
{:index 7 :time 70 :process 2 :type :invoke :f :txn :value [[:r :x nil] [:append :x 7]]}
{:index 8 :time 80 :process 2 :type :ok :f :txn :value [[:r :x []] [:append :x 7]]}
";

fn found(text: &str) -> Vec<Lint> {
    let source = Source::Bytes(text.as_bytes());
    of_file(source, &Options::default(), &Budget::unlimited())
        .unwrap()
        .0
}

/// The clean history with more lines behind it, whose indices and times go on.
fn with(lines: &[&str]) -> String {
    let mut text = CLEAN.to_string();
    for (i, line) in lines.iter().enumerate() {
        text += &format!("{{:index {} :time {} {line}}}\n", 9 + i, 100 + i);
    }
    text
}

#[test]
fn a_clean_history_has_no_findings() {
    assert_eq!(found(CLEAN), []);
}

#[test]
fn every_rule_fires_alone() {
    let invoke = |f: &str| format!(":process 5 :type :invoke :f {f}");
    let done = |kind: &str, f: &str| format!(":process 5 :type :{kind} :f {f}");
    let both = |f: &str, kind: &str, g: &str| with(&[&invoke(f), &done(kind, g)]);
    let write = ":write :value 3";
    let failed = [
        invoke(":write :value 9"),
        done("fail", ":write :value 9"),
        invoke(":read :value nil"),
        done("ok", ":read :value 9"),
    ];
    let twice = |f: &str| {
        let lines = [invoke(f), done("ok", f), invoke(f), done("ok", f)];
        with(&lines.each_ref().map(String::as_str))
    };
    let reused = [
        invoke(write),
        done("info", write),
        invoke(":read"),
        done("ok", ":read :value 1"),
    ];
    let refused = ":write :value 3 :error \"connection refused\"";
    let cases = [
        (
            "failed-write-read",
            with(&failed.each_ref().map(String::as_str)),
            "saw 9 (event 11)",
        ),
        (
            "value-twice",
            twice(":enqueue :value 4"),
            "1 message was sent more than once (event 10",
        ),
        (
            "value-twice",
            twice(":txn :value [[:append :y 4]]"),
            "1 transaction writes",
        ),
        (
            "other-value",
            both(write, "ok", ":write :value 4"),
            "write 3 and completed 4",
        ),
        (
            "other-value",
            both(":txn :value [[:w 1 2]]", "ok", ":txn :value [[:w 1 3]]"),
            "another value",
        ),
        (
            "nil-read",
            both(":read", "ok", ":read :value nil"),
            "1 read after a write",
        ),
        (
            "indefinite-fail",
            both(write, "fail", ":write :value 3 :error [:timeout]"),
            "timeout",
        ),
        (
            "process-reused",
            with(&reused.each_ref().map(String::as_str)),
            "process 5 at event 10",
        ),
        (
            "never-completed",
            with(&[&invoke(write)]),
            "write 3, event 8",
        ),
        (
            "no-invocation",
            with(&[&done("ok", write)]),
            "without an invoke",
        ),
        (
            "other-key",
            both(":write :key 1 :value 3", "ok", ":write :key 2 :value 3"),
            "key 2",
        ),
        (
            "unreadable",
            with(&[&invoke(write), &done("ok", write), ":type"]),
            "cannot be read",
        ),
        (
            "index-sparse",
            CLEAN.replace(":index 8", ":index 11"),
            "3 indices are missing",
        ),
        (
            "clock-back",
            CLEAN.replace(":time 40", ":time 29"),
            "at most 1 ns back",
        ),
    ];
    for (code, text, words) in cases {
        let found = found(&text);
        let codes: Vec<&str> = found.iter().map(|lint| lint.code).collect();
        let only = codes.iter().filter(|&&other| other != "never-completed");
        if code == "other-key" {
            // What was invoked stays open.
            assert_eq!(only.collect::<Vec<_>>(), [&code], "{text}");
        } else {
            assert_eq!(codes, [code], "{text}{found:?}");
        }
        assert!(found[0].text.contains(words), "{code}: {}", found[0].text);
        assert_eq!(found[0].code, code);
        assert!(!found[0].places.is_empty(), "{code}");
    }
    // And those that must not: a definite error, a failed read, a nil before any write.
    assert_eq!(found(&twice(":write :value 4")), []);
    assert_eq!(found(&both(write, "fail", refused)), []);
    assert_eq!(found(&both(":read", "fail", ":read :error :timeout")), []);
    assert_eq!(
        found(&CLEAN.replace(":f :read :value 1", ":f :read :value nil")),
        []
    );
}

#[test]
fn what_fires_together() {
    let codes =
        |text: &str| -> Vec<&'static str> { found(text).iter().map(|lint| lint.code).collect() };
    let open = ":process 5 :type :invoke :f :write :value 3";
    assert_eq!(codes(&with(&[open, open]))[0], "still-open");
    let other = ":process 5 :type :ok :f :read :value 3";
    assert_eq!(
        codes(&with(&[open, other])),
        ["other-name", "never-completed"]
    );
    let twice = CLEAN.replace(":index 8", ":index 7");
    assert_eq!(codes(&twice), ["index-duplicate"]);
    let back = CLEAN
        .replace(":index 7", ":index 70")
        .replace(":index 8", ":index 69");
    assert_eq!(codes(&back), ["index-back", "index-sparse"]);
    assert_eq!(
        codes(&CLEAN[..CLEAN.len() - 20]),
        ["cut", "never-completed"]
    );
}

#[test]
fn a_finding_names_its_line() {
    let text = CLEAN.replace(":time 40", ":time 29");
    let far = CLEAN.replace(":time 20", ":time 2000000");
    assert_eq!(found(&far)[0].severity, Severity::Warning);
    // A last line without its end is a whole line.
    assert_eq!(found(CLEAN.trim_end()), []);
    let found = found(&text);
    assert_eq!(found[0].places, [Place::Line { line: 5, column: 1 }]);
    let json = json(&found);
    assert!(json.starts_with(r#"[{"code":"clock-back","severity":"note","count":1,"rows":[1],"#));
    assert!(
        json.contains(r#""places":["5:1"],"text":"1 event has"#),
        "{json}"
    );
}

#[test]
fn keys_in_tuples_and_columns_alone() {
    let text = "\
{:process 0 :type :invoke :f :write :value [:k 1]}
{:process 0 :type :ok :f :write :value [:k 1]}
{:process 0 :type :invoke :f :read :value [:k nil]}
{:process 0 :type :ok :f :read :value [:k nil]}
{:process 0 :type :invoke :f :read :value [:other nil]}
{:process 0 :type :ok :f :read :value [:other nil]}
";
    let (found, history) = {
        let source = Source::Bytes(text.as_bytes());
        of_file(source, &Options::default(), &Budget::unlimited()).unwrap()
    };
    assert_eq!((found[0].code, found[0].count), ("nil-read", 1));
    let again = of_history(&history, &Budget::unlimited()).unwrap();
    assert_eq!(
        (again[0].code, again[0].rows.clone()),
        ("nil-read", vec![1])
    );
}
