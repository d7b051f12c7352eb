//! Writes Fressian and `.jepsen` files as Jepsen does: an implementation of its own, from the
//! specification, for tests of the reader.

use std::collections::HashMap;

/// A value to write.
#[derive(Clone, Debug, PartialEq)]
pub enum V {
    Nil,
    Bool(bool),
    Int(i64),
    F64(f64),
    Str(String),
    Kw(String),
    List(Vec<V>),
    Map(Vec<(V, V)>),
    Set(Vec<V>),
    Block(i64),
}

pub fn kw(name: &str) -> V {
    V::Kw(name.to_string())
}

pub fn text(text: &str) -> V {
    V::Str(text.to_string())
}

pub fn ints(numbers: &[i64]) -> V {
    V::List(numbers.iter().map(|&number| V::Int(number)).collect())
}

impl V {
    pub fn edn(&self) -> String {
        let all = |items: &[V]| items.iter().map(V::edn).collect::<Vec<_>>().join(" ");
        match self {
            V::Nil => "nil".to_string(),
            V::Bool(yes) => yes.to_string(),
            V::Int(number) => number.to_string(),
            V::F64(number) => format!("{number:?}"),
            V::Str(text) => format!("{text:?}"),
            V::Kw(name) => format!(":{name}"),
            V::List(items) => format!("[{}]", all(items)),
            V::Set(items) => format!("#{{{}}}", all(items)),
            V::Map(pairs) => {
                let flat: Vec<V> = pairs
                    .iter()
                    .flat_map(|(k, v)| [k.clone(), v.clone()])
                    .collect();
                format!("{{{}}}", all(&flat))
            }
            V::Block(_) => unreachable!("a block is no EDN"),
        }
    }
}

/// An operation to write.
#[derive(Clone, Debug)]
pub struct Op {
    pub process: V,
    pub kind: &'static str,
    pub f: &'static str,
    pub value: V,
    pub time: i64,
    pub rest: Vec<(V, V)>,
}

impl Op {
    pub fn pairs(&self, index: usize) -> Vec<(V, V)> {
        let mut pairs = vec![
            (kw("process"), self.process.clone()),
            (kw("type"), kw(self.kind)),
            (kw("f"), kw(self.f)),
            (kw("value"), self.value.clone()),
            (kw("time"), V::Int(self.time)),
            (kw("index"), V::Int(index as i64)),
        ];
        pairs.extend(self.rest.iter().cloned());
        pairs
    }
}

pub fn edn_of(ops: &[Op]) -> String {
    let line = |(i, op): (usize, &Op)| V::Map(op.pairs(i)).edn() + "\n";
    ops.iter().enumerate().map(line).collect()
}

/// A Fressian stream.
#[derive(Default)]
pub struct Fressian {
    pub out: Vec<u8>,
    cached: HashMap<String, i64>,
    structs: HashMap<String, i64>,
}

impl Fressian {
    pub fn of(value: &V) -> Vec<u8> {
        let mut stream = Fressian::default();
        stream.write(value);
        stream.out
    }

    pub fn int(&mut self, number: i64) {
        // (bits of the packed form's low bytes, its zero code, half the number of its codes)
        let packed = [
            (1, 0x50i64, 16),
            (2, 0x68, 8),
            (3, 0x72, 2),
            (4, 0x76, 2),
            (5, 0x7A, 2),
        ];
        let packed = packed.into_iter().chain([(6, 0x7E, 2)]);
        if (-1..64).contains(&number) {
            self.out.push(number as u8);
            return;
        }
        for (bytes, zero, half) in packed {
            let high = number >> (8 * bytes);
            if (-half..half).contains(&high) {
                self.out.push((zero + high) as u8);
                self.out.extend(&number.to_be_bytes()[8 - bytes..]);
                return;
            }
        }
        self.out.push(0xF8);
        self.out.extend(number.to_be_bytes());
    }

    fn string(&mut self, text: &str) {
        let mut bytes = Vec::new();
        for unit in text.encode_utf16() {
            match unit {
                0..0x80 => bytes.push(unit as u8),
                0x80..0x800 => bytes.extend([0xC0 | (unit >> 6) as u8, 0x80 | (unit & 63) as u8]),
                _ => bytes.extend([
                    0xE0 | (unit >> 12) as u8,
                    0x80 | (unit >> 6 & 63) as u8,
                    0x80 | (unit & 63) as u8,
                ]),
            }
        }
        if bytes.len() < 8 {
            self.out.push(0xDA + bytes.len() as u8);
        } else {
            self.out.push(0xE3);
            self.int(bytes.len() as i64);
        }
        self.out.extend(bytes);
    }

