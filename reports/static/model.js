// What is computed once from the data: lanes, ends, and indexes that find what is in view.

const INFO = 0, OK = 1, FAIL = 2;
const OUTCOMES = ["info", "ok", "fail"];
const LANES_MAX = 400;

/** The decoded data with everything that drawing needs. */
function modelOf(data) {
  const { rows, t, took, run } = data;
  const end = new Float64Array(rows);
  let longest = 0;
  for (let row = 0; row < rows; row++) {
    end[row] = took[row] < 0 ? run.last : t[row] + took[row];
    if (took[row] > longest) longest = took[row];
  }
  const model = { ...data, end, longest, ...lanesOf(data) };
  model.counts = [0, 0, 0];
  for (let row = 0; row < rows; row++) model.counts[data.outcome[row]]++;
  model.keyRows = indexBy(data.key, rows, data.texts.keys.length);
  model.scale = latencyScale(data);
  return model;
}

/** A lane for each thread: process p runs on thread p mod concurrency, where that is known. */
function lanesOf({ rows, process, run }) {
  const lane = new Int32Array(rows);
  const names = [];
  if (run.concurrency > 0 && run.concurrency <= LANES_MAX) {
    for (let row = 0; row < rows; row++) lane[row] = process[row] % run.concurrency;
    for (let i = 0; i < run.concurrency; i++) names.push(`p${i}`);
  } else {
    const seen = new Map();
    for (let row = 0; row < rows; row++) {
      if (!seen.has(process[row])) {
        seen.set(process[row], seen.size % LANES_MAX);
        if (seen.size <= LANES_MAX) names.push(`p${process[row]}`);
      }
      lane[row] = seen.get(process[row]);
    }
  }
  return { lane, laneNames: names, laneRows: indexBy(lane, rows, names.length) };
}

/** Rows grouped by a number, in order: {rows, from} with group g at rows[from[g] .. from[g+1]]. */
function indexBy(column, count, groups) {
  const from = new Int32Array(groups + 1);
  for (let row = 0; row < count; row++) from[column[row] + 1]++;
  for (let g = 0; g < groups; g++) from[g + 1] += from[g];
  const place = from.slice();
  const rows = new Int32Array(count);
  for (let row = 0; row < count; row++) rows[place[column[row]]++] = row;
  return { rows, from };
}

/** First i in [lo, hi) with at(i) >= wanted, else hi. */
function firstAtLeast(lo, hi, wanted, at) {
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (at(mid) < wanted) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/** Whole decades around all latencies of successes: {lo, hi} as powers of ten of ns. */
function latencyScale({ rows, took, outcome }) {
  let lo = Infinity, hi = 0;
  for (let row = 0; row < rows; row++) {
    if (outcome[row] !== OK || took[row] <= 0) continue;
    if (took[row] < lo) lo = took[row];
    if (took[row] > hi) hi = took[row];
  }
  if (!hi) return { lo: 5, hi: 8 };
  const found = { lo: Math.floor(Math.log10(lo)), hi: Math.ceil(Math.log10(hi)) };
  if (found.hi === found.lo) found.hi++;
  return found;
}

/** An operation in few words: "write 4", "read → 3", "cas 3 → 4", with "?" where unknown. */
function opWords(model, row) {
  const f = model.texts.fs[model.f[row]];
  const arg = model.texts.values[model.arg[row]];
  const result = model.texts.values[model.result[row]];
  const outcome = model.outcome[row];
  if (arg === "") return outcome === OK ? `${f} → ${result || "nothing"}` : `${f} → ?`;
  if (outcome === OK && model.arg[row] !== model.result[row] && result !== "") {
    return `${f} ${arg} → ${result}`;
  }
  return `${f} ${arg}`;
}

/** The operation's key as text, empty where there is none. */
function keyWords(model, row) {
  return model.texts.keys[model.key[row]];
}

/** Key and operation: "k3: write 4". */
function wholeWords(model, row) {
  const key = keyWords(model, row);
  return key ? `${key}: ${opWords(model, row)}` : opWords(model, row);
}
