//! Reads files and says how long it took: `formats FILE ...`.

use dissensus_engine::budget::{peak_bytes, reset_peak, Budget};
use dissensus_engine::formats::{read, Options, Source};

fn main() {
    for path in std::env::args().skip(1) {
        for _ in 0..3 {
            reset_peak();
            let budget = Budget::unlimited();
            let read = read(Source::Path(path.as_ref()), &Options::default(), &budget);
            let ms = budget.used_ns() as f64 / 1e6;
            match read {
                Err(error) => println!("{}", error.in_file(&path)),
                Ok(h) => println!(
                    "{path}: {} {} operations, {ms:.1} ms, {} MB",
                    h.format,
                    h.len(),
                    peak_bytes() >> 20
                ),
            }
        }
    }
}
