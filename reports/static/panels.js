// The panels that share the time axis, but the clients' lanes: overview, ruler, faults, nodes,
// throughput, latency. Each has `height(stage)` and `draw(pen, stage)`; `pen` holds the fitted
// canvas, `x(ns)` and `ns(x)`, and the colours.

const BUCKET_PX = 6;
const QUANTILE_PX = 10;
const QUANTILE_OPS = 10;
const BURST = 3;
const LOG_BINS = 160;
const POINTS_MAX = 6000;
const FAULT_ROW = 22;
const NODE_ROW = 18;

/** Rows that are invoked in the window, or up to the longest operation before it: [from, to). */
function rowsNear(model, a, b) {
  const at = (row) => model.t[row];
  return [
    firstAtLeast(0, model.rows, a - model.longest, at),
    firstAtLeast(0, model.rows, b, at),
  ];
}

/** Vertical bands of the faults that had their effect, behind whatever a panel shows. */
function drawBands(pen, stage) {
  const { ctx, width, height, x, colours } = pen;
  for (const fault of stage.model.run.faults) {
    if (!fault.effective) continue;
    const begin = x(fault.begin), from = x(fault.measured), to = x(endOf(fault, stage));
    if (to < 0 || begin > width) continue;
    ctx.fillStyle = colours.fault(fault.family);
    // From asked to measured it is not known yet whether it holds: half as strong.
    ctx.globalAlpha = 0.05;
    ctx.fillRect(begin, 0, from - begin, height);
    ctx.globalAlpha = 0.1;
    ctx.fillRect(from, 0, Math.max(1, to - from), height);
    ctx.globalAlpha = 0.55;
    ctx.fillRect(begin - 1, 0, 1.5, height);
    ctx.fillRect(to - 0.5, 0, 1.5, height);
    ctx.globalAlpha = 1;
  }
}

/** When a fault ended; the end of the run where it never did. */
function endOf(fault, stage) {
  return fault.end < 0 ? stage.model.run.last : fault.end;
}

/** The highest of these to scale by: a short burst above all others is left to stick out. */
function usualTop(values) {
  const some = Array.from(values).filter((value) => value > 0).sort((a, b) => a - b);
  if (!some.length) return 1;
  const usual = some[Math.floor(some.length * 0.9)], most = some[some.length - 1];
  return most > BURST * usual ? usual * 1.2 : most;
}

/** Successes, open ends and failures by moment of completion, in `buckets` equal parts. */
function countEnds(model, a, b, buckets) {
  const counts = [0, 1, 2].map(() => new Float64Array(buckets));
  const scale = buckets / (b - a);
  const [from, to] = rowsNear(model, a, b);
  for (let row = from; row < to; row++) {
    const end = model.end[row];
    if (end < a || end >= b || model.took[row] < 0) continue;
    counts[model.outcome[row]][Math.floor((end - a) * scale)]++;
  }
  return counts;
}

const overview = {
  name: "whole run",
  height: () => 44,
  draw(pen, stage) {
    const { ctx, width, height, colours } = pen;
    const { last } = stage.view;
    const whole = { ...pen, x: (ns) => (ns / last) * width };
    drawBands(whole, stage);
    if (!stage.overviewCounts || stage.overviewCounts.width !== width) {
      const buckets = Math.max(1, Math.floor(width / 2));
      stage.overviewCounts = { width, ok: countEnds(stage.model, 0, last, buckets)[OK] };
    }
    const { ok } = stage.overviewCounts;
    const most = usualTop(ok);
    ctx.fillStyle = colours.ok;
    ctx.globalAlpha = 0.7;
    for (let i = 0; i < ok.length; i++) {
      const tall = Math.min(height, (ok[i] / most) * (height - 10));
      if (tall) ctx.fillRect(i * 2, height - tall, 2, tall);
    }
    ctx.globalAlpha = 1;
    const a = whole.x(stage.view.a), b = Math.max(whole.x(stage.view.b), a + 2);
    ctx.fillStyle = colours.bg;
    ctx.globalAlpha = 0.6;
    ctx.fillRect(0, 0, a, height);
    ctx.fillRect(b, 0, width - b, height);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colours.text;
    ctx.lineWidth = 1.5;
    ctx.strokeRect(a + 0.75, 0.75, Math.max(1, b - a - 1.5), height - 1.5);
    for (const anomaly of stage.anomalies) {
      if (!anomaly.inside.length) continue;
      const at = whole.x((anomaly.a + anomaly.b) / 2);
      ctx.strokeStyle = colours.bad;
      ctx.lineWidth = 2;
      ctx.fillStyle = colours.bg;
      ctx.beginPath();
      ctx.arc(at, 9, 5, 0, 7);
      ctx.fill();
      ctx.stroke();
    }
  },
};

