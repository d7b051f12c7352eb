//! Files that somebody made to break the reader, and files that were damaged by chance.

use super::twins::{of_jepsen, run};
use super::writer::{crc32, File, Fressian};
use super::*;
use crate::formats::jepsen::test_file::read_fressian;
use crate::formats::text::End;

fn value_of(data: &[u8]) -> crate::error::Result<usize> {
    let budget = Budget::unlimited();
    let mut meter = budget.meter();
    let mut reader = Reader::new(data, 100, Values::default(), &mut meter);
    reader.value().map(|_| reader.values.len())
}

#[test]
fn a_million_lists_inside_each_other() {
    for code in [0xE5, 0xED, 0xC0, 0xCD, 0xEF] {
        let error = value_of(&vec![code; 1_000_000]).unwrap_err();
        assert!(
            error.message.contains("inside each other"),
            "{code:#x}: {error}"
        );
    }
}

#[test]
fn a_value_that_unfolds_to_more_than_the_world() {
    // A cached list of two of the one before, a hundred times.
    let mut data = vec![0xED, 0xCD, 0xE4];
    for i in 0..100u8 {
        data.extend([0xCD, 0xE6]);
        for _ in 0..2 {
            if i < 32 {
                data.push(0x80 + i);
            } else {
                data.extend([0xCC, 0x50, i]);
            }
        }
    }
    let error = value_of(&data).unwrap_err();
    assert!(error.message.contains("a value of more than"), "{error}");
}

#[test]
fn counts_and_places_that_are_lies() {
    for (data, why) in [
        (
            &[0xEC, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF][..],
            "values are announced",
        ),
        (&[0xEC, 0x4F, 0xFF], "values are announced"),
        (&[0xE3, 0x3F], "values are announced"),
        (&[0xE1, 0x61], "7 bytes are announced, 1 are left"),
        (&[0x80], "cached value 0 of 0"),
        (&[0xCC, 0xFF], "cached value -1"),
        (&[0xCD, 0xE5, 0x80], "contains itself"),
        (&[0xA3], "struct 3 of 0"),
        (&[0xCE], "no Fressian value begins with 0xce"),
        (&[0xE5], "the data ends within a value"),
        (&[0xDB, 0xFF], "not UTF-8"),
        (&[0xC0, 0xE5, 0x01], "last key has no value"),
        (&[0xC3, 0xD1, 0x00], "a UUID of 1 bytes"),
        (&[0xCF, 0xCF, 0xCF, 0xCE], "a broken footer"),
        (&[0xC6, 0xF7], "expected bytes"),
    ] {
        let error = value_of(data).unwrap_err();
        assert!(error.message.contains(why), "{data:x?}: {error}");
        assert!(
            matches!(error.place, crate::error::Place::Byte(100..)),
            "{error}"
        );
    }
}

#[test]
fn files_that_are_not_what_they_begin_as() {
    let (file, _) = File::streamed(&run(1, 20), 50);
    for (length, why) in [
        (0, "does not begin"),
        (5, "does not begin"),
        (12, "within its header"),
    ] {
        let error = of_jepsen(&file.bytes[..length], false)
            .map(|_| ())
            .unwrap_err();
        assert!(error.message.contains(why), "{error}");
    }
    let mut other = file.bytes.clone();
    other[9] = 2;
    let error = of_jepsen(&other, false).map(|_| ()).unwrap_err();
    assert!(error.message.contains("version 2"), "{error}");
    // An index offset that leads into the middle of a block.
    let mut other = file.bytes.clone();
    other[17] ^= 1;
    let found = of_jepsen(&other, false);
    assert!(found.is_err() || matches!(found, Ok((_, End::Cut(_), _))));
    // A length that would need all memory there is.
    let mut other = file.bytes.clone();
    let at = file.offset_of(1);
    other[at..at + 8].copy_from_slice(&(i64::MAX as u64).to_be_bytes());
    let _ = of_jepsen(&other, false);
}

/// Mend a block's checksum, so that what is wrong in it is seen.
fn mend(bytes: &mut [u8]) {
    let mut at = 18;
    while let Some(header) = bytes.get(at..at + 28) {
        let mut length = [0; 8];
        length.copy_from_slice(&header[..8]);
        let length = u64::from_be_bytes(length) as usize;
        if length < 28 || length > bytes.len() - at {
            return;
        }
        bytes[at + 8..at + 12].fill(0);
        let crc = crc32(&[&bytes[at + 28..at + length], &bytes[at..at + 28]].concat());
        bytes[at + 8..at + 12].copy_from_slice(&crc.to_be_bytes());
        at += length;
    }
}

#[test]
fn ten_thousand_damaged_files() {
    let ops = run(9, 60);
    let (streamed, _) = File::streamed(&ops, 25);
    let files = [streamed.bytes, File::whole(&ops).bytes];
    let plain = super::writer::test_fressian(&ops);
    let mut state = 7u64;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut read = 0;
    for round in 0..10_000 {
        let (mut bytes, fressian) = match round % 3 {
            2 => (plain.clone(), true),
            which => (files[which].clone(), false),
        };
        for _ in 0..=draw(4) {
            let at = draw(bytes.len());
            match draw(4) {
                0 => bytes[at] = draw(256) as u8,
                1 => bytes[at] ^= 1 << draw(8),
                2 => {
                    bytes.remove(at);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
        let salvage = round % 2 == 0;
        let found = if fressian {
            let mut pairer = Pairer::new(salvage);
            read_fressian(Source::Bytes(&bytes), &mut pairer, &Budget::unlimited()).map(|_| ())
        } else {
            if round % 4 < 2 {
                mend(&mut bytes);
            }
            of_jepsen(&bytes, salvage).map(|_| ())
        };
        read += usize::from(found.is_ok());
    }
    // Both happen, or the mutations are of no use.
    assert!((200..9_800).contains(&read), "{read}");
}

#[test]
fn a_budget_of_memory_is_kept() {
    let (file, _) = File::streamed(&run(2, 4000), 5000);
    let mut pairer = Pairer::new(true);
    let budget = Budget::new(u64::MAX, 1000, u64::MAX);
    let source = Source::Bytes(&file.bytes);
    let found = crate::formats::jepsen::test_file::read_jepsen(source, true, &mut pairer, &budget);
    assert!(found.unwrap_err().message.contains("memory"));
    let _ = Fressian::default();
}
