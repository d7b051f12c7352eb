// The table twins of what is drawn: the same facts of the window in view, for reading and copying.

const TABLE_ROWS_MAX = 200;

/** A table with a head and rows of texts. */
function tableOf(caption, head, rows, left) {
  const note = left > 0 ? ` (the first ${rows.length} of ${countWords(rows.length + left)})` : "";
  return make("table", {}, make("caption", {}, caption + note),
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows.map((row) =>
      make("tr", {}, ...row.map((value) => make("td", {}, value))))));
}

/** Fill the tables with what is in view. */
function fillTables(stage) {
  const place = byId("tables");
  if (!place.open) return;
  byId("tables-body").replaceChildren(
    operationsTable(stage), secondsTable(stage), nodesTable(stage), marksTable(stage));
}

function operationsTable(stage) {
  const { model, view } = stage;
  const rows = [];
  let left = 0;
  const [from, to] = rowsNear(model, view.a, view.b);
  for (let row = from; row < to; row++) {
    if (model.end[row] < view.a || (stage.matched && !stage.matched[row])) continue;
    if (rows.length >= TABLE_ROWS_MAX) {
      left++;
      continue;
    }
    const number = row + model.run.first;
    rows.push([
      make("a", { href: `#op-${number}` }, `#${number}`), `p${model.process[row]}`,
      model.texts.names[model.node[row]], keyWords(model, row), opWords(model, row),
      OUTCOMES[model.outcome[row]], momentWords(model.t[row], 1000),
      model.took[row] < 0 ? "" : spanWords(model.took[row]),
      model.texts.names[model.error[row]],
    ]);
  }
  const head = ["", "client", "node", "key", "what", "outcome", "began", "took", "error"];
  return tableOf("Operations in view", head, rows, left);
}

function secondsTable(stage) {
  const { model, view } = stage;
  const step = Math.max(1000, niceStep(view.span / 60));
  const a = Math.floor(view.a / step) * step;
  const buckets = Math.max(1, Math.ceil((view.b - a) / step));
  const stretch = { model, view: { a, b: a + buckets * step, span: buckets * step } };
  const [info, ok, fail] = countEnds(model, a, a + buckets * step, buckets);
  const [from, to] = rowsNear(model, a, a + buckets * step);
  const { p50, p99 } = quantileLines(stretch, buckets, from, to);
  const span = (ns) => (Number.isNaN(ns) ? "" : spanWords(ns));
  const rows = Array.from({ length: buckets }, (_, i) => [
    momentWords(a + i * step, step), ok[i], info[i], fail[i], span(p50[i][1]), span(p99[i][1]),
  ]);
  const head = ["from", "ok", "info", "fail", "p50", "p99"];
  return tableOf(`Throughput and latency, each ${spanWords(step)}`, head, rows, 0);
}

function nodesTable(stage) {
  const seen = stage.model.run.segments.filter(
    ([, begin, end]) => end >= stage.view.a && begin <= stage.view.b);
  const rows = seen.slice(0, TABLE_ROWS_MAX).map(([name, begin, end, state, role, term]) => [
    name, momentWords(begin), momentWords(end), state, role, term < 0 ? "" : term,
  ]);
  const head = ["node", "from", "to", "state", "role", "term"];
  return tableOf("Nodes in view", head, rows, seen.length - rows.length);
}

function marksTable(stage) {
  const seen = stage.model.run.marks.filter(([t]) => t >= stage.view.a && t <= stage.view.b);
  const rows = seen.slice(0, TABLE_ROWS_MAX).map(([t, name, node, words]) =>
    [momentWords(t), name, node, words]);
  return tableOf("Marks in view", ["at", "mark", "node", "more"], rows, seen.length - rows.length);
}