const ruler = {
  name: "",
  height: () => 30,
  draw(pen, stage) {
    const { ctx, width, height, x, colours } = pen;
    const { a, b } = stage.view;
    const step = niceStep(((b - a) / width) * 110);
    ctx.fillStyle = colours.muted;
    ctx.font = colours.small;
    for (let t = Math.ceil(a / step) * step; t <= b; t += step) {
      const at = x(t);
      ctx.fillRect(Math.round(at), height - 5, 1, 5);
      const text = momentWords(t, step);
      const wide = ctx.measureText(text).width;
      ctx.fillText(text, Math.max(0, Math.min(width - wide, at - wide / 2)), height - 12);
    }
    stage.model.run.phases.forEach(([name, start], i, all) => {
      const from = Math.max(0, x(start));
      const to = Math.min(width, i + 1 < all.length ? x(all[i + 1][1]) : width);
      if (to - from < 4) return;
      ctx.fillStyle = colours.line;
      ctx.fillRect(Math.round(from), 0, 1, 10);
      label(ctx, name, from + 5, 6, to - from - 8, colours.muted, colours.small);
    });
  },
};

/** A fault's name on its bar: on the solid part if it fits there, else on a ground of its own. */
function nameFault(pen, fault, { begin, solid, end, middle }) {
  const { ctx, width, colours } = pen;
  const texts = fault.effective
    ? [`${fault.kind} ${fault.targets}`, fault.kind, fault.family]
    : [`${fault.kind}: no effect`, "no effect"];
  if (fault.effective) {
    const left = Math.max(4, solid + 6), room = Math.min(width, end) - left - 4;
    if (texts.some((text) => label(ctx, text, left, middle, room, colours.bg, colours.small))) {
      return;
    }
  }
  const left = Math.max(4, begin + 6), room = Math.min(width, end) - left - 4;
  ctx.font = colours.small;
  const text = texts.find((one) => ctx.measureText(one).width <= room);
  if (!text) return;
  ctx.fillStyle = colours.bg;
  ctx.fillRect(left - 3, middle - 7, ctx.measureText(text).width + 6, 14);
  label(ctx, text, left, middle, room, colours.text, colours.small);
}

/** Faults in as few rows as they fit in: [[fault, row], ...], and the number of rows. */
function faultRows(stage) {
  const free = [];
  const placed = stage.model.run.faults.map((fault) => {
    let row = free.findIndex((end) => end <= fault.begin);
    if (row < 0) row = free.length;
    free[row] = endOf(fault, stage);
    return [fault, row];
  });
  return { placed, rows: free.length };
}

const faults = {
  name: "faults",
  height: (stage) => Math.max(1, stage.faultRows.rows) * FAULT_ROW + 6,
  draw(pen, stage) {
    const { ctx, width, x, colours } = pen;
    for (const [fault, row] of stage.faultRows.placed) {
      const colour = colours.fault(fault.family);
      const y = row * FAULT_ROW + 3, tall = FAULT_ROW - 4;
      const begin = x(fault.begin), end = Math.max(begin + 3, x(endOf(fault, stage)));
      if (end < 0 || begin > width) continue;
      const solid = fault.effective ? Math.max(begin, x(fault.measured)) : end;
      hatch(ctx, begin, y, solid - begin, tall, colour);
      ctx.fillStyle = colour;
      if (fault.effective) ctx.fillRect(solid, y, Math.max(2, end - solid), tall);
      ctx.strokeStyle = colour;
      ctx.lineWidth = 1;
      ctx.strokeRect(begin + 0.5, y + 0.5, end - begin - 1, tall - 1);
      nameFault(pen, fault, { begin, solid, end, middle: y + tall / 2 + 0.5 });
    }
    if (!stage.faultRows.rows) {
      label(ctx, "none", 6, 14, width, colours.muted, colours.small);
    }
  },
};

