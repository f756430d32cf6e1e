// The data of the page. page_data.py ─► [data] ─► every other script
// A table has columns by name. A column of texts has `names` and `codes` (-1: none), any other `values` (NaN: unknown) and
// `words` by row, such as `-` in place of a limit.

const DIGIT = new Uint8Array(128);
[..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].forEach((char, digit) => { DIGIT[char.charCodeAt(0)] = digit; });

const data = JSON.parse(document.getElementById("data").textContent);

/** Let `object[name]` be made when it is first asked for, so that the first screen waits for none of it. */
function later(object, name, make) {
  return Object.defineProperty(object, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = make();
      Object.defineProperty(object, name, { value });
      return value;
    },
  });
}

/** Spell out a list, `{runs: [value, count, …]}`, or `{digits}`: numbers plus 1, 0 for none, in base 32 with 32 added to all
 * digits of a number but its last. */
function unpacked(packed, into) {
  if (Array.isArray(packed)) {
    packed.forEach((value, row) => { into[row] = value ?? NaN; });
    return into;
  }
  let row = 0;
  if (packed.digits !== undefined) {
    let number = 0;
    for (let at = 0; at < packed.digits.length; at += 1) {
      const digit = DIGIT[packed.digits.charCodeAt(at)];
      number = number * 32 + (digit & 31);
      if (digit >= 32) continue;
      into[row] = number ? number - 1 : NaN;
      row += 1;
      number = 0;
    }
    return into;
  }
  for (let slot = 0; slot < packed.runs.length; slot += 2) {
    into.fill(packed.runs[slot] ?? NaN, row, row += packed.runs[slot + 1]);
  }
  return into;
}

/** Return a table of the data, its columns by name; null if the page has none of that name. */
function tableOf(packed) {
  if (!packed) return null;
  const columns = new Map();
  for (const column of packed.columns) {
    columns.set(column.name, column.names
      ? later({ ...column }, "codes", () => unpacked(column.codes, new Int32Array(packed.rows)))
      : later({ ...column, words: new Map(column.words) }, "values", () => {
        const values = unpacked(column.values, new Float64Array(packed.rows)), base = column.of && columns.get(column.of).values;
        return base ? values.map((apart, row) => base[row] - apart) : values;  // kept as the distance from another column
      }));
  }
  return { ...packed, columns, column: (name) => columns.get(name) };
}

/**
 * The leaves: what one process holds under one name and kind of mapping. Each of host, service, pid, name, mapping and
 * kind gives a leaf's text or number by its row; `codes` and `names` have the texts of a key apart, to group by them.
 */
const leaves = (() => {
  const processes = tableOf(data.leaves?.processes), parts = tableOf(data.leaves?.leaves);
  if (!parts || !parts.rows) return null;
  const process = parts.column("process"), pids = processes.column("pid"), codes = {}, names = {}, masks = [];
  for (const key of ["host", "service", "name", "mapping", "kind"]) {
    const own = parts.column(key), column = own ?? processes.column(key);
    names[key] = column.names;
    later(codes, key, () => own ? own.codes : Int32Array.from(process.values, (slot) => column.codes[slot]));
  }
  return {
    rows: parts.rows,
    /** The size by which parts are compared: "pss" or "rss". */
    share: parts.share,
    get process() { return process.values; },
    processes,
    codes,
    names,
    pid: (row) => String(pids.values[process.values[row]]),
    text: (key, row) => names[key][codes[key][row]] ?? null,
    has: (name) => parts.column(name)?.unit === "KiB",
    /** KiB of each leaf, NaN where unknown; `name` without _kib. */
    sizes: (name) => parts.column(name).values,
    /** Return a function of a row: does the leaf belong to what is picked? */
    within(picked) {
      const mask = this.mask(picked);
      return (row) => mask[row] === 1;
    },
    /** Return 1 for each leaf that belongs to what is picked, else 0; the last few are kept, for the other sections. */
    mask(picked) {
      const wanted = KEYS.filter((key) => picked[key] !== undefined), of = JSON.stringify(wanted.map((key) => [key, picked[key]]));
      const kept = masks.find(([key]) => key === of);
      if (kept) return kept[1];
      const mask = new Uint8Array(parts.rows).fill(1);
      for (const key of wanted) {
        if (key === "pid") {
          const pid = Number(picked.pid), is = Uint8Array.from(pids.values, (one) => one === pid ? 1 : 0), column = process.values;
          for (let row = 0; row < mask.length; row += 1) if (!is[column[row]]) mask[row] = 0;
          continue;
        }
        const is = Uint8Array.from(names[key], (text) => text === picked[key] ? 1 : 0), column = codes[key];
        for (let row = 0; row < mask.length; row += 1) if (column[row] < 0 || !is[column[row]]) mask[row] = 0;
      }
      masks.unshift([of, mask]);
      masks.length = Math.min(masks.length, 6);
      return mask;
    },
  };
})();
