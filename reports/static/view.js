// The window of time that all panels show, and the colours that they are drawn with.

const NARROWEST_NS = 2000;
const FAMILIES = {
  partition: "--partition", kill: "--kill", pause: "--pause", slow: "--slow", link: "--slow",
  clock: "--clock", disk: "--disk", "lose-unsynced": "--disk", member: "--member",
  byzantine: "--byzantine",
};

/** The window [a, b] in ns; calls `changed` after each change. */
class View {
  constructor(last, changed) {
    this.last = Math.max(last, NARROWEST_NS);
    this.a = 0;
    this.b = this.last;
    this.changed = changed;
  }

  get span() {
    return this.b - this.a;
  }

  set(a, b) {
    const span = Math.min(this.last, Math.max(NARROWEST_NS, b - a));
    const middle = (a + b) / 2;
    this.a = Math.max(0, Math.min(this.last - span, middle - span / 2));
    this.b = this.a + span;
    this.changed();
  }

  whole() {
    this.set(0, this.last);
  }

  zoom(factor, at = (this.a + this.b) / 2) {
    this.set(at - (at - this.a) * factor, at + (this.b - at) * factor);
  }

  pan(share) {
    // Held inside the run before it is set: at an end the window must not grow or jump.
    const by = Math.max(-this.a, Math.min(this.last - this.b, share * this.span));
    this.set(this.a + by, this.b + by);
  }

  /** Bring a stretch into view, with some of its surroundings. */
  show(a, b) {
    const margin = Math.max(0.35 * (b - a), 1e6);
    this.set(a - margin, b + margin);
  }
}

/** The colours of the page's style, by name without dashes; asked again when the theme changes. */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = [
    "bg", "panel", "text", "muted", "line", "link", "valid", "bad", "unknown", "ok", "info",
    "fail", "partition", "kill", "pause", "clock", "disk", "member", "byzantine",
  ];
  const found = {};
  for (const name of names) found[name] = style.getPropertyValue(`--${name}`).trim();
  found.fault = (family) =>
    style.getPropertyValue(FAMILIES[family] || "--muted").trim();
  found.sans = '12px system-ui, "DejaVu Sans", sans-serif';
  found.mono = '12px ui-monospace, "DejaVu Sans Mono", monospace';
  found.small = '11px system-ui, "DejaVu Sans", sans-serif';
  return found;
}

/** A canvas fitted to its element, cleared; returns its context in CSS pixels. */
function fit(canvas, height) {
  const width = canvas.clientWidth;
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.height = `${height}px`;
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.textBaseline = "middle";
  return { ctx, width, height };
}

/** Fill a box with slanted lines. */
function hatch(ctx, x, y, width, height, colour, gap = 5) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, width, height);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.25;
  ctx.beginPath();
  // Slants are placed on a fixed grid, so that they do not crawl while the window moves.
  for (let at = Math.floor((x - height) / gap) * gap; at < x + width; at += gap) {
    ctx.moveTo(at, y + height);
    ctx.lineTo(at + height, y);
  }
  ctx.stroke();
  ctx.restore();
}

/** Text inside a box, left out where it would not fit. Returns whether it was written. */
function label(ctx, text, x, y, room, colour, font) {
  ctx.font = font;
  if (room < 14 || ctx.measureText(text).width > room) return false;
  ctx.fillStyle = colour;
  ctx.fillText(text, x, y);
  return true;
}