const nodes = {
  name: "nodes",
  height: (stage) => Math.max(1, stage.nodeNames.length) * NODE_ROW + 6,
  rowNames: (stage) => stage.nodeNames,
  rowHeight: NODE_ROW,
  draw(pen, stage) {
    const { ctx, width, x, colours } = pen;
    drawBands(pen, stage);
    for (const [name, begin, end, state, role, term] of stage.model.run.segments) {
      const from = Math.max(-2, x(begin)), to = Math.min(width + 2, x(end));
      if (to < 0 || from > width || to <= from) continue;
      const y = stage.nodeNames.indexOf(name) * NODE_ROW + 4, tall = NODE_ROW - 4;
      const middle = y + tall / 2 + 0.5;
      const words = term >= 0 ? `${role} · term ${term}` : role;
      if (state !== "up") {
        ctx.setLineDash([3, 3]);
        ctx.strokeStyle = colours.muted;
        ctx.strokeRect(from + 0.5, y + 0.5, to - from - 1, tall - 1);
        ctx.setLineDash([]);
        label(ctx, state, from + 6, middle, to - from - 8, colours.muted, colours.small);
      } else if (role === "leader") {
        ctx.fillStyle = colours.link;
        ctx.fillRect(from, y, to - from, tall);
        label(ctx, words, Math.max(from, 0) + 6, middle, to - Math.max(from, 0) - 8, colours.bg,
          colours.small);
      } else {
        ctx.fillStyle = colours.line;
        ctx.fillRect(from, y + tall / 2 - 1, to - from, 2);
        if (role === "candidate") hatch(ctx, from, y, to - from, tall, colours.unknown, 4);
        ctx.fillRect(from, y + 2, 1, tall - 4);
      }
    }
    for (const [t, , node] of stage.model.run.marks) {
      const row = stage.nodeNames.indexOf(node);
      if (row >= 0) drawMark(pen, x(t), row * NODE_ROW + 2 + NODE_ROW / 2);
    }
    if (!stage.nodeNames.length) {
      label(ctx, "nothing was said", 6, 12, width, colours.muted, colours.small);
    }
  },
};

/** A mark as a small diamond. */
function drawMark({ ctx, width, colours }, at, y) {
  if (at < -6 || at > width + 6) return;
  ctx.beginPath();
  ctx.moveTo(at, y - 5);
  ctx.lineTo(at + 5, y);
  ctx.lineTo(at, y + 5);
  ctx.lineTo(at - 5, y);
  ctx.closePath();
  ctx.fillStyle = colours.text;
  ctx.fill();
  ctx.strokeStyle = colours.bg;
  ctx.lineWidth = 1;
  ctx.stroke();
}

/** Marks that are about no node in particular: what a scenario says, faults that were skipped. */
const script = {
  name: "script",
  height: (stage) => (stage.scriptMarks.length ? 24 : 0),
  draw(pen, stage) {
    const { width, height, x, colours } = pen;
    stage.scriptMarks.forEach(([t, name, , words], i, all) => {
      const at = x(t), next = i + 1 < all.length ? x(all[i + 1][0]) : width;
      drawMark(pen, at, height / 2);
      const from = Math.max(2, at + 9), room = Math.min(next - 6, width) - from;
      const most = Math.floor(room / 6);
      if (at > width || most < 4) return;
      const text = shorten(words || name, most);
      label(pen.ctx, text, from, height / 2 + 0.5, room, colours.text, colours.small);
    });
  },
};

const throughput = {
  name: "throughput",
  unit: "per second",
  height: () => 84,
  draw(pen, stage) {
    const { ctx, width, height, colours } = pen;
    drawBands(pen, stage);
    const { a, b } = stage.view;
    const buckets = Math.max(1, Math.floor(width / BUCKET_PX));
    const [info, ok, fail] = countEnds(stage.model, a, b, buckets);
    const perSecond = (buckets * 1e9) / (b - a);
    const top = niceStep(usualTop(ok.map((count, i) => count + info[i] + fail[i])) * perSecond);
    const scale = (height - 8) / top;
    drawGrid(pen, [[top / 2, countWords(top / 2)], [top, countWords(top)]],
      (value) => height - value * scale);
    const step = width / buckets;
    for (let i = 0; i < buckets; i++) {
      let y = height;
      for (const [count, colour] of [[ok, "ok"], [info, "info"], [fail, "fail"]]) {
        const tall = count[i] * perSecond * scale;
        if (!tall) continue;
        y -= tall;
        ctx.fillStyle = colours[colour];
        ctx.fillRect(i * step + 0.5, y, step - 1, tall);
      }
    }
    drawGap(pen, stage);
  },
};

