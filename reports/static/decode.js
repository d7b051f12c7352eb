"use strict";
// Reads the data block: the other side of reports/columns.py, where its form is described.

const SCHEMA = 1;

/** The bytes of a base64 text. */
function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The bytes of a blob: base64 of a zlib stream. */
async function inflate(blob) {
  const stream = new Blob([bytesOf(blob)]).stream();
  const plain = stream.pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** A JSON blob. */
async function inflateJson(blob) {
  return JSON.parse(new TextDecoder().decode(await inflate(blob)));
}

/** A column as numbers, one a row. Doubles hold whole numbers up to 2^53: 104 days in ns. */
async function unpack(column, rows) {
  const planes = column.width ? await inflate(column.data) : new Uint8Array(0);
  const small = column.width < 4 && !column.delta && Math.abs(column.base) < 2 ** 30;
  const values = small ? new Int32Array(rows) : new Float64Array(rows);
  values.fill(column.base);
  for (let plane = 0, weight = 1; plane < column.width; plane++, weight *= 256) {
    const from = plane * rows;
    for (let row = 0; row < rows; row++) values[row] += planes[from + row] * weight;
  }
  if (column.delta) for (let row = 1; row < rows; row++) values[row] += values[row - 1];
  return values;
}

/** The history and the run of a block: {rows, columns by name, texts, run}. Times become ns, and
 * the result, which is stored as its difference from the argument, a number of its own. */
async function decode(block) {
  if (block.schema !== SCHEMA) {
    throw new Error(`data block of schema ${block.schema}, this page reads ${SCHEMA}`);
  }
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser cannot inflate data: use one of 2023 or later");
  }
  const names = Object.keys(block.columns);
  const [texts, run, ...columns] = await Promise.all([
    inflateJson(block.texts),
    inflateJson(block.run),
    ...names.map((name) => unpack(block.columns[name], block.rows)),
  ]);
  const found = { rows: block.rows, texts, run };
  names.forEach((name, i) => (found[name] = columns[i]));
  for (let row = 0; row < block.rows; row++) {
    found.t[row] *= run.unit;
    if (found.took[row] > 0) found.took[row] *= run.unit;
    found.result[row] += found.arg[row];
  }
  return found;
}
