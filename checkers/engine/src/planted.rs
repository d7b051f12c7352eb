//! Bugs that are planted on purpose, to see that the tests find them.
//!
//! `planted!("name", good, bad)` is `good` in every ordinary build. With the feature `planted` it is
//! `bad` in a process whose DISSENSUS_PLANTED holds that name.

/// Names of all planted bugs, each with what it does. A test walks this table.
pub const PLANTED: &[(&str, &str)] = &[
    (
        "queue-interval-ends-swapped",
        "an element's put is compared where its take should be",
    ),
    (
        "empty-take-anywhere",
        "a dequeue that found nothing needs no gap",
    ),
    (
        "permits-one-too-many",
        "a lock can be released when nobody holds it",
    ),
    (
        "session-ends-early",
        "a reentrant mutex is free once it was acquired",
    ),
    (
        "token-order-not-strict",
        "acquisitions with equal tokens are told apart wrongly",
    ),
    ("lease-eps-once", "only one of two clocks is off"),
    (
        "missed-at-the-edge",
        "an element may be missed while it is there",
    ),
    (
        "search-dominance",
        "who has spent more crashed operations dominates",
    ),
    ("search-crashed", "a crashed operation never takes effect"),
    (
        "search-eager",
        "a read takes effect as it arrives, whatever it saw",
    ),
    (
        "search-anew",
        "a read that is still to come forbids all that is not its beginning, whatever is put anew",
    ),
    (
        "search-deadline",
        "of open writes of one value the last to return goes first",
    ),
    (
        "search-slot",
        "a slot is used again while its operation is open",
    ),
    (
        "convert-info-ok",
        "an operation of unknown outcome is written as one that succeeded",
    ),
    (
        "lint-nil-anywhere",
        "a read of nil is told of where nothing had been written",
    ),
    ("lint-clock", "the latest time so far is forgotten"),
    ("label-of-file", "what results.edn says is not looked at"),
    (
        "lift-cas",
        "the old and new value of a cas may be a key and a value",
    ),
    (
        "spans-touching",
        "an end at another's start is not before it",
    ),
    ("salvage-tail", "a last line that was cut counts as whole"),
    (
        "template-memo",
        "a short text stands for what another in its slot did",
    ),
    (
        "pair-info",
        "an operation of unknown outcome did not happen",
    ),
    (
        "crc-unchecked",
        "a block of a .jepsen file is taken whatever its checksum is",
    ),
    (
        "header-14",
        "a block's header has the 14 bytes of Jepsen's documentation",
    ),
    (
        "chunk-gap",
        "a chunk of a .jepsen history may begin behind a gap",
    ),
    (
        "fressian-packing",
        "whole numbers of three bytes are off by 65536",
    ),
    (
        "fressian-cache-late",
        "a value takes its place in the cache when it was read",
    ),
    (
        "txn-rw-wrong-version",
        "a reader comes before the version after the next",
    ),
    (
        "txn-realtime-dropped",
        "cycles of transactions are looked for without real time",
    ),
    (
        "txn-g1b-ignored",
        "a read of an intermediate version is taken",
    ),
    (
        "txn-info-failed",
        "a transaction of unknown outcome that was seen did not happen",
    ),
    (
        "certify-once",
        "a free operation counts once, however many there are",
    ),
    ("replay-time", "a linearization need not keep real time"),
    (
        "verify-gaps",
        "operations in the gaps of a certificate are not looked for",
    ),
    (
        "zones-lost-write-counts",
        "a write that never returned and nobody saw is held against the history",
    ),
    (
        "zones-off-by-one",
        "a forward zone ends two positions early",
    ),
    (
        "zones-backward-unchecked",
        "a backward zone may lie within a forward one",
    ),
    (
        "chains-lost-cas-counts",
        "a cas that never returned took place, whether its value was seen or not",
    ),
    (
        "chains-order-unchecked",
        "values of a chain are not held against real time behind its first one",
    ),
    (
        "ladder-shifted",
        "a read bounds the step behind the next one",
    ),
    (
        "counter-window-open",
        "an addition may be over before its step can begin",
    ),
    (
        "prefix-by-last",
        "a list is a beginning of another where its last element fits",
    ),
    (
        "fetched-no-deadline",
        "an addition may take place after its return",
    ),
    (
        "offsets-nothing-late",
        "a read that found nothing may come behind the entry's append",
    ),
    (
        "staleness-all-writes",
        "every write that is over counts as a newer version",
    ),
];

#[cfg(feature = "planted")]
pub fn chosen(name: &str) -> bool {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<String> = OnceLock::new();
    debug_assert!(
        PLANTED.iter().any(|(known, _)| *known == name),
        "{name} is not in the table"
    );
    CHOSEN.get_or_init(|| std::env::var("DISSENSUS_PLANTED").unwrap_or_default()) == name
}

#[macro_export]
macro_rules! planted {
    ($name:literal, $good:expr, $bad:expr) => {{
        #[cfg(feature = "planted")]
        {
            if $crate::planted::chosen($name) {
                $bad
            } else {
                $good
            }
        }
        #[cfg(not(feature = "planted"))]
        {
            $good
        }
    }};
}
