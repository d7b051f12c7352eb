// Mouse, wheel and keyboard on the stage, the tooltip, and links into the page.

const DRAG_PX = 4;
const WHEEL_ZOOM = 1.0018;

/** Wire up the stage's panels. */
function takeHands(stage) {
  for (const entry of stage.panels) {
    const { canvas, panel } = entry;
    if (panel === overview) holdOverview(stage, entry);
    else holdPanel(stage, entry);
    canvas.addEventListener("pointermove", (event) => hover(stage, entry, event));
    canvas.addEventListener("pointerleave", () => leave(stage));
    canvas.addEventListener("dblclick", () => stage.view.whole());
    canvas.addEventListener("wheel", (event) => wheel(stage, entry, event), { passive: false });
  }
  document.addEventListener("keydown", (event) => key(stage, event));
}

/** Wheel: zooms at the cursor, over the strips at the top or with Ctrl; sideways it pans. */
function wheel(stage, { pen, panel, canvas }, event) {
  const zooms = event.ctrlKey || event.metaKey || panel === overview || panel === ruler;
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
  if (!zooms && !sideways) return;
  event.preventDefault();
  if (sideways) {
    stage.view.pan((event.deltaX || event.deltaY) / pen.width);
    return;
  }
  const px = event.clientX - canvas.getBoundingClientRect().left;
  const at = panel === overview ? (px / pen.width) * stage.view.last : pen.ns(px);
  stage.view.zoom(WHEEL_ZOOM ** event.deltaY, Math.max(stage.view.a, Math.min(stage.view.b, at)));
}

/** Drag pans; with Shift it marks a stretch to zoom into; a click chooses an operation. */
function holdPanel(stage, entry) {
  const { canvas, panel } = entry;
  canvas.addEventListener("pointerdown", (down) => {
    if (down.button !== 0) return;
    canvas.setPointerCapture(down.pointerId);
    const { a, b } = stage.view;
    const left = canvas.getBoundingClientRect().left;
    let moved = false;
    const move = (event) => {
      const by = event.clientX - down.clientX;
      moved ||= Math.abs(by) > DRAG_PX;
      if (!moved) return;
      if (down.shiftKey) mark(stage, entry, down.clientX - left, event.clientX - left);
      else {
        const wanted = (by / entry.pen.width) * (b - a);
        const shift = Math.max(b - stage.view.last, Math.min(a, wanted));
        stage.view.set(a - shift, b - shift);
      }
    };
    const up = (event) => {
      canvas.removeEventListener("pointermove", move);
      byId("mark").hidden = true;
      const box = canvas.getBoundingClientRect();
      const [px, py] = [event.clientX - box.left, event.clientY - box.top];
      if (moved && down.shiftKey) {
        const ends = [down.clientX - left, px].sort((one, other) => one - other);
        stage.view.set(entry.pen.ns(ends[0]), entry.pen.ns(ends[1]));
      }
      if (!moved && panel === clients) {
        openOperation(stage, clients.rowAt(px, py, entry.pen, stage), { move: false });
      }
      if (!moved && panel === faults) {
        const fault = faultAt(stage, entry.pen.ns(px), py);
        if (fault) stage.view.show(fault.begin, endOf(fault, stage));
      }
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", up, { once: true });
  });
}

/** The stretch that is being marked. */
function mark(stage, { canvas }, from, to) {
  const box = byId("mark");
  const root = stage.root.getBoundingClientRect();
  const left = canvas.getBoundingClientRect().left - root.left;
  box.hidden = false;
  box.style.left = `${left + Math.min(from, to)}px`;
  box.style.width = `${Math.abs(to - from)}px`;
}

/** On the overview a press moves the window there, and a drag marks a new one. */
function holdOverview(stage, entry) {
  const { canvas } = entry;
  canvas.addEventListener("pointerdown", (down) => {
    if (down.button !== 0) return;
    canvas.setPointerCapture(down.pointerId);
    const box = canvas.getBoundingClientRect();
    const at = (event) => ((event.clientX - box.left) / box.width) * stage.view.last;
    const from = at(down), { span } = stage.view;
    const grabbed = from > stage.view.a && from < stage.view.b && span < stage.view.last;
    const off = grabbed ? (stage.view.a + stage.view.b) / 2 - from : 0;
    let moved = false;
    const move = (event) => {
      moved ||= Math.abs(event.clientX - down.clientX) > DRAG_PX;
      if (!moved) return;
      const to = at(event);
      if (grabbed) stage.view.set(to + off - span / 2, to + off + span / 2);
      else stage.view.set(Math.min(from, to), Math.max(from, to));
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", () => {
      canvas.removeEventListener("pointermove", move);
      if (!moved) stage.view.set(from - span / 2, from + span / 2);
    }, { once: true });
  });
}

/** The fault at a moment and a height of the faults' panel. */
function faultAt(stage, ns, py) {
  const row = Math.floor((py - 3) / FAULT_ROW);
  const found = stage.faultRows.placed.find(([fault, at]) =>
    at === row && ns >= fault.begin && ns <= endOf(fault, stage));
  return found && found[0];
}

