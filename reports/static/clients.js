// The clients' lanes: every operation as a bar, from its invocation to its completion. Zoomed out,
// a lane shows how busy it was, with every info and fail still in sight.

const LANE_TALL = 22, LANE_LOW = 3;
const LANES_ROOM = 420;
const BARS_PER_PX = 0.25;
const SHADES = 6;
const BADGE = 7;

const clients = {
  name: "clients",
  rowNames: (stage) => (clients.laneHeight(stage) >= 11 ? stage.model.laneNames : []),
  laneHeight(stage) {
    const lanes = Math.max(1, stage.model.laneNames.length);
    return Math.max(LANE_LOW, Math.min(LANE_TALL, Math.floor(LANES_ROOM / lanes)));
  },
  height: (stage) => Math.max(1, stage.model.laneNames.length) * clients.laneHeight(stage) + 18,
  top: 12,

  draw(pen, stage) {
    drawBands(pen, stage);
    const { model } = stage;
    const tall = this.laneHeight(stage);
    pen.gap = tall > 10 ? 3 : tall > 5 ? 1 : 0;
    for (let lane = 0; lane < model.laneNames.length; lane++) {
      const y = this.top + lane * tall;
      pen.ctx.fillStyle = pen.colours.line;
      pen.ctx.globalAlpha = 0.5;
      if (tall > 5) pen.ctx.fillRect(0, y + tall - 1, pen.width, 1);
      pen.ctx.globalAlpha = 1;
      const [from, to] = laneRange(stage, lane);
      const many = to - from > pen.width * BARS_PER_PX;
      if (many) drawBusy(pen, stage, y, tall, from, to);
      else for (let i = from; i < to; i++) drawBar(pen, stage, model.laneRows.rows[i], y, tall);
    }
    drawRings(pen, stage, tall);
  },

  /** The row under a point, or the nearest one within a few pixels; -1 for none. */
  rowAt(px, py, pen, stage) {
    const tall = this.laneHeight(stage);
    const lane = Math.floor((py - this.top) / tall);
    if (lane < 0 || lane >= stage.model.laneNames.length) return -1;
    const [from, to] = laneRange(stage, lane);
    let best = -1, nearest = 6;
    for (let i = from; i < to; i++) {
      const row = stage.model.laneRows.rows[i];
      const a = pen.x(stage.model.t[row]), b = pen.x(stage.model.end[row]);
      const away = px < a ? a - px : px > b ? px - b : 0;
      if (away < nearest) [best, nearest] = [row, away];
    }
    return best;
  },
};

/** Positions in the lane's index whose operations touch the window: [from, to). */
function laneRange(stage, lane) {
  const { rows, from } = stage.model.laneRows;
  const { t, end } = stage.model;
  const [lo, hi] = [from[lane], from[lane + 1]];
  // Operations of one thread follow each other, so their ends are in order too.
  return [
    firstAtLeast(lo, hi, stage.view.a, (i) => end[rows[i]]),
    firstAtLeast(lo, hi, stage.view.b, (i) => t[rows[i]]),
  ];
}

/** A lane with more operations than pixels: the share of time in use as shades, in columns. */
function drawBusy(pen, stage, y, tall, from, to) {
  const { ctx, width, x, colours, gap } = pen;
  const { model, matched } = stage;
  const columns = Math.ceil(width / 2);
  const busy = [0, 1, 2].map(() => new Float32Array(columns));
  const seen = new Uint8Array(columns);
  for (let i = from; i < to; i++) {
    const row = model.laneRows.rows[i];
    if (matched && !matched[row]) continue;
    const share = busy[model.outcome[row]];
    const a = Math.max(0, x(model.t[row]) / 2), b = Math.min(columns, x(model.end[row]) / 2);
    seen[Math.min(columns - 1, a | 0)] |= 1 << model.outcome[row];
    for (let c = a | 0; c < b; c++) share[c] += Math.min(b, c + 1) - Math.max(a, c);
  }
  for (const outcome of [OK, INFO, FAIL]) {
    drawShades(pen, busy[outcome], colours[OUTCOMES[outcome]], y + gap, tall - 2 * gap);
  }
  // An info or a fail may be too short for a shade, and is what one looks for.
  for (let c = 0; c < columns; c++) {
    if (seen[c] & (1 << FAIL)) {
      ctx.fillStyle = colours.fail;
      ctx.fillRect(c * 2, y + tall - gap - 4, 2, 4);
    }
    if (seen[c] & (1 << INFO)) {
      ctx.fillStyle = colours.info;
      ctx.fillRect(c * 2, y + gap - 1, 2, tall - 2 * gap + 2);
    }
  }
}

