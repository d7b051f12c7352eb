// What stands beside the panels: the story of the anomaly in focus, and the chosen operation.

/** A text with its (1), (2) ... as chips that choose the operation. */
function withChips(stage, text, anomaly) {
  const parts = text.split(/\((\d{1,6})\)/);
  return parts.map((part, i) => {
    const row = anomaly.rows[Number(part) - 1];
    if (i % 2 === 0) return part;
    if (row === undefined) return `(${part})`;
    return make("a", { class: "chip", href: `#op-${row + stage.model.run.first}` }, part);
  });
}

/** Fill the story's card for the anomaly in focus. */
function tellStory(stage) {
  const card = byId("story");
  const anomaly = stage.anomalies[stage.focus];
  card.hidden = !anomaly;
  if (!anomaly) return;
  const many = stage.anomalies.length > 1;
  card.replaceChildren(
    make("div", { class: "card-head" },
      make("h3", {}, many ? `Anomaly ${stage.focus + 1} of ${stage.anomalies.length}` : "Anomaly"),
      make("span", { class: "tag" }, anomaly.checker)),
    make("p", { class: "summary" }, ...withChips(stage, anomaly.summary, anomaly)),
    make("ol", { class: "story" }, ...anomaly.story.map((sentence) =>
      make("li", {}, ...withChips(stage, sentence, anomaly)))),
    make("div", { class: "buttons" },
      make("button", { type: "button", onclick: () => stage.look(stage.focus) }, "Show it"),
      many
        ? make("button", { type: "button", onclick: () => nextAnomaly(stage, 1) }, "Next") : null,
    ));
}

/** Go to the next or the previous anomaly. */
function nextAnomaly(stage, step) {
  const count = stage.anomalies.length;
  if (!count) return;
  stage.look((Math.max(stage.focus, step > 0 ? -1 : 0) + step + count) % count);
  tellStory(stage);
}

/** The nearest operation before or after a row among an index's group; -1 for none. */
function neighbour(index, group, row, step) {
  const { rows, from } = index;
  const at = firstAtLeast(from[group], from[group + 1], row, (i) => rows[i]) + step;
  return at >= from[group] && at < from[group + 1] ? rows[at] : -1;
}

/** Fill the card of the chosen operation. */
function tellOperation(stage) {
  const card = byId("operation");
  const { model, chosen: row } = stage;
  if (row < 0) {
    card.replaceChildren(
      make("h3", {}, "Operation"),
      make("p", { class: "quiet" }, "Choose one in the clients' lanes to see all of it."));
    return;
  }
  const number = row + model.run.first;
  const facts = [
    ["operation", make("a", { href: `#op-${number}` }, `#${countWords(number)}`)],
    ["what", make("code", {}, wholeWords(model, row))],
    ["outcome", outcomeWords(model, row)],
    ["error", model.texts.names[model.error[row]]],
    ["client", `p${model.process[row]}`],
    ["node", model.texts.names[model.node[row]]],
    ["began", momentWords(model.t[row], 1000)],
    ["took", model.took[row] < 0 ? "no answer" : spanWords(model.took[row])],
    ["events", model.span[row] < 0 ? `${model.inv[row]}` :
      `${model.inv[row]} and ${model.inv[row] + model.span[row]} of events.jsonl`],
    ["hints", hintsOf(model, number)],
  ].filter(([, value]) => value);
  const { laneRows, keyRows } = model;
  const go = (index, group, step) => () => {
    const next = neighbour(index, group, row, step);
    if (next >= 0) openOperation(stage, next);
  };
  const button = (text, title, action) =>
    make("button", { type: "button", title, onclick: action }, text);
  card.replaceChildren(
    make("h3", {}, "Operation"),
    make("dl", {}, ...facts.flatMap(([name, value]) =>
      [make("dt", {}, name), make("dd", {}, value)])),
    make("div", { class: "buttons" },
      button("‹ client", "The client's operation before", go(laneRows, model.lane[row], -1)),
      button("client ›", "The client's operation after", go(laneRows, model.lane[row], 1)),
      button("‹ key", "The key's operation before", go(keyRows, model.key[row], -1)),
      button("key ›", "The key's operation after", go(keyRows, model.key[row], 1))));
}

function outcomeWords(model, row) {
  if (model.outcome[row] === OK) return "ok";
  if (model.outcome[row] === FAIL) return "fail: certainly did not happen";
  return "info: may have happened, and may still";
}

function hintsOf(model, number) {
  for (const anomaly of model.run.anomalies) {
    if (anomaly.hints[number]) return anomaly.hints[number];
  }
  return "";
}

/** Choose an operation, go there, and put it into the address. */
function openOperation(stage, row, { move = true } = {}) {
  stage.choose(row, { move });
  tellOperation(stage);
  setHash(row < 0 ? "" : `op-${row + stage.model.run.first}`);
}

/** Put something into the address without a step of the browser's history. */
function setHash(text) {
  history.replaceState(null, "", text ? `#${text}` : location.pathname);
}

/** Search: which rows match all words. A word is a key (3, k3), function, node,
 * outcome, error, value, client (p4) or operation (#12). */
function search(stage, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const { model } = stage;
  stage.matched = null;
  let found = model.rows;
  if (words.length) {
    const tables = words.map((word) => ({
      word,
      fs: matches(model.texts.fs, word),
      keys: model.texts.keys.map((key) =>
        key.toLowerCase() === word || `k${key.toLowerCase()}` === word),
      names: matches(model.texts.names, word),
      values: matches(model.texts.values, word),
    }));
    stage.matched = new Uint8Array(model.rows);
    found = 0;
    for (let row = 0; row < model.rows; row++) {
      if (tables.every((table) => rowMatches(model, row, table))) {
        stage.matched[row] = 1;
        found++;
      }
    }
  }
  byId("found").textContent = words.length ? `${countWords(found)} found` : "";
  stage.redraw();
}

function matches(table, word) {
  return Uint8Array.from(table, (text) => (text.toLowerCase() === word ? 1 : 0));
}

function rowMatches(model, row, { word, fs, keys, names, values }) {
  return Boolean(
    fs[model.f[row]] || keys[model.key[row]] || names[model.node[row]] ||
    names[model.error[row]] || values[model.arg[row]] || values[model.result[row]] ||
    OUTCOMES[model.outcome[row]] === word || `p${model.process[row]}` === word ||
    `#${row + model.run.first}` === word);
}

/** Choose the next row that matches the search. */
function nextMatch(stage, step = 1) {
  if (!stage.matched) return;
  const { rows } = stage.model;
  for (let i = 1; i <= rows; i++) {
    const row = (((stage.chosen + step * i) % rows) + rows) % rows;
    if (stage.matched[row]) return openOperation(stage, row);
  }
}