/** The longest time without a success, as a bracket with its length. */
function drawGap(pen, stage) {
  const { ctx, width, x, colours } = pen;
  const [begin, end] = stage.model.run.gap;
  const from = Math.max(0, x(begin)), to = Math.min(width, x(end));
  if (to - from < 8) return;
  ctx.strokeStyle = colours.unknown;
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  ctx.moveTo(from, 4);
  ctx.lineTo(from, 12);
  ctx.moveTo(from, 8);
  ctx.lineTo(to, 8);
  ctx.moveTo(to, 4);
  ctx.lineTo(to, 12);
  ctx.stroke();
  const text = `no success for ${spanWords(end - begin)}`;
  ctx.font = colours.small;
  const wide = ctx.measureText(text).width;
  const left = Math.max(2, Math.min(width - wide - 4, (from + to - wide) / 2));
  ctx.fillStyle = colours.bg;
  ctx.globalAlpha = 0.85;
  ctx.fillRect(left - 3, 14, wide + 6, 15);
  ctx.globalAlpha = 1;
  label(ctx, text, left, 22, width, colours.unknown, colours.small);
}

/** Horizontal lines with their values. */
function drawGrid(pen, marks, y) {
  const { ctx, width, colours } = pen;
  ctx.fillStyle = colours.line;
  ctx.globalAlpha = 0.6;
  for (const [value] of marks) ctx.fillRect(0, Math.round(y(value)), width, 1);
  ctx.globalAlpha = 1;
  pen.gutter(marks.map(([value, text]) => [y(value), text]));
}

const latency = {
  name: "latency",
  unit: "log scale",
  height: () => 148,
  draw(pen, stage) {
    const { colours } = pen;
    drawBands(pen, stage);
    const { lo, hi } = stage.model.scale;
    const y = (ns) => latencyY(pen.height, stage, ns);
    const marks = [];
    for (let power = lo; power <= hi; power++) marks.push([10 ** power, spanWords(10 ** power)]);
    drawGrid(pen, marks, y);
    const [from, to] = rowsNear(stage.model, stage.view.a, stage.view.b);
    if (to - from > POINTS_MAX) drawDensity(pen, stage, from, to);
    else drawPoints(pen, stage, from, to, y);
    const buckets = Math.max(1, Math.floor(pen.width / QUANTILE_PX));
    // Quantiles of a handful of operations are noise: then the dots say it all.
    if (to - from < buckets * QUANTILE_OPS) return;
    const lines = quantileLines(stage, buckets, from, to);
    drawLine(pen, lines.p50, y, colours.text, []);
    drawLine(pen, lines.p99, y, colours.text, [4, 3]);
  },
};

/** Height of a latency in its panel. */
function latencyY(height, stage, ns) {
  const { lo, hi } = stage.model.scale;
  return height - 4 - ((Math.log10(Math.max(1, ns)) - lo) / (hi - lo)) * (height - 12);
}

/** Every operation as a mark: ok a dot, info an open triangle, fail a cross. */
function drawPoints(pen, stage, from, to, y) {
  const { ctx, x, colours } = pen;
  const { model } = stage;
  const size = to - from > 1500 ? 1.5 : 2.25;
  for (const outcome of [FAIL, OK, INFO]) {
    const colour = colours[OUTCOMES[outcome]];
    ctx.fillStyle = ctx.strokeStyle = colour;
    ctx.globalAlpha = outcome === OK ? 0.65 : 0.9;
    ctx.lineWidth = 1.2;
    ctx.beginPath();
    for (let row = from; row < to; row++) {
      if (model.outcome[row] !== outcome || model.took[row] < 0) continue;
      const px = x(model.end[row]), py = y(model.took[row]);
      if (px < -3 || px > pen.width + 3) continue;
      if (outcome === OK) {
        ctx.moveTo(px + size, py);
        ctx.arc(px, py, size, 0, 7);
      } else if (outcome === INFO) {
        ctx.moveTo(px - 3, py + 3);
        ctx.lineTo(px + 3, py + 3);
        ctx.lineTo(px, py - 3);
        ctx.lineTo(px - 3, py + 3);
      } else {
        ctx.moveTo(px - 2, py - 2);
        ctx.lineTo(px + 2, py + 2);
        ctx.moveTo(px - 2, py + 2);
        ctx.lineTo(px + 2, py - 2);
      }
    }
    if (outcome === OK) ctx.fill();
    else ctx.stroke();
  }
  ctx.globalAlpha = 1;
}

