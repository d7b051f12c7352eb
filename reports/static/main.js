// Start: decode, draw, follow the address; say in the status line what was drawn.

/** Go where the address points: #op-12, #anomaly-1 or #t=1.5,2.5 (seconds). */
function follow(stage) {
  const hash = location.hash.slice(1);
  const op = /^op-(\d+)$/.exec(hash);
  const anomaly = /^anomaly-(\d+)$/.exec(hash);
  const window = /^t=([\d.]+),([\d.]+)$/.exec(hash);
  if (op) {
    const row = Number(op[1]) - stage.model.run.first;
    const told = stage.anomalies.findIndex(({ inside }) => inside.includes(row));
    if (told >= 0 && told !== stage.focus) stage.look(told, { move: false });
    openOperation(stage, row);
    if (stage.chosen < 0) say(`no operation ${op[1]} in this report`);
  } else if (anomaly && stage.anomalies[anomaly[1] - 1]) stage.look(anomaly[1] - 1);
  else if (window) stage.view.set(window[1] * 1e9, window[2] * 1e9);
  else return false;
  tellStory(stage);
  if (hash) byId("stage-top").scrollIntoView({ block: "start" });
  return true;
}

/** The status line, which screen readers speak. */
function say(text) {
  byId("status").textContent = text;
}

/** Copy buttons: each copies the text of the element that it names. */
function wireCopies() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = byId(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        // No clipboard without a secure origin: select it, so that one key copies it.
        getSelection().selectAllChildren(source);
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  }
}

/** The buttons above the panels. */
function wireTools(stage) {
  const actions = {
    "zoom-in": () => stage.view.zoom(0.6),
    "zoom-out": () => stage.view.zoom(1 / 0.6),
    whole: () => stage.view.whole(),
    "next-fault": () => nextFault(stage, 1),
    "show-help": () => byId("help").showModal(),
    theme: () => {
      const root = document.documentElement;
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const now = root.dataset.theme || (dark ? "dark" : "light");
      root.dataset.theme = now === "dark" ? "light" : "dark";
      stage.recolour();
    },
  };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
  byId("search").addEventListener("input", (event) => search(stage, event.target.value));
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextMatch(stage, event.shiftKey ? -1 : 1);
  });
  byId("tables").addEventListener("toggle", () => fillTables(stage));
  stage.listeners.push(() => fillTables(stage));
  stage.listeners.push(() => {
    const { a, b, span } = stage.view;
    byId("window").textContent =
      `${momentWords(a, span / 100)} – ${momentWords(b, span / 100)} (${spanWords(span)})`;
  });
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
}

async function start() {
  const begun = performance.now();
  const data = await decode(JSON.parse(byId("data").textContent));
  const decoded = performance.now();
  const model = modelOf(data);
  byId("stage").hidden = false;
  const stage = new Stage(model, byId("panels"));
  wireTools(stage);
  takeHands(stage);
  addEventListener("hashchange", () => follow(stage));
  tellOperation(stage);
  stage.look(0);
  tellStory(stage);
  follow(stage);
  stage.draw();
  const [info, ok, fail] = model.counts;
  const status = byId("status");
  Object.assign(status.dataset, {
    rows: model.rows, ok, info, fail,
    decodeMs: Math.round(decoded - begun),
    drawMs: Math.round(stage.drawMs),
    readyMs: Math.round(performance.now()),
  });
  say(`${countWords(model.rows)} operations drawn: ${countWords(ok)} ok, ${countWords(info)} info, `
    + `${countWords(fail)} fail`);
}

wireCopies();
start().catch((error) => {
  byId("status").dataset.failed = "true";
  say(`the drawing failed: ${error.message}; the words and tables of this page are whole`);
  console.error(error);
});
