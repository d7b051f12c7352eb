//! The readers of formats, from outside: every shape by hand, and input that is wrong or hostile.

use std::time::Instant;

use dissensus_engine::budget::{Budget, Stop};
use dissensus_engine::error::{Error, Place};
use dissensus_engine::formats::{prepare, read, Format, Options, Source};
use dissensus_engine::history::{History, OPEN};

fn with(bytes: &[u8], salvage: bool) -> Result<History, Error> {
    let options = Options {
        salvage,
        ..Options::default()
    };
    read(Source::Bytes(bytes), &options, &Budget::unlimited())
}

fn refused(bytes: &[u8]) -> Error {
    let read = with(bytes, false).err();
    read.unwrap_or_else(|| panic!("{} was read", String::from_utf8_lossy(bytes)))
}

fn text(bytes: &str) -> History {
    with(bytes.as_bytes(), false).unwrap_or_else(|error| panic!("{error}: {bytes}"))
}

fn file(name: &str) -> History {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/checkers/formats/");
    let path = format!("{folder}{name}");
    let options = Options::default();
    read(Source::Path(path.as_ref()), &options, &Budget::unlimited())
        .unwrap_or_else(|error| panic!("{}", error.in_file(&path)))
}

/// `process f(key arg)=result outcome inv-ret` of each row.
fn rows(h: &History) -> Vec<String> {
    let value = |v| {
        if v == dissensus_engine::values::Val::NONE {
            "-".to_string()
        } else {
            h.values.json(v)
        }
    };
    let ret = |row: usize| match h.ret[row] {
        OPEN => String::new(),
        ret => ret.to_string(),
    };
    let one = |row: usize| {
        format!(
            "{} {}({} {})={} {:?} {}-{}",
            h.process[row],
            h.f_of(row),
            value(h.key[row]),
            value(h.arg[row]),
            value(h.result[row]),
            h.outcome[row],
            h.inv[row],
            ret(row)
        )
    };
    (0..h.len()).map(one).collect()
}

#[test]
fn edn_in_lines_and_pretty_printed_with_comments_and_tags_is_the_same() {
    let (lines, vector) = (file("lines.edn"), file("vector.edn"));
    let wanted = [
        "0 write(- 3)=3 Ok 0-2",
        "1 read(- null)=3 Ok 1-3",
        "0 cas(- [3,4])=[3,4] Fail 4-5",
        "1 write(- 5)=5 Info 6-7",
        "1 read(- null)=- Info 8-",
    ];
    assert_eq!(rows(&lines), wanted);
    assert_eq!(rows(&vector), wanted);
    assert_eq!(lines.format, "edn");
    for h in [&lines, &vector] {
        assert_eq!((h.inv_ns[0], h.ret_ns[0], h.ret_ns[4]), (10, 20, -1));
        assert_eq!(h.values.json(h.error[3]), "\"timeout\"");
        let faults: Vec<(&str, u32, i64)> = h
            .faults
            .iter()
            .map(|fault| (fault.f.as_str(), fault.position, fault.time_ns))
            .collect();
        assert_eq!(faults, [("start", 3, 21), ("start", 3, 22)]);
    }
}

