// The panel of latencies: dots, or their density where they would hide each other, and quantiles.

const QUANTILE_PX = 10;
const QUANTILE_OPS = 10;
const LOG_BINS = 160;
const POINTS_MAX = 6000;

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