/** How many operations lie under each spot, as shades: what dots would hide under each other. */
function drawDensity(pen, stage, from, to) {
  const { ctx, width, height, x, colours } = pen;
  const { model } = stage;
  const spot = 2;
  const across = Math.ceil(width / spot), down = Math.ceil(height / spot);
  for (const outcome of [FAIL, OK, INFO]) {
    const counts = new Uint32Array(across * down);
    let most = 0;
    for (let row = from; row < to; row++) {
      if (model.outcome[row] !== outcome || model.took[row] < 0) continue;
      const i = Math.floor(x(model.end[row]) / spot);
      const j = Math.floor(latencyY(height, stage, model.took[row]) / spot);
      if (i < 0 || i >= across || j < 0 || j >= down) continue;
      most = Math.max(most, ++counts[j * across + i]);
    }
    ctx.fillStyle = colours[OUTCOMES[outcome]];
    const floor = outcome === OK ? 0.22 : 0.6;
    for (let i = 0; i < counts.length; i++) {
      if (!counts[i]) continue;
      ctx.globalAlpha = floor + (1 - floor) * (Math.log1p(counts[i]) / Math.log1p(most));
      ctx.fillRect((i % across) * spot, Math.floor(i / across) * spot, spot, spot);
    }
  }
  ctx.globalAlpha = 1;
}

/** p50 and p99 of successes by moment of completion, from histograms with logarithmic bins. */
function quantileLines(stage, buckets, from, to) {
  const { model, view } = stage;
  const { lo, hi } = model.scale;
  const bins = new Uint32Array(buckets * LOG_BINS);
  const totals = new Uint32Array(buckets);
  const perNs = buckets / view.span, perPower = LOG_BINS / (hi - lo);
  for (let row = from; row < to; row++) {
    if (model.outcome[row] !== OK) continue;
    const bucket = Math.floor((model.end[row] - view.a) * perNs);
    if (bucket < 0 || bucket >= buckets) continue;
    const bin = Math.floor((Math.log10(Math.max(1, model.took[row])) - lo) * perPower);
    bins[bucket * LOG_BINS + Math.max(0, Math.min(LOG_BINS - 1, bin))]++;
    totals[bucket]++;
  }
  const at = (bucket, share) => {
    let left = Math.max(1, Math.ceil(totals[bucket] * share));
    for (let bin = 0; bin < LOG_BINS; bin++) {
      left -= bins[bucket * LOG_BINS + bin];
      if (left <= 0) return 10 ** (lo + (bin + 0.5) / perPower);
    }
    return NaN;
  };
  const line = (share) =>
    Array.from(totals, (total, i) => [
      view.a + ((i + 0.5) / buckets) * view.span, total ? at(i, share) : NaN,
    ]);
  return { p50: line(0.5), p99: line(0.99), totals };
}

/** A line through the buckets that have a value, broken where there is none. */
function drawLine(pen, points, y, colour, dash) {
  const { ctx, x } = pen;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.5;
  ctx.setLineDash(dash);
  ctx.beginPath();
  let drawn = false;
  for (const [t, value] of points) {
    if (Number.isNaN(value)) drawn = false;
    else if (drawn) ctx.lineTo(x(t), y(value));
    else {
      // A lone bucket is a short dash, not nothing.
      ctx.moveTo(x(t) - 2, y(value));
      ctx.lineTo(x(t), y(value));
      drawn = true;
    }
  }
  ctx.stroke();
  ctx.setLineDash([]);
}
