//! Bytes that the reference implementation wrote (org.fressian:fressian 0.6.6 under Clojure's
//! data.fressian 1.0.0, with handlers that write the tags of Jepsen's), and what they say.

use super::*;

/// Bytes in hexadecimal, and the value as JSON.
const GOLDEN: &[(&str, &str)] = &[
    // ints
    (
        "ec1aff003f50404ffe5fff681000400067efff6fffff7208000060000071f7ffff73ffffff7602000000\
         75fdffffff77ffffffff7a020000000079fdffffffff7bffffffffff7e0200000000007fffffffffffff\
         f80002000000000000f8fffdfffffffffffff87ffffffffffffffff88000000000000000",
        concat!(
            r#"[-1,0,63,64,-2,4095,4096,-4096,-4097,524287,524288,-524288,-524289,33554431,33"#,
            r#"554432,-33554433,8589934591,8589934592,-8589934593,2199023255551,2199023255552"#,
            r#",562949953421311,562949953421312,-562949953421313,9223372036854775807,-9223372"#,
            r#"036854775808]"#
        ),
    ),
    // doubles
    (
        "e9fbfcfa3fe0000000000000fac002000000000000f93e800000",
        r#"[0,1,0.5,-2.25,0.25]"#,
    ),
    // bigint
    (
        "e8c6d90900ab54a98ceb1f0ad2c6d90cd81be4cdb941364e91c67eebc6d105c6d200ff",
        r#"[12345678901234567890,-12345678901234567890123456789,5,255]"#,
    ),
    // bigdec
    ("e6c7d10f01c7d2ff1f02", r#"[1.5,-2.25]"#),
    // strings
    (
        "e9dadd616263e3086162636465666768dfc3a4e282ace30878eda0bdedb88079",
        r#"["","abc","abcdefgh","ä€","x😀y"]"#,
    ),
    // bytes
    ("d3010203", r#""010203""#),
    // bytes9
    ("d909000102030405060708", r#""000102030405060708""#),
    // keywords
    (
        "eacaf7cddb61cacddc6e73cddb62caf780ca8182c9f7cddd73796dc9cddb6ecddb73",
        r#"["a","ns/b","a","ns/b","sym","n/s"]"#,
    ),
    // sets
    (
        "e8efe31370657273697374656e742d686173682d73657401e501a0f7efe31570657273697374656e742d\
         736f727465642d73657401e7010203c1e507",
        r#"[[1],[],[1,2,3],[7]]"#,
    ),
    // inst
    (
        "e8c87b76c10d5503c3d9100123456789abcdef0123456789abcdefc4dd612b62c5e30a687474703a2f2f\
         782f79",
        concat!(
            r#"["2021-01-02T03:04:05.123-00:00","01234567-89ab-cdef-0123-456789abcdef","a+b","#,
            r#""http://x/y"]"#
        ),
    ),
    // arrays
    (
        "eab3020102b00103b101fa3fe0000000000000b401f93f000000b202f5f6b502caf7cddb7a01",
        r#"[[1,2],[3],[0.5],[0.5],[true,false],["z",1]]"#,
    ),
    // long-list
    ("ec0a00010203040506070809", r#"[0,1,2,3,4,5,6,7,8,9]"#),
    // closed
    ("ed0102fd", r#"[1,2]"#),
    // open
    ("ee0102", r#"[1,2]"#),
    // tagged
    ("efe16d7973746572790201dd74776f", r#"["mystery",1,"two"]"#),
    // cached
    (
        "edcd6986a0cd6986a1cd6986a2cd6986a3cd6986a4cd6986a5cd6986a6cd6986a7cd6986a8cd6986a9cd\
         6986aacd6986abcd6986accd6986adcd6986aecd6986afcd6986b0cd6986b1cd6986b2cd6986b3cd6986\
         b4cd6986b5cd6986b6cd6986b7cd6986b8cd6986b9cd6986bacd6986bbcd6986bccd6986bdcd6986becd\
         6986bfcd6986c0cd6986c1cd6986c2cd6986c3cd6986c4cd6986c5cd6986c6cd6986c780818283848586\
         8788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fcc20cc21cc22cc23cc24cc25cc26cc27fd",
        concat!(
            r#"[100000,100001,100002,100003,100004,100005,100006,100007,100008,100009,100010,"#,
            r#"100011,100012,100013,100014,100015,100016,100017,100018,100019,100020,100021,1"#,
            r#"00022,100023,100024,100025,100026,100027,100028,100029,100030,100031,100032,10"#,
            r#"0033,100034,100035,100036,100037,100038,100039,100000,100001,100002,100003,100"#,
            r#"004,100005,100006,100007,100008,100009,100010,100011,100012,100013,100014,1000"#,
            r#"15,100016,100017,100018,100019,100020,100021,100022,100023,100024,100025,10002"#,
            r#"6,100027,100028,100029,100030,100031,100032,100033,100034,100035,100036,100037"#,
            r#",100038,100039]"#
        ),
    ),
    // record
    (
        "efe07265636f726402cdc9f7cde3106a657073656e2e686973746f72792e52c0edcdcaf7cddb7809fd",
        r#"{"x":9}"#,
    ),
    // structs
    (
        "edefdc74300100efdc74310101efdc74320102efdc74330103efdc74340104efdc74350105efdc743601\
         06efdc74370107efdc74380108efdc74390109efdd743130010aefdd743131010befdd743132010cefdd\
         743133010defdd743134010eefdd743135010fefdd7431360110efdd7431370111a000a101a202a303a4\
         04a505a606a707a808a909aa0aab0bac0cad0dae0eaf0ff01010f01111fd",
        concat!(
            r#"[["t0",0],["t1",1],["t2",2],["t3",3],["t4",4],["t5",5],["t6",6],["t7",7],["t8""#,
            r#",8],["t9",9],["t10",10],["t11",11],["t12",12],["t13",13],["t14",14],["t15",15]"#,
            r#",["t16",16],["t17",17],["t0",0],["t1",1],["t2",2],["t3",3],["t4",4],["t5",5],["#,
            r#""t6",6],["t7",7],["t8",8],["t9",9],["t10",10],["t11",11],["t12",12],["t13",13]"#,
            r#",["t14",14],["t15",15],["t16",16],["t17",17]]"#
        ),
    ),
    // map
    (
        "c0e8caf7cddb6101db62e7f7f5f6",
        r#"{"a":1,"b":[null,true,false]}"#,
    ),
    // jepsen
    (
        "ebefde61746f6d01c0e6caf7cddb7801efe3096d61702d656e74727902caf7cddb6bcaf7cddb76efe169\
         6e7374616e7401e314323032312d30332d30345430353a30363a30375aefe3097468726f7761626c6501\
         c0e8caf7cdde74797065caf7cddd657272caf7cddd766961de626f6f6defde627974650107efde636861\
         72015063efdf726174696f02c6d102c6d103",
        concat!(
            r#"[{"x":1},["k","v"],"2021-03-04T05:06:07Z",{"type":"err","via":"boom"},7,"c","2"#,
            r#"/3"]"#
        ),
    ),
];

#[test]
fn values_of_the_reference_implementation() {
    for (hex, wanted) in GOLDEN {
        let data = bytes(hex);
        let budget = Budget::unlimited();
        let mut meter = budget.meter();
        let mut reader = Reader::new(&data, 0, Values::default(), &mut meter);
        let value = reader.value().unwrap_or_else(|e| panic!("{hex}: {e}"));
        assert_eq!(reader.values.json(value), *wanted, "{hex}");
        assert!(reader.at_end().unwrap(), "{hex}");
    }
}

#[test]
fn a_stream_with_footers_and_one_with_its_caches_reset() {
    let footers =
        "c0e6caf7cddb6101cfcfcfcf000000085d0708b6c0e6caf7cddb6102cfcfcfcf000000085d1008b703";
    assert_eq!(all(footers), [r#"{"a":1}"#, r#"{"a":2}"#, "3"]);
    assert_eq!(all("cdcaf7cddb6bfecdcaf7cddb6b"), [r#""k""#, r#""k""#]);
    // A sum that is not that of the data, a length that is not.
    for wrong in [
        "c0e6caf7cddb6101cfcfcfcf000000085d0708b7",
        "01cfcfcfcf0000000200000000",
    ] {
        let data = bytes(wrong);
        let budget = Budget::unlimited();
        let mut meter = budget.meter();
        let mut reader = Reader::new(&data, 0, Values::default(), &mut meter);
        reader.value().unwrap();
        assert!(reader.at_end().is_err(), "{wrong}");
    }
}

#[test]
fn operations_of_the_reference_implementation() {
    let stream =
        "efe3116a657073656e2e686973746f72792e4f70070053e8cdcaf7cde0696e766f6b6500cdcaf7cddf77\
        7269746503f7a00176b2d05e00cdcaf7cddc6f6b008203f7a00276b2d05ff48001cdcaf7cddd636173e6\
        0304c0e6caf7cdde6e6f6465dc6e31a00376ee6b29f4cdcaf7cdde696e666f0186e60304c0e6caf7cddf\
        6572726f72e6caf7cde174696d656f7574de72656164a004772a05f3f489caf7cde16e656d65736973cd\
        caf7cdde6b696c6cf7f7";
    let edn = r#"
        {:index 0, :time 1000, :type :invoke, :process 0, :f :write, :value 3}
        {:index 1, :time 3000000000, :type :ok, :process 0, :f :write, :value 3}
        {:index 2, :time 3000000500, :type :invoke, :process 1, :f :cas, :value [3 4], :node "n1"}
        {:index 3, :time 4000000500, :type :info, :process 1, :f :cas, :value [3 4],
         :error [:timeout "read"]}
        {:index 4, :time 5000000500, :type :info, :process :nemesis, :f :kill, :value nil}"#;
    let data = bytes(stream);
    let budget = Budget::unlimited();
    let mut meter = budget.meter();
    let mut pairer = Pairer::new(false);
    let mut reader = Reader::new(&data, 0, Values::default(), &mut meter);
    while !reader.at_end().unwrap() {
        reader.event(&mut pairer).unwrap();
    }
    pairer.history.values = reader.values;
    let (history, _) = pairer.finish();
    assert_eq!(dump(&history), dump(&of_edn(edn)));
}

#[test]
fn a_string_of_more_than_one_chunk() {
    let mut data = vec![0xE2, 0x69, 0, 0];
    data.extend(vec![b'x'; 65536]);
    data.extend([0xE3, 0x61 - 0x10, 0x70]);
    data.extend(vec![b'y'; 0x170]);
    let budget = Budget::unlimited();
    let mut meter = budget.meter();
    let mut reader = Reader::new(&data, 0, Values::default(), &mut meter);
    let value = reader.value().unwrap();
    let text = reader.values.as_name(value).unwrap();
    assert_eq!((text.len(), text.ends_with('y')), (65536 + 0x170, true));
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// All values of a stream as JSON.
fn all(hex: &str) -> Vec<String> {
    let data = bytes(hex);
    let budget = Budget::unlimited();
    let mut meter = budget.meter();
    let mut reader = Reader::new(&data, 0, Values::default(), &mut meter);
    let mut found = Vec::new();
    while !reader.at_end().unwrap() {
        let value = reader.value().unwrap();
        found.push(reader.values.json(value));
    }
    found
}