    fn list(&mut self, items: &[V]) {
        if items.len() < 8 {
            self.out.push(0xE4 + items.len() as u8);
        } else {
            self.out.push(0xEC);
            self.int(items.len() as i64);
        }
        for item in items {
            self.write(item);
        }
    }

    pub fn cached(&mut self, value: &V) {
        let next = self.cached.len() as i64;
        match self.cached.get(&format!("{value:?}")).copied() {
            Some(at) if at < 32 => self.out.push(0x80 + at as u8),
            Some(at) => {
                self.out.push(0xCC);
                self.int(at);
            }
            None => {
                self.cached.insert(format!("{value:?}"), next);
                self.out.push(0xCD);
                self.write(value);
            }
        }
    }

    fn tag(&mut self, name: &str, fields: i64) {
        let next = self.structs.len() as i64;
        match self.structs.get(name).copied() {
            Some(at) if at < 16 => self.out.push(0xA0 + at as u8),
            Some(at) => {
                self.out.push(0xF0);
                self.int(at);
            }
            None => {
                self.structs.insert(name.to_string(), next);
                self.out.push(0xEF);
                self.string(name);
                self.int(fields);
            }
        }
    }

    pub fn write(&mut self, value: &V) {
        match value {
            V::Nil => self.out.push(0xF7),
            V::Bool(yes) => self.out.push(if *yes { 0xF5 } else { 0xF6 }),
            V::Int(number) => self.int(*number),
            V::F64(number) => {
                self.out.push(0xFA);
                self.out.extend(number.to_bits().to_be_bytes());
            }
            V::Str(text) => self.string(text),
            V::Kw(name) => {
                self.out.extend([0xCA, 0xF7]);
                self.cached(&V::Str(name.clone()));
            }
            V::List(items) => self.list(items),
            V::Map(pairs) => {
                self.out.push(0xC0);
                let flat: Vec<V> = pairs
                    .iter()
                    .flat_map(|(k, v)| [k.clone(), v.clone()])
                    .collect();
                self.list(&flat);
            }
            V::Set(items) => {
                self.tag("persistent-hash-set", 1);
                if items.is_empty() {
                    self.write(&V::Nil);
                } else {
                    self.list(items);
                }
            }
            V::Block(id) => {
                self.tag("block-ref", 1);
                self.int(*id);
            }
        }
    }

    pub fn op(&mut self, op: &Op, index: usize) {
        self.tag("jepsen.history.Op", 7);
        self.int(index as i64);
        self.int(op.time);
        self.cached(&kw(op.kind));
        self.write(&op.process);
        self.cached(&kw(op.f));
        self.write(&op.value);
        match &op.rest[..] {
            [] => self.write(&V::Nil),
            rest => self.write(&V::Map(rest.to_vec())),
        }
    }
}

/// CRC-32 a bit at a time.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    !crc
}

/// A `.jepsen` file.
pub struct File {
    pub bytes: Vec<u8>,
    places: Vec<(i32, u64)>,
    root: i32,
    last: i32,
}

pub const INDEX: u16 = 1;
pub const FRESSIAN: u16 = 2;
pub const PARTIAL_MAP: u16 = 3;
pub const STREAM: u16 = 4;
pub const BIG_VECTOR: u16 = 5;

impl File {
    pub fn new(version: u32) -> File {
        let mut bytes = b"JEPSEN".to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend([0; 8]);
        File {
            bytes,
            places: Vec::new(),
            root: 0,
            last: 0,
        }
    }

    fn id(&mut self) -> i32 {
        self.last += 1;
        self.last
    }

    fn put(&mut self, kind: u16, data: &[u8]) -> u64 {
        let at = self.bytes.len() as u64;
        let mut header = (28 + data.len() as u64).to_be_bytes().to_vec();
        header.extend([0; 4]);
        header.extend(kind.to_be_bytes());
        header.extend([0; 14]);
        let crc = crc32(&[data, &header[..]].concat());
        header[8..12].copy_from_slice(&crc.to_be_bytes());
        self.bytes.extend(header);
        self.bytes.extend(data);
        at
    }

    /// Write a block; what its id was before stays in the file unused.
    pub fn block(&mut self, id: i32, kind: u16, data: &[u8]) {
        let at = self.put(kind, data);
        match self.places.iter_mut().find(|(known, _)| *known == id) {
            Some(place) => place.1 = at,
            None => self.places.push((id, at)),
        }
    }

