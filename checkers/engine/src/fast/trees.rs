//! Two trees over a line of segments: how many intervals cover each, and which spans cover one.

/// Counts of covering intervals, for segments 0 to n - 1.
pub struct Counts {
    size: usize,
    /// The least count below each node, without what its ancestors add.
    least: Vec<i32>,
    /// What is added to all segments below each node.
    add: Vec<i32>,
}

/// So much that a segment never comes to zero again.
const DONE: i32 = 1 << 30;

impl Counts {
    pub fn new(segments: usize) -> Counts {
        let size = segments.next_power_of_two().max(1);
        let mut least = vec![DONE; size * 2];
        least[size..size + segments].fill(0);
        Counts {
            size,
            least,
            add: vec![0; size * 2],
        }
    }

    /// Before `build`: an interval covers the segments from `from` up to, not including, `until`.
    pub fn start(&mut self, from: usize, until: usize) {
        self.least[self.size + from] += 1;
        if until < self.size {
            self.least[self.size + until] -= 1;
        }
    }

    /// Turn the differences that `start` has left into counts.
    pub fn build(&mut self) {
        let mut running = 0;
        for slot in &mut self.least[self.size..] {
            if *slot < DONE / 2 {
                running += *slot;
                *slot = running;
            }
        }
        for node in (1..self.size).rev() {
            self.least[node] = self.least[node * 2].min(self.least[node * 2 + 1]);
        }
    }

    /// An interval covers its segments no longer.
    pub fn remove(&mut self, from: usize, until: usize) {
        self.change(1, 0, self.size, (from, until.min(self.size)), -1);
    }

    /// A segment in the range that nothing covers, each once.
    pub fn take_zero(&mut self, from: usize, until: usize) -> Option<usize> {
        let until = until.min(self.size);
        let found = self.find(1, 0, self.size, (from, until), 0)?;
        self.change(1, 0, self.size, (found, found + 1), DONE);
        Some(found)
    }

    fn change(&mut self, node: usize, low: usize, high: usize, range: (usize, usize), by: i32) {
        if range.1 <= low || high <= range.0 {
            return;
        }
        if range.0 <= low && high <= range.1 {
            self.least[node] += by;
            self.add[node] += by;
            return;
        }
        let middle = low + (high - low) / 2;
        self.change(node * 2, low, middle, range, by);
        self.change(node * 2 + 1, middle, high, range, by);
        self.least[node] = self.least[node * 2].min(self.least[node * 2 + 1]) + self.add[node];
    }

    fn find(
        &self,
        node: usize,
        low: usize,
        high: usize,
        range: (usize, usize),
        above: i32,
    ) -> Option<usize> {
        if range.1 <= low || high <= range.0 || self.least[node] + above != 0 {
            return None;
        }
        if high - low == 1 {
            return Some(low);
        }
        let middle = low + (high - low) / 2;
        let above = above + self.add[node];
        self.find(node * 2, low, middle, range, above)
            .or_else(|| self.find(node * 2 + 1, middle, high, range, above))
    }
}

/// Spans of segments, found by a segment that they cover.
pub struct Spans {
    size: usize,
    /// Spans by their beginning: number and first segment.
    sorted: Vec<(u32, u32)>,
    /// The latest end below each node; 0 for what was taken.
    latest: Vec<u32>,
}

impl Spans {
    /// Spans (from, until), without `until`; their numbers are their places.
    pub fn new(spans: &[(u32, u32)]) -> Spans {
        let mut sorted: Vec<(u32, u32)> = spans
            .iter()
            .enumerate()
            .map(|(number, &(from, _))| (number as u32, from))
            .collect();
        sorted.sort_by_key(|&(_, from)| from);
        let size = sorted.len().next_power_of_two().max(1);
        let mut latest = vec![0; size * 2];
        for (place, &(number, _)) in sorted.iter().enumerate() {
            latest[size + place] = spans[number as usize].1;
        }
        for node in (1..size).rev() {
            latest[node] = latest[node * 2].max(latest[node * 2 + 1]);
        }
        Spans {
            size,
            sorted,
            latest,
        }
    }

    /// The number of a span that covers a segment, each span once.
    pub fn take_at(&mut self, segment: u32) -> Option<u32> {
        let begun = self.sorted.partition_point(|&(_, from)| from <= segment);
        let place = self.find(1, 0, self.size, begun, segment)?;
        let mut node = self.size + place;
        self.latest[node] = 0;
        while node > 1 {
            node /= 2;
            self.latest[node] = self.latest[node * 2].max(self.latest[node * 2 + 1]);
        }
        Some(self.sorted[place].0)
    }

    fn find(
        &self,
        node: usize,
        low: usize,
        high: usize,
        begun: usize,
        segment: u32,
    ) -> Option<usize> {
        if low >= begun || self.latest[node] <= segment {
            return None;
        }
        if high - low == 1 {
            return Some(low);
        }
        let middle = low + (high - low) / 2;
        self.find(node * 2, low, middle, begun, segment)
            .or_else(|| self.find(node * 2 + 1, middle, high, begun, segment))
    }
}
