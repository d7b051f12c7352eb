//! Bounds of a check: CPU time of all threads together, bytes that the engine has allocated, and
//! the wish of the user to stop.
//!
//! Every loop that can run long calls `Meter::tick` once a turn: that is a counter, and a look at
//! the clock every `EVERY` turns. What is about to allocate much asks `Budget::fits` first.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;

/// Turns between two looks at the clock: a turn takes at most some microseconds.
const EVERY: u32 = 1024;

/// Counts what the engine has allocated. Within Python it is the allocator of this module alone.
pub struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; only sizes are counted beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        let at = unsafe { System.alloc(layout) };
        in_large_pages(at, layout.size());
        at
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Relaxed);
        count(size);
        // SAFETY: the caller keeps the contract of `realloc`.
        let at = unsafe { System.realloc(at, layout, size) };
        in_large_pages(at, size);
        at
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }
}

/// Allocations from here on are asked for in large pages.
const LARGE: usize = 4 << 20;
const LARGE_PAGE: usize = 2 << 20;

/// Ask for large pages where an allocation has room for them: a column of a million numbers then
/// costs a few page faults and not a thousand.
#[inline]
fn in_large_pages(at: *mut u8, size: usize) {
    if size >= LARGE && !at.is_null() {
        advise(at, size);
    }
}

#[cold]
fn advise(at: *mut u8, size: usize) {
    let skip = at.align_offset(LARGE_PAGE);
    let whole = size.saturating_sub(skip) / LARGE_PAGE * LARGE_PAGE;
    #[cfg(target_os = "linux")]
    if whole > 0 {
        // SAFETY: the range lies in the allocation; the advice changes no byte of it, and where the
        // system does not take it, nothing happens.
        unsafe { libc::madvise(at.wrapping_add(skip).cast(), whole, libc::MADV_HUGEPAGE) };
    }
}

fn count(size: usize) {
    let live = LIVE.fetch_add(size, Relaxed) + size;
    if live > PEAK.load(Relaxed) {
        PEAK.fetch_max(live, Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that the engine holds now.
pub fn live_bytes() -> usize {
    LIVE.load(Relaxed)
}

/// The most bytes that it held at once since `reset_peak`.
pub fn peak_bytes() -> usize {
    PEAK.load(Relaxed)
}

pub fn reset_peak() {
    PEAK.store(LIVE.load(Relaxed), Relaxed);
}

/// Why a check stopped before its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    Time,
    Memory,
    Configurations,
    Interrupted,
}

impl Stop {
    pub fn text(self) -> &'static str {
        match self {
            Stop::Time => "time",
            Stop::Memory => "memory",
            Stop::Configurations => "configurations",
            Stop::Interrupted => "interrupted",
        }
    }
}

/// How far a check has come, for whoever watches it.
#[derive(Default)]
pub struct Progress {
    pub operations: AtomicU64,
    pub keys: AtomicU64,
    pub keys_done: AtomicU64,
    pub configurations: AtomicU64,
}

/// The bounds of a check, shared by its threads.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    cpu_ns: u64,
    bytes: usize,
    configurations: u64,
    /// Bytes that were held when the check began: they do not count.
    base: usize,
    used_ns: AtomicU64,
    cancelled: AtomicBool,
    /// Set by the first thread that finds a bound exceeded; 0 while all is well.
    stopped: AtomicU64,
    progress: Progress,
}

impl Budget {
    /// Bounds: nanoseconds of CPU, bytes, configurations of the general search. `u64::MAX` or
    /// `usize::MAX` is no bound.
    pub fn new(cpu_ns: u64, bytes: usize, configurations: u64) -> Budget {
        Budget {
            shared: Arc::new(Shared {
                cpu_ns,
                bytes,
                configurations,
                base: live_bytes(),
                used_ns: AtomicU64::new(0),
                cancelled: AtomicBool::new(false),
                stopped: AtomicU64::new(0),
                progress: Progress::default(),
            }),
        }
    }