/** Columns two pixels wide, each in one of a few shades of a colour; neighbours are joined. */
function drawShades({ ctx }, shares, colour, y, high) {
  ctx.fillStyle = colour;
  for (let shade = 1; shade <= SHADES; shade++) {
    ctx.globalAlpha = 0.15 + (0.7 * shade) / SHADES;
    let start = -1;
    for (let c = 0; c <= shares.length; c++) {
      const here = c < shares.length && Math.ceil(Math.min(1, shares[c]) * SHADES) === shade;
      if (here && start < 0) start = c;
      if (!here && start >= 0) {
        ctx.fillRect(start * 2, y, (c - start) * 2, high);
        start = -1;
      }
    }
  }
  ctx.globalAlpha = 1;
}

/** One operation: ok filled, info hatched with an open right end, fail an outline with a cross. */
function drawBar(pen, stage, row, y, tall) {
  const { ctx, x, colours, gap } = pen;
  const { model } = stage;
  const from = Math.max(-4, x(model.t[row])), to = Math.min(pen.width + 4, x(model.end[row]));
  const wide = Math.max(2, to - from), top = y + gap, high = tall - 2 * gap;
  const outcome = model.outcome[row];
  ctx.globalAlpha = stage.isDim(row) ? 0.28 : 1;
  if (outcome === OK) {
    ctx.fillStyle = colours.ok;
    ctx.beginPath();
    ctx.roundRect(from, top, wide, high, Math.min(3, wide / 2));
    ctx.fill();
  } else if (outcome === INFO) {
    hatch(ctx, from, top, wide, high, colours.info);
    ctx.strokeStyle = colours.info;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(from + wide, top + 0.5);
    ctx.lineTo(from + 0.5, top + 0.5);
    ctx.lineTo(from + 0.5, top + high - 0.5);
    ctx.lineTo(from + wide, top + high - 0.5);
    ctx.stroke();
  } else {
    ctx.strokeStyle = colours.fail;
    ctx.lineWidth = 1;
    ctx.strokeRect(from + 0.5, top + 0.5, Math.max(1, wide - 1), high - 1);
    const c = from + Math.min(7, wide / 2), m = top + high / 2;
    if (wide > 7) {
      ctx.beginPath();
      ctx.moveTo(c - 2.5, m - 2.5);
      ctx.lineTo(c + 2.5, m + 2.5);
      ctx.moveTo(c - 2.5, m + 2.5);
      ctx.lineTo(c + 2.5, m - 2.5);
      ctx.stroke();
    }
  }
  if (high >= 12) drawBarWords(pen, stage, row, from, to, top + high / 2 + 0.5);
  ctx.globalAlpha = 1;
}

/** What an operation did, in its bar, as far as there is room. */
function drawBarWords(pen, stage, row, from, to, middle) {
  const { ctx, colours } = pen;
  const outcome = stage.model.outcome[row];
  const badge = stage.badges.has(row) ? 2 * BADGE + 2 : 0;
  const left = Math.max(0, from) + 5 + badge + (outcome === FAIL ? 8 : 0);
  const room = Math.min(pen.width, to) - left - 4;
  if (room < 20) return;
  const words = shorten(opWords(stage.model, row), 24);
  const key = shorten(keyWords(stage.model, row), 12);
  const whole = key ? `${key}: ${words}` : words;
  const ink = outcome === OK ? colours.bg : colours.text;
  if (outcome === INFO) {
    // Hatching under text is hard to read: give it a ground.
    ctx.font = colours.small;
    const wide = ctx.measureText(whole).width;
    ctx.fillStyle = colours.bg;
    if (wide <= room) ctx.fillRect(left - 2, middle - 6, wide + 4, 12);
  }
  if (!label(ctx, whole, left, middle, room, ink, colours.small)) {
    label(ctx, words, left, middle, room, ink, colours.small);
  }
}

/** Rings and numbers around the operations of the anomaly in focus, and around the chosen one. */
function drawRings(pen, stage, tall) {
  const { ctx, x, colours, gap } = pen;
  const { model } = stage;
  const ring = (row, colour, text) => {
    const from = x(model.t[row]), to = Math.max(from + 3, x(model.end[row]));
    if (to < -20 || from > pen.width + 20) return;
    const y = clients.top + model.lane[row] * tall + gap;
    const high = tall - 2 * gap;
    ctx.strokeStyle = colour;
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.roundRect(from - 2, y - 2, to - from + 4, high + 4, 4);
    ctx.stroke();
    if (!text) return;
    const at = Math.max(BADGE + 2, from + BADGE + 2), middle = y + high / 2;
    const inside = to - from > 4 * BADGE && high >= 2 * BADGE - 2;
    const cx = inside ? at : Math.max(BADGE + 1, from - 2), cy = inside ? middle : y - 3;
    ctx.fillStyle = colour;
    ctx.beginPath();
    ctx.arc(cx, cy, BADGE, 0, 7);
    ctx.fill();
    ctx.fillStyle = colours.bg;
    ctx.font = `bold ${colours.small}`;
    ctx.textAlign = "center";
    ctx.fillText(text, cx, cy + 0.5);
    ctx.textAlign = "left";
  };
  for (const [row, number] of stage.badges) ring(row, colours.bad, String(number));
  if (stage.chosen >= 0) ring(stage.chosen, colours.text, "");
}
