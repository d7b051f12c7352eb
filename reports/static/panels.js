// The panels that share the time axis: overview, ruler, script, faults, nodes, throughput (latency
// and the clients' lanes have files of their own). Each has `height(stage)` and `draw(pen, stage)`;
// `pen` holds the fitted canvas, `x(ns)` and `ns(x)`, and the colours.

const BUCKET_PX = 6;
const BURST = 3;
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
  for (const { family, asked, held } of stage.bands) {
    ctx.fillStyle = colours.fault(family);
    // From asked to measured it is not known yet whether it holds: half as strong.
    ctx.globalAlpha = 0.05;
    for (const [begin, end] of [...asked, ...held]) {
      if (x(end) < 0 || x(begin) > width) continue;
      ctx.fillRect(x(begin), 0, Math.max(1, x(end) - x(begin)), height);
    }
    ctx.globalAlpha = 0.55;
    for (const edge of asked.flat()) ctx.fillRect(x(edge) - 0.75, 0, 1.5, height);
  }
  ctx.globalAlpha = 1;
}

/** The bands by family: stretches in which a fault was asked for and later took effect, and those
 * in which it was measured to hold. Faults of one family that overlap are one band. */
function bandsOf(stage) {
  const families = new Map();
  for (const fault of stage.model.run.faults.filter(({ effective }) => effective)) {
    const band = families.get(fault.family) || { family: fault.family, asked: [], held: [] };
    families.set(fault.family, band);
    band.asked.push([fault.begin, endOf(fault, stage)]);
    band.held.push([fault.measured, endOf(fault, stage)]);
  }
  return [...families.values()].map(({ family, asked, held }) => (
    { family, asked: joined(asked), held: joined(held) }));
}

/** The same stretches of time, each once. */
function joined(stretches) {
  const found = [];
  for (const [begin, end] of stretches.sort(([a], [b]) => a - b)) {
    const last = found[found.length - 1];
    if (last && begin <= last[1]) last[1] = Math.max(last[1], end);
    else found.push([begin, end]);
  }
  return found;
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
      if (!anomaly.placed) continue;
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
    for (const [node, t] of stage.anomalies[stage.focus]?.moments ?? []) {
      const y = stage.nodeNames.indexOf(node) * NODE_ROW + 2 + NODE_ROW / 2;
      ctx.strokeStyle = colours.bad;
      ctx.lineWidth = 2;
      ctx.beginPath();
      ctx.arc(x(t), y, 7, 0, 7);
      ctx.stroke();
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
