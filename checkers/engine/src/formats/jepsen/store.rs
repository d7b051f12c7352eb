//! Store directories of Jepsen and Maelstrom: which file has the history, and what the run's own
//! checker said.
//!
//! Of the files that have the history the one that says most counts: test.jepsen has checksums and
//! whole values, history.edn is the same as text, history.txt has lost the types. What results.edn
//! says is a label to show beside our verdict: of the keys in it the outermost `:valid?` alone, for
//! those inside are of single checkers, and some overwrite each other.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::formats::edn::Edn;
use crate::formats::scan::Cursor;
use crate::formats::{Options, Source};
use crate::history::History;
use crate::planted;
use crate::values::{Look, Values};

use super::test_file::label;
use super::About;

/// Files that have the history, the most trusted first.
const FILES: [&str; 4] = ["test.jepsen", "history.edn", "test.fressian", "history.txt"];
/// What Jepsen calls the newest run of a test.
const LATEST: &str = "latest";
/// Larger results are not read for a label.
const RESULTS_BYTES_MAX: u64 = 64 << 20;

/// A history file, in a store directory or by itself.
pub struct Place {
    pub file: PathBuf,
    /// What the directory says; nothing for a file by itself.
    about: About,
}

/// The file of a path: the path itself, or the most trusted file of a store directory.
pub fn find(path: &Path, budget: &Budget) -> Result<Place> {
    let alone = || Place {
        file: path.to_path_buf(),
        about: About::default(),
    };
    if !path.is_dir() {
        return Ok(alone());
    }
    let latest = path.join(LATEST);
    for folder in [path, &latest] {
        let there: Vec<&str> = FILES
            .into_iter()
            .filter(|name| folder.join(name).is_file())
            .collect();
        if let Some(&name) = there.first() {
            let mut about = About {
                file: Some(if folder == path {
                    name.to_string()
                } else {
                    format!("{LATEST}/{name}")
                }),
                others: there[1..].iter().map(|name| (*name).to_string()).collect(),
                ..About::default()
            };
            about.name = name_of(folder);
            about.valid = valid_of(&folder.join("results.edn"), budget);
            return Ok(Place {
                file: folder.join(name),
                about,
            });
        }
    }
    let known = FILES.join(", ");
    let why = format!("a folder without a history (looked for {known}, here and in {LATEST}/)");
    Err(Error::new(format!("{}: {why}", path.display())))
}

/// The history of a file or of a store directory. The error's text names the file.
pub fn read(path: &Path, options: &Options, budget: &Budget) -> Result<History> {
    let place = find(path, budget)?;
    let read = crate::formats::read(Source::Path(&place.file), options, budget);
    let mut history = read.map_err(|error| place.located(error))?;
    history.about = place.about.or(history.about);
    Ok(history)
}

impl Place {
    /// An error with the file before it and, where there is one, another file to try.
    pub fn located(&self, error: Error) -> Error {
        let mut text = error.in_file(&self.file.to_string_lossy());
        if let (None, Some(other)) = (error.stop, self.about.others.first()) {
            text.push_str(&format!(" ({other} is beside it)"));
        }
        Error {
            stop: error.stop,
            ..Error::new(text)
        }
    }
}

impl About {
    /// What a directory says, and for the rest what the file in it says. A label in results.edn is
    /// newer than one in the test's file: the analysis may have been done again.
    fn or(self, file: About) -> About {
        About {
            name: file.name.or(self.name),
            workload: file.workload.or(self.workload),
            valid: planted!("label-of-file", self.valid, None).or(file.valid),
            file: self.file,
            others: self.others,
        }
    }
}

/// A run is in store/NAME/TIME/.
fn name_of(folder: &Path) -> Option<String> {
    let real = folder.canonicalize().ok()?;
    let name = real.parent()?.file_name()?.to_str()?;
    Some(name.to_string())
}

/// The outermost `:valid?` of results; `None` where there is none that can be read.
fn valid_of(path: &Path, budget: &Budget) -> Option<String> {
    let file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    if size > RESULTS_BYTES_MAX || budget.fits(4 * size as usize).is_err() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(RESULTS_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    valid_in(&bytes)
}

fn valid_in(bytes: &[u8]) -> Option<String> {
    let mut values = Values::default();
    let mut cursor = Cursor {
        bytes,
        at: 0,
        eof: true,
        salvage: false,
    };
    let results = Edn::default().value(&mut cursor, &mut values).ok()?;
    let Look::Map(items) = values.look(results) else {
        return None;
    };
    let named = |key| values.as_name(key) == Some("valid?");
    let found = items.chunks_exact(2).find(|pair| named(pair[0]))?;
    label(&values, found[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_label_counts() {
        let of = |text: &str| valid_in(text.as_bytes());
        let nested = "{:linear {:valid? true}, :stats {:valid? true}, :valid? false}";
        assert_eq!(of(nested).as_deref(), Some("false"));
        assert_eq!(
            of("{:valid? :unknown :error #error {:cause 1}}").as_deref(),
            Some("unknown")
        );
        assert_eq!(of("{:linear {:valid? true}}"), None);
        assert_eq!(of("{:valid? tr"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn a_store_directory_is_read_from_its_best_file() {
        let store = std::env::temp_dir().join(format!("dissensus-store-{}", std::process::id()));
        let run = store.join("lin-kv/20260101T000000");
        std::fs::create_dir_all(&run).unwrap();
        let (options, budget) = (Options::default(), Budget::unlimited());
        let error = read(&run, &options, &budget).err().unwrap();
        assert!(
            error.message.contains("a folder without a history"),
            "{error}"
        );

        let event = ":process 0, :f :read, :value nil";
        let text = "0\t:invoke\t:read\tnil\n0\t:ok\t:read\tnil\n";
        std::fs::write(run.join("history.txt"), text).unwrap();
        let about = |path: &Path| read(path, &options, &budget).unwrap().about;
        assert_eq!(about(&run).file.as_deref(), Some("history.txt"));
        std::fs::write(
            run.join("history.edn"),
            format!("{{:type :invoke {event}}}"),
        )
        .unwrap();
        std::fs::write(run.join("results.edn"), "{:a {:valid? true} :valid? false}").unwrap();
        let found = about(&run);
        assert_eq!(found.file.as_deref(), Some("history.edn"));
        assert_eq!(found.others, ["history.txt"]);
        assert_eq!(
            (found.name.as_deref(), found.valid.as_deref()),
            (Some("lin-kv"), Some("false"))
        );
        // The folder above, by its link to the newest run.
        std::os::unix::fs::symlink(&run, run.parent().unwrap().join("latest")).unwrap();
        let latest = about(run.parent().unwrap());
        assert_eq!(latest.valid.as_deref(), Some("false"));
        assert_eq!(latest.file.as_deref(), Some("latest/history.edn"));
        // What is best is not passed over silently where it is broken.
        std::fs::write(run.join("test.jepsen"), "JEPSEN").unwrap();
        let error = read(&run, &options, &budget).err().unwrap();
        assert!(error.message.contains("test.jepsen: at byte 6"), "{error}");
        assert!(
            error.message.ends_with("(history.edn is beside it)"),
            "{error}"
        );
        std::fs::remove_dir_all(&store).unwrap();
    }
}