    pub fn unlimited() -> Budget {
        Budget::new(u64::MAX, usize::MAX, u64::MAX)
    }

    /// Ask all threads to stop soon: a user's Ctrl-C, or a race that is decided.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Relaxed);
    }

    pub fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    pub fn configurations(&self) -> u64 {
        self.shared.configurations
    }

    /// CPU time that the finished and running meters have reported, in nanoseconds.
    pub fn used_ns(&self) -> u64 {
        self.shared.used_ns.load(Relaxed)
    }

    /// Whether `more` bytes fit. Ask before a large allocation: a table that doubles, a buffer.
    pub fn fits(&self, more: usize) -> Result<(), Stop> {
        let held = live_bytes().saturating_sub(self.shared.base);
        if held.saturating_add(more) > self.shared.bytes {
            return Err(self.stop(Stop::Memory));
        }
        Ok(())
    }

    /// Whether `more` bytes fit; the check goes on if not.
    pub fn has_room(&self, more: usize) -> bool {
        let held = live_bytes().saturating_sub(self.shared.base);
        held.saturating_add(more) <= self.shared.bytes
    }

    fn stop(&self, why: Stop) -> Stop {
        let code = 1 + why as u64;
        let _ = self
            .shared
            .stopped
            .compare_exchange(0, code, Relaxed, Relaxed);
        why
    }

    /// A meter for the calling thread.
    pub fn meter(&self) -> Meter {
        Meter {
            budget: self.clone(),
            turns: 0,
            seen_ns: thread_cpu_ns(),
        }
    }
}

/// One thread's account with the budget. It belongs to the thread that made it.
pub struct Meter {
    budget: Budget,
    turns: u32,
    seen_ns: u64,
}

impl Meter {
    /// One turn of a loop.
    #[inline]
    pub fn tick(&mut self) -> Result<(), Stop> {
        self.turns += 1;
        if self.turns < EVERY {
            return Ok(());
        }
        self.look()
    }

    /// As many turns as `n`.
    #[inline]
    pub fn ticks(&mut self, n: u32) -> Result<(), Stop> {
        self.turns = self.turns.saturating_add(n);
        if self.turns < EVERY {
            return Ok(());
        }
        self.look()
    }

    /// Look at the clock and the memory now.
    #[cold]
    pub fn look(&mut self) -> Result<(), Stop> {
        self.turns = 0;
        let now = thread_cpu_ns();
        let spent = now.saturating_sub(self.seen_ns);
        self.seen_ns = now;
        let used = self.budget.shared.used_ns.fetch_add(spent, Relaxed) + spent;
        if self.budget.shared.cancelled.load(Relaxed) {
            return Err(self.budget.stop(Stop::Interrupted));
        }
        if used > self.budget.shared.cpu_ns {
            return Err(self.budget.stop(Stop::Time));
        }
        self.budget.fits(0)
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let spent = thread_cpu_ns().saturating_sub(self.seen_ns);
        self.budget.shared.used_ns.fetch_add(spent, Relaxed);
    }
}

fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer, and the clock exists on every supported
    // system; where it failed, the time stays 0.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_on_time_is_kept() {
        let budget = Budget::new(20_000_000, usize::MAX, u64::MAX);
        let mut meter = budget.meter();
        let mut x = 1u64;
        let stopped = loop {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1);
            if let Err(stop) = meter.tick() {
                break stop;
            }
        };
        assert_ne!(x, 0);
        assert_eq!(stopped, Stop::Time);
        assert!(budget.used_ns() < 60_000_000, "{}", budget.used_ns());
    }

    #[test]
    fn a_bound_on_memory_is_kept() {
        let budget = Budget::new(u64::MAX, 1 << 20, u64::MAX);
        assert_eq!(budget.fits(1 << 30), Err(Stop::Memory));
    }
}