/** Cursor and tooltip follow the pointer. */
function hover(stage, { pen, panel, canvas }, event) {
  const box = canvas.getBoundingClientRect(), root = stage.root.getBoundingClientRect();
  const [px, py] = [event.clientX - box.left, event.clientY - box.top];
  const ns = panel === overview ? (px / pen.width) * stage.view.last : pen.ns(px);
  stage.cursor.hidden = panel === overview;
  stage.cursor.style.left = `${event.clientX - root.left}px`;
  stage.cursorTime.textContent = momentWords(ns, stage.view.span / pen.width);
  const lines = tipLines(stage, panel, pen, ns, px, py);
  const tip = byId("tip");
  tip.hidden = !lines.length;
  if (!lines.length) return;
  tip.replaceChildren(...lines.map((line, i) => make(i ? "div" : "strong", {}, line)));
  const right = event.clientX + 16 + tip.offsetWidth > innerWidth;
  tip.style.left = `${event.clientX + (right ? -12 - tip.offsetWidth : 14)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4)}px`;
}

function leave(stage) {
  stage.cursor.hidden = true;
  byId("tip").hidden = true;
}

/** What the tooltip says, line by line. */
function tipLines(stage, panel, pen, ns, px, py) {
  const { model } = stage;
  if (panel === clients) {
    const row = clients.rowAt(px, py, pen, stage);
    if (row < 0) return [];
    const error = model.texts.names[model.error[row]];
    return [
      wholeWords(model, row),
      `${OUTCOMES[model.outcome[row]]}${error ? `: ${shorten(error, 60)}` : ""}`,
      `p${model.process[row]} on ${model.texts.names[model.node[row]] || "no known node"}`,
      `${momentWords(model.t[row], 1000)}, took ${
        model.took[row] < 0 ? "for ever" : spanWords(model.took[row])}`,
    ];
  }
  if (panel === faults) {
    const fault = faultAt(stage, ns, py);
    if (!fault) return [];
    return [
      `${fault.kind} ${fault.targets}`,
      fault.effective ? `in effect after ${spanWords(fault.measured - fault.begin)}` : "no effect",
      `${momentWords(fault.begin)}, for ${spanWords(endOf(fault, stage) - fault.begin)}`,
      fault.healed ? "healed, verified" : "not verified to be healed",
    ];
  }
  if (panel === script) return markLines(stage.scriptMarks, pen, px);
  if (panel === nodes) return nodeLines(stage, pen, ns, px, py);
  if (panel === throughput || panel === latency) return chartLines(stage, pen, px);
  return [];
}

/** Marks near a place, in words. */
function markLines(marks, pen, px) {
  return marks
    .filter(([t]) => Math.abs(pen.x(t) - px) < 6)
    .map(([t, name, , words]) => `${momentWords(t)} ${name}: ${shorten(words, 160)}`);
}

/** What is known of a node at a moment, and its marks nearby. */
function nodeLines(stage, pen, ns, px, py) {
  const { segments, marks } = stage.model.run;
  const name = stage.nodeNames[Math.floor((py - 4) / NODE_ROW)];
  const found = segments.find(([node, begin, end]) => node === name && ns >= begin && ns < end);
  const lines = [];
  if (found) {
    const [, begin, end, state, role, term] = found;
    lines.push(`${name}: ${state === "up" ? role || "up" : state}`);
    if (term >= 0) lines.push(`term ${term}`);
    lines.push(`${momentWords(begin)} to ${momentWords(end)}`);
  }
  lines.push(...markLines(marks.filter(([, , node]) => node === name), pen, px));
  return lines;
}

/** Counts and quantiles of the bucket under the pointer. */
function chartLines(stage, pen, px) {
  const a = pen.ns(Math.floor(px / QUANTILE_PX) * QUANTILE_PX);
  const b = a + stage.view.span * (QUANTILE_PX / pen.width);
  const bucket = { model: stage.model, view: { a, b, span: b - a } };
  const [info, ok, fail] = countEnds(stage.model, a, b, 1);
  const { p50, p99 } = quantileLines(bucket, 1, ...rowsNear(stage.model, a, b));
  return [
    `${countWords((ok[0] * 1e9) / (b - a))} ok a second`,
    `${ok[0]} ok, ${info[0]} info, ${fail[0]} fail in ${spanWords(b - a)}`,
    ok[0] ? `p50 ${spanWords(p50[0][1])}, p99 ${spanWords(p99[0][1])}` : "",
  ].filter(Boolean);
}

/** Keys; the page's help lists them. */
function key(stage, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const { view } = stage;
  const actions = {
    ArrowLeft: () => view.pan(-0.15),
    ArrowRight: () => view.pan(0.15),
    "+": () => view.zoom(0.6),
    "=": () => view.zoom(0.6),
    "-": () => view.zoom(1 / 0.6),
    0: () => view.whole(),
    n: () => nextAnomaly(stage, 1),
    p: () => nextAnomaly(stage, -1),
    f: () => nextFault(stage, 1),
    F: () => nextFault(stage, -1),
    "[": () => step(stage, -1),
    "]": () => step(stage, 1),
    "/": () => byId("search").focus(),
    "?": () => byId("help").showModal(),
    Escape: () => openOperation(stage, -1),
  };
  const action = actions[event.key];
  if (!action || byId("help").open) return;
  event.preventDefault();
  action();
}

/** The chosen client's operation before or after. */
function step(stage, by) {
  const { model, chosen } = stage;
  if (chosen < 0) return;
  const next = neighbour(model.laneRows, model.lane[chosen], chosen, by);
  if (next >= 0) openOperation(stage, next);
}

/** Bring the next fault after the middle of the window into view. */
function nextFault(stage, by) {
  const all = stage.model.run.faults;
  if (!all.length) return;
  const count = all.length;
  stage.fault = ((stage.fault ?? (by > 0 ? -1 : count)) + by + count) % count;
  stage.view.show(all[stage.fault].begin, endOf(all[stage.fault], stage));
}