#[test]
fn values_of_edn() {
    let h = file("list.edn");
    for row in 0..h.len() {
        // Each is written twice, in two ways.
        assert_eq!(h.arg[row], h.result[row], "{}", h.values.json(h.arg[row]));
    }
    let shown: Vec<String> = h.arg.iter().map(|&v| h.values.json(v)).collect();
    assert_eq!(shown[0], r#""a\tbé\"\\""#);
    assert_eq!(shown[1..3], ["\"\\n\"", "\"1/3\""]);
    assert_eq!(shown[3], "123456789012345678901234567890");
    assert!(shown[6].starts_with("[31,15,5,7,-7,1000,1.5,10,\"inf\",\"foo/bar\""));
    for (one, two) in [
        ("1", "\"1\""),
        ("1", ":1"),
        ("[1 2]", "#{1 2}"),
        ("1/3", "1/4"),
    ] {
        let h = text(&format!(
            "{{:process 0 :type :invoke :f :w :value {one}}} {{:process 1 :type :invoke :f :w :value {two}}}"
        ));
        assert_ne!(h.arg[0], h.arg[1], "{one} {two}");
    }
}

#[test]
fn transactions_need_neither_name_nor_process() {
    let h = file("txn.edn");
    let shown = rows(&h);
    assert_eq!(
        shown[1],
        r#"1 txn(- [["append",255,8],["r",253,null]])=[["append",255,8],["r",253,[1]]] Ok 2-3"#
    );
    // Without a process the name and the value say which operation is over.
    let open =
        "{:type :invoke :f :a :value 1} {:type :invoke :f :a :value 2} {:type :invoke :f :b}";
    let h = text(&format!(
        "{open} {{:type :ok :f :a :value 2}} {{:type :ok :f :b :value 7}}"
    ));
    assert_eq!(
        rows(&h),
        [
            "0 a(- 1)=- Info 0-",
            "1 a(- 2)=2 Ok 1-3",
            "2 b(- null)=7 Ok 2-4"
        ]
    );
    let error = refused(format!("{open} {{:type :ok :f :a :value 3}}").as_bytes());
    assert!(error.message.contains("without an invoke"));
}

#[test]
fn json_lines_have_the_names_of_the_importer() {
    let h = file("events.jsonl");
    assert_eq!(
        rows(&h),
        [
            "0 write(\"x\" 3)=3 Ok 0-2",
            "1 read(\"x\" null)=3 Ok 1-3",
            "0 cas(\"x\" [3,4])=- Info 4-5"
        ]
    );
    assert_eq!((h.format, h.hint.as_slice()), ("jsonl", &[9, 9, -1][..]));
    assert_eq!(h.values.json(h.node[1]), "\"n2\"");
    assert_eq!(h.values.json(h.error[2]), "\"timeout\"");
    let h = file("plain.jsonl");
    assert_eq!(
        rows(&h),
        ["0 write(\"x\" 3)=3 Ok 0-1", "1 read(\"x\" null)=3 Ok 2-3"]
    );
    assert_eq!((h.inv_ns[1], h.ret_ns[1], h.faults.len()), (2000, 2100, 1));
    // Of two names of a field the first of the importer's list counts, wherever it stands.
    let h = text("{\"p\":5,\"process\":1,\"v\":1,\"value\":null,\"type\":\"invoke\",\"f\":\"w\"}");
    assert_eq!(rows(&h), ["1 w(- null)=- Info 0-"]);
    let h = file("array.json");
    assert_eq!((h.format, h.len(), h.f_of(1)), ("json", 2, "txn"));
}

#[test]
fn lines_of_jepsen() {
    let wanted = [
        "0 write(- 3)=3 Ok 0-2",
        "1 read(- null)=3 Ok 1-3",
        "0 cas(- [3,4])=[3,4] Fail 4-5",
        "1 write(- 5)=5 Info 6-7",
    ];
    let h = file("history.txt");
    assert_eq!(rows(&h), wanted);
    assert_eq!((h.format, h.faults.len()), ("history-txt", 1));
    assert_eq!(h.values.json(h.error[3]), r#"["conn","reset by peer"]"#);
    let h = file("console.log");
    assert_eq!(
        rows(&h),
        [
            "0 write(- 3)=- Info 0-2",
            // A read that timed out has failed, and says nothing.
            "1 read(- null)=- Info 1-3",
            "2 cas(- [0,1])=[0,1] Ok 4-5"
        ]
    );
    assert_eq!(h.format, "jepsen-console");
    assert_eq!(h.values.json(h.error[0]), "\"timed-out\"");
}

#[test]
fn spans_end_before_others_start_at_the_same_moment() {
    let h = file("queue.fastlin");
    assert_eq!(
        rows(&h),
        [
            "3 deq(- null)=-1 Ok 0-2",
            "0 enq(- 1)=null Ok 1-3",
            "1 enq(- 2)=null Ok 4-7",
            "2 deq(- null)=1 Ok 5-6"
        ]
    );
    let set = rows(&file("set.fastlin"));
    assert_eq!(set[0], "0 insert(- 1)=true Ok 0-2");
    assert_eq!(set[2], "1 contains(- 1)=false Ok 4-5");
    assert_eq!(
        rows(&file("semaphore.fptlin")),
        [
            "0 INCR(- null)=1 Ok 0-2",
            "1 DECR(- null)=1 Ok 1-4",
            "0 DECR(- null)=0 Ok 3-5"
        ]
    );
    assert_eq!(
        rows(&file("rmw.fptlin"))[1],
        "1 READ_MODIFY_WRITE(- [2,3])=[2,3] Ok 1-3"
    );
    assert_eq!(
        rows(&file("deque.polylin"))[2],
        "2 peek_front(- null)=1 Ok 4-5"
    );
    // Of no length: before what starts then, behind what ends then, and concurrent to each other.
    let h = text("# queue\nenq 1 1 5\nenq 2 5 5\nenq 3 5 5\nenq 4 5 9");
    let spans: Vec<(u32, u32)> = h.inv.iter().copied().zip(h.ret.iter().copied()).collect();
    assert_eq!(spans, [(0, 1), (2, 4), (3, 5), (6, 7)]);
    let error = refused(b"# stack\n0 1 5 PUSH 1\n0 3 6 POP 1\n");
    assert!(error.message.contains("is not over"), "{error}");
}

#[test]
fn limo_and_kv() {
    assert_eq!(
        rows(&file("stack.limo")),
        [
            "1 push(- 1)=null Ok 0-2",
            "2 pop(- null)=1 Ok 1-3",
            "1 push(- 3)=- Info 4-"
        ]
    );
    assert_eq!(
        rows(&file("kv.txt"))[1],
        "1 get(\"0\" null)=\"x 0 0 y\" Ok 1-3"
    );
}

#[test]
fn independent_keys_are_lifted_for_models_that_have_keys() {
    let pairs =
        "{:process 0 :type :invoke :f :write :value [7 1]} {:process 0 :type :ok :f :write \
                 :value [7 1]} {:process 0 :type :invoke :f :read :value [7 nil]}";
    let mut h = text(pairs);
    prepare(&mut h, None);
    assert_eq!(
        rows(&h),
        ["0 write(7 1)=1 Ok 0-1", "0 read(7 null)=- Info 2-"]
    );
    assert_eq!(
        (h.lifted, h.guess.model.as_str()),
        (true, "register(nil=unknown)")
    );
    let mut h = text(pairs);
    let spec = dissensus_engine::spec::Spec::parse("unique-ids").unwrap();
    prepare(&mut h, Some(&spec));
    assert_eq!(
        (h.lifted, rows(&h)[0].as_str()),
        (false, "0 write(- [7,1])=[7,1] Ok 0-1")
    );
    let mut h = text("{:process 0 :type :invoke :f :cas :value [1 2]}");
    prepare(&mut h, None);
    assert_eq!(
        (h.lifted, rows(&h)[0].as_str()),
        (false, "0 cas(- [1,2])=- Info 0-")
    );
}

#[test]
fn what_is_wrong_has_a_place() {
    let start = "{:process 0, :type :invoke, :f :read, :value nil}\n";
    for (bytes, line, column, why) in [
        (
            "{:process 0, :type :invoke, :f :w, :value 12z}",
            1,
            43,
            "not a number",
        ),
        (
            "{:process 0, :type :invok, :f :w}",
            1,
            20,
            "type must be invoke",
        ),
        ("{:process 0, :f :w}", 1, 1, "no type here"),
        (
            "{:process -1, :type :ok, :f :w}",
            1,
            11,
            "process must be a number from 0",
        ),
        ("{:process 0 :process 0 :type :ok}", 1, 13, "twice"),
        ("{:process 0 :type}", 1, 13, "a key without a value"),
        ("nonsense {}", 1, 1, "no format"),
        ("{:process 0 :type :ok :f :w}", 1, 1, "without an invoke"),
        ("{\"p\":0,\"type\":\"ok\"}", 1, 1, "no \"f\" here"),
        (
            "{\"p\":0,\"type\":\"ok\",}",
            1,
            20,
            "expected the name of a field",
        ),
        (
            "{\"p\":0,\"type\":\"invoke\",\"f\":\"w\",\"v\":1e400}",
            1,
            36,
            "larger than any double",
        ),
        (
            "{\"p\":0,\"type\":\"invoke\",\"f\":\"w\",\"v\":NaN}",
            1,
            36,
            "expected a value",
        ),
        (
            "{\"p\":0,\"type\":\"invoke\",\"f\":\"w\",\"v\":\"\\ud800\"}",
            1,
            39,
            "half a character",
        ),
        (
            "# queue\nenq 1 3 2\n",
            2,
            1,
            "ends at 2, before its start at 3",
        ),
        (
            "0\t:invoke\t:write\t[1\n",
            1,
            1,
            "ends in the middle of a value",
        ),
    ] {
        let error = with(bytes.as_bytes(), false)
            .err()
            .unwrap_or_else(|| panic!("{bytes}"));
        assert!(error.message.contains(why), "{bytes}: {error}");
        assert_eq!(
            error.place,
            Place::Line { line, column },
            "{bytes}: {error}"
        );
    }
    let error = refused(format!("{start}{start}").as_bytes());
    assert!(error.message.contains("is still open"), "{error}");
    assert_eq!(error.place, Place::Line { line: 2, column: 1 });
    let error = refused(format!("{start}{{:process 1, :ty").as_bytes());
    assert!(error.message.contains("--salvage"), "{error}");
    assert_eq!(error.place, Place::Line { line: 2, column: 1 });
    let mut bytes = start.as_bytes().to_vec();
    bytes.extend(b"{:process 1 :type :ok :f \"\xff\"}");
    assert_eq!(
        refused(&bytes).place,
        Place::Line {
            line: 2,
            column: 27
        }
    );
}

#[test]
fn a_tail_that_was_cut_is_left_out_and_holes_are_named() {
    let lines = "{:process 0, :type :invoke, :f :w, :value 1}\n{:process 0, :type :ok, :f :w, :va";
    let h = with(lines.as_bytes(), true).unwrap();
    assert_eq!(rows(&h), ["0 w(- 1)=- Info 0-"]);
    assert_eq!((h.cut, h.holes.len()), (Some(45), 0));
    let lines = "{:process 0 :type :invoke :f :w :value 1}\n@@@@ {:proc\nmore }\n\
                 {:process 0 :type :ok :f :w :value 1}\n{:process 5 :type :ok :f :w}\n";
    let h = with(lines.as_bytes(), true).unwrap();
    assert_eq!(rows(&h), ["0 w(- 1)=1 Ok 0-1"]);
    let holes: Vec<(u64, u32, &str)> = h.holes.iter().map(|o| (o.at, o.position, o.rule)).collect();
    assert_eq!(holes, [(42, 1, "unreadable"), (99, 2, "no-invocation")]);
    // A line that is not over may have lost a digit of its value.
    let h = with(b"0\t:invoke\t:w\t1\n0\t:ok\t:w\t1", true).unwrap();
    assert_eq!(
        (h.cut.is_some(), rows(&h)[0].as_str()),
        (true, "0 w(- 1)=- Info 0-")
    );
}

#[test]
fn names_of_formats() {
    for name in [
        "edn",
        "json",
        "jsonl",
        "history-txt",
        "jepsen-console",
        "fastlin",
        "limo",
    ] {
        assert_eq!(Format::of(name).unwrap().name(), name);
    }
    assert!(Format::of("xml")
        .unwrap_err()
        .message
        .contains("known: edn"));
    assert_eq!(text("").len() + text(" \n\n").len() + text("[]").len(), 0);
}

fn hostile(name: &str, bytes: &[u8]) -> Error {
    let began = Instant::now();
    let error = with(bytes, false)
        .err()
        .unwrap_or_else(|| panic!("{name} was read"));
    // A test asserts no time; a hang would show here all the same.
    assert!(began.elapsed().as_secs() < 120, "{name}");
    let _ = with(bytes, true);
    error
}

#[test]
fn hostile_files_are_refused() {
    let prefix = "{:process 0 :type :invoke :f :w :value ";
    for (open, why) in [
        ("[", "too deep"),
        ("#_", "too deep"),
        ("{", "too deep"),
        ("#a ", "too deep"),
        ("^", "too deep"),
    ] {
        let deep = format!("{prefix}{}", open.repeat(1_000_000));
        assert!(
            hostile(open, deep.as_bytes()).message.contains(why),
            "{open}"
        );
    }
    let deep = format!("{{\"p\":0,\"v\":{}", "[".repeat(1_000_000));
    assert!(hostile("json", deep.as_bytes())
        .message
        .contains("too deep"));
    let long = format!("{prefix}\"{}\"}}", "x".repeat(80 << 20));
    assert!(hostile("long", long.as_bytes()).message.contains("64 MB"));
    let mut names = String::new();
    for i in 0..5000 {
        names += &format!("{{:process {i} :type :invoke :f :f{i}}}\n");
    }
    assert!(hostile("names", names.as_bytes())
        .message
        .contains("different names"));
    assert!(hostile("nul", b"{:process 0 :type \0:invoke}")
        .message
        .contains("value 0"));
    let numbers = format!("{prefix}{}}}", "9".repeat(1 << 20));
    assert_eq!(
        text(&numbers).values.json(text(&numbers).arg[0]).len(),
        1 << 20
    );
}

#[test]
fn the_bounds_of_a_budget_are_kept() {
    let mut lines = String::new();
    for i in 0..200_000 {
        lines += &format!("{{:process {i}, :type :invoke, :f :w, :value \"{i}\"}}\n");
    }
    let stopped = |cpu_ns, bytes| {
        let budget = Budget::new(cpu_ns, bytes, u64::MAX);
        let read = read(
            Source::Bytes(lines.as_bytes()),
            &Options::default(),
            &budget,
        );
        read.err().and_then(|error| error.stop)
    };
    assert_eq!(stopped(u64::MAX, 4 << 20), Some(Stop::Memory));
    assert_eq!(stopped(1_000_000, usize::MAX), Some(Stop::Time));
    assert_eq!(stopped(u64::MAX, usize::MAX), None);
}