    pub fn offset_of(&self, id: i32) -> usize {
        let found = self.places.iter().find(|(known, _)| *known == id);
        found.map(|(_, at)| *at as usize).unwrap()
    }

    pub fn index(&mut self) {
        let id = self.id();
        let at = self.bytes.len() as u64;
        self.places.push((id, at));
        let mut data = self.root.to_be_bytes().to_vec();
        for (id, place) in &self.places {
            data.extend(id.to_be_bytes());
            data.extend(place.to_be_bytes());
        }
        assert_eq!(self.put(INDEX, &data), at);
        self.bytes[10..18].copy_from_slice(&at.to_be_bytes());
    }

    fn test_map(history: i32, results: Option<i32>) -> V {
        let mut test = vec![
            (kw("name"), text("lin-kv")),
            (kw("nodes"), V::List(vec![text("n1"), text("n2")])),
            (kw("history"), V::Block(i64::from(history))),
        ];
        if let Some(id) = results {
            test.push((kw("results"), V::Block(i64::from(id))));
        }
        V::Map(test)
    }

    fn partial_map(&mut self, rest: i32, map: V) -> i32 {
        let id = self.id();
        let data = [&rest.to_be_bytes()[..], &Fressian::of(&map)].concat();
        self.block(id, PARTIAL_MAP, &data);
        id
    }

    fn results(&mut self, valid: V) -> i32 {
        let more = V::Map(vec![(kw("stats"), V::Map(vec![(kw("count"), V::Int(9))]))]);
        let more = self.partial_map(0, more);
        self.partial_map(more, V::Map(vec![(kw("valid?"), valid)]))
    }

    /// What Jepsen leaves of a test with streamed chunks. Returns the file and its chunks' ids.
    pub fn streamed(ops: &[Op], chunk: usize) -> (File, Vec<i32>) {
        let mut file = File::new(1);
        let history = file.id();
        file.block(history, FRESSIAN, &Fressian::of(&V::Nil));
        let test = file.id();
        file.block(
            test,
            FRESSIAN,
            &Fressian::of(&File::test_map(history, None)),
        );
        file.root = test;
        file.index();
        let mut chunks: Vec<(u64, i32)> = Vec::new();
        for (i, part) in ops.chunks(chunk).enumerate() {
            let id = file.id();
            let mut stream = Fressian::default();
            for (j, op) in part.iter().enumerate() {
                stream.op(op, i * chunk + j);
            }
            file.block(id, STREAM, &stream.out);
            chunks.push(((i * chunk) as u64, id));
            let count = (i * chunk + part.len()) as u64;
            file.big_vector(history, count, &chunks);
            file.index();
        }
        let results = file.results(V::Bool(false));
        let test = file.id();
        file.block(
            test,
            FRESSIAN,
            &Fressian::of(&File::test_map(history, Some(results))),
        );
        file.root = test;
        file.index();
        (file, chunks.iter().map(|(_, id)| *id).collect())
    }

    pub fn big_vector(&mut self, id: i32, count: u64, chunks: &[(u64, i32)]) {
        let mut data = count.to_be_bytes().to_vec();
        for (first, id) in chunks {
            data.extend(first.to_be_bytes());
            data.extend(id.to_be_bytes());
        }
        self.block(id, BIG_VECTOR, &data);
    }

    /// What Jepsen's first version of the file was: the history as one vector of maps.
    pub fn whole(ops: &[Op]) -> File {
        let mut file = File::new(0);
        let results = file.results(kw("unknown"));
        let maps = ops.iter().enumerate().map(|(i, op)| V::Map(op.pairs(i)));
        let history = file.id();
        file.block(history, FRESSIAN, &Fressian::of(&V::List(maps.collect())));
        let test = file.id();
        file.block(
            test,
            FRESSIAN,
            &Fressian::of(&File::test_map(history, Some(results))),
        );
        file.root = test;
        file.index();
        file
    }
}

/// `test.fressian`: everything in one map.
pub fn test_fressian(ops: &[Op]) -> Vec<u8> {
    let maps = ops.iter().enumerate().map(|(i, op)| V::Map(op.pairs(i)));
    Fressian::of(&V::Map(vec![
        (kw("name"), text("etcd")),
        (kw("results"), V::Map(vec![(kw("valid?"), V::Bool(true))])),
        (kw("history"), V::List(maps.collect())),
    ]))
}
