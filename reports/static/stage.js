// The stage: builds the panels, keeps the window, the chosen operation and the anomaly in focus,
// and draws everything anew when one of them changes.

const PANELS = [overview, ruler, script, faults, nodes, clients, throughput, latency];

class Stage {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.chosen = -1;
    this.focus = -1;
    this.badges = new Map();
    this.focusKeys = new Set();
    this.matched = null;
    this.listeners = [];
    this.nodeNames = nodeNames(model.run);
    this.faultRows = faultRows(this);
    this.bands = bandsOf(this);
    this.scriptMarks = model.run.marks.filter(([, , node]) => !this.nodeNames.includes(node));
    this.anomalies = model.run.anomalies.map((anomaly) => this.located(anomaly));
    this.view = new View(model.run.last, () => this.redraw());
    this.build();
  }

  /** An anomaly with its rows as they are counted here, and its stretch of time. */
  located(anomaly) {
    const { first } = this.model.run;
    const rows = anomaly.ops.map((row) => row - first);
    const inside = rows.filter((row) => row >= 0 && row < this.model.rows);
    const said = anomaly.moments.map(([, t]) => t);
    const a = Math.min(...inside.map((row) => this.model.t[row]), ...said, Infinity);
    // An operation without an answer lasts for ever: its begin is what counts.
    const ends = inside.map((row) =>
      this.model.outcome[row] === OK ? this.model.end[row] : this.model.t[row]);
    const b = Math.max(...ends, ...said, -Infinity);
    return { ...anomaly, rows, inside, a, b, placed: a <= b };
  }

  build() {
    this.panels = PANELS.filter((panel) => panel.height(this) > 0).map((panel) => {
      const words = `${panel.name || "time"}; the tables below hold the same`;
      const canvas = make("canvas", { class: "chart", role: "img", "aria-label": words });
      const gutter = make("div", { class: "gutter" });
      const name = make("div", { class: "panel-name" }, panel.name,
        panel.unit ? make("span", { class: "unit" }, ` ${panel.unit}`) : null);
      this.root.append(make("div", { class: `panel panel-${panel.name.replace(" ", "-")}` },
        make("div", { class: "side" }, name, gutter), canvas));
      const entry = { panel, canvas, gutter, pen: null };
      if (panel.rowNames) {
        const names = panel.rowNames(this);
        const high = panel.rowHeight || clients.laneHeight(this);
        const top = (panel.top || 4) + high / 2;
        writeGutter(gutter, names.map((text, i) => [top + i * high, shorten(text, 12)]));
      }
      return entry;
    });
    this.cursor = make("div", { class: "cursor", hidden: "" });
    this.cursorTime = make("div", { class: "cursor-time" });
    this.cursor.append(this.cursorTime);
    this.root.append(this.cursor);
    new ResizeObserver(() => this.redraw()).observe(this.root);
    this.recolour();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
  }

  recolour() {
    this.colours = readColours();
    this.redraw();
  }

  redraw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
    });
  }

  draw() {
    const begun = performance.now();
    for (const entry of this.panels) {
      const fitted = fit(entry.canvas, entry.panel.height(this));
      const scale = fitted.width / this.view.span;
      entry.pen = {
        ...fitted,
        colours: this.colours,
        x: (ns) => (ns - this.view.a) * scale,
        ns: (x) => this.view.a + x / scale,
        gutter: (marks) => writeGutter(entry.gutter, marks),
      };
      entry.panel.draw(entry.pen, this);
    }
    this.drawMs = performance.now() - begun;
    for (const listener of this.listeners) listener();
  }

  /** Whether a row steps back: it does not match, or has nothing to do with the anomaly. */
  isDim(row) {
    if (this.matched) return !this.matched[row];
    if (!this.focusKeys.size || row === this.chosen) return false;
    return !this.focusKeys.has(this.model.key[row]);
  }

  /** Put an anomaly into focus and into view; -1 takes the focus away. */
  look(number, { move = true } = {}) {
    this.focus = this.anomalies[number] ? number : -1;
    this.badges = new Map();
    this.focusKeys = new Set();
    const anomaly = this.anomalies[number];
    if (anomaly) {
      anomaly.rows.forEach((row, i) => {
        if (anomaly.inside.includes(row)) this.badges.set(row, i + 1);
      });
      for (const row of anomaly.inside) this.focusKeys.add(this.model.key[row]);
      if (move && anomaly.placed) this.view.show(anomaly.a, anomaly.b);
    }
    this.redraw();
  }

  /** Choose an operation; with `move` the window goes there unless it is in sight. */
  choose(row, { move = false } = {}) {
    this.chosen = row >= 0 && row < this.model.rows ? row : -1;
    if (move && this.chosen >= 0) {
      const a = this.model.t[row];
      const b = Math.max(this.model.took[row] < 0 ? a : this.model.end[row], a + 1000);
      const { view } = this;
      const seen = a >= view.a && b <= view.b && (b - a) / view.span > 0.01;
      if (!seen) view.set(a - 4 * (b - a), b + 4 * (b - a));
    }
    this.redraw();
  }
}

/** Nodes in the order of the header, then any that only reported. */
function nodeNames(run) {
  return [...new Set([...run.nodes, ...run.segments.map((segment) => segment[0])])];
}

/** Small texts beside a panel at heights of it: values of an axis, or names of rows. */
function writeGutter(gutter, marks) {
  gutter.replaceChildren(...marks.map(([y, text]) => {
    const mark = make("span", {}, text);
    mark.style.top = `${y}px`;
    return mark;
  }));
}
