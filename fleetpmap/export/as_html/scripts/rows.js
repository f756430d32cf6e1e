// The rows of a table that follow what is picked, searched and sorted. data, state ─► [rows] ─► tables
// A key that a row has by a column of its own narrows the rows; for any other key the sizes are added up anew from the
// leaves that are left. The table's own key, such as `host` in the table of hosts, leaves all rows and marks one.

class Rows {
  constructor(packed) {
    this.table = tableOf(packed);
    this.row = packed.row;
    this.own = packed.row ? packed.row.at(-1) : null;
    this.more = packed.more ? packed.rows - 1 : -1;
    this.count = packed.rows - (packed.more ? 1 : 0);
    this.words = "";
    this.sorting = null;
    this.sums = null;
    this.follow({});
  }

  /** The columns by which a reader can pick. */
  isKey(name) {
    return KEYS.includes(name) && (name !== "pid" || this.table.column("host") !== undefined);
  }

  /** What a cell of a key column picks. */
  keyOf(name, row) {
    const key = { [name]: this.text(this.table.column(name), row) };
    return name === "pid" ? { host: this.text(this.table.column("host"), row), ...key } : key;
  }

  /** The text of a cell; empty for what is not known of the part that is picked. */
  text(column, row) {
    if (column.names) return column.names[column.codes[row]] ?? (row === this.more ? "" : column.null ?? "?");
    const word = this.sums ? undefined : column.words.get(row);
    if (word !== undefined) return word;
    const value = this.value(column, row);
    if (!Number.isNaN(value)) return numberText(column.unit, value);
    return row === this.more && !column.rule || this.isBlank(column) ? "" : column.null ?? "?";
  }

  value(column, row) {
    return this.isBlank(column) ? NaN : this.sums?.get(column.name)?.[row] ?? column.values[row];
  }

  /** True for a figure of the whole row that the leaves cannot tell for a part of it. */
  isBlank(column) {
    return this.sums !== null && !column.names && column.unit !== "number" && column.unit !== "flag" && !this.sums.has(column.name);
  }

  /** Narrow the rows to what is picked. */
  follow(picked) {
    const wanted = KEYS.filter((key) => picked[key] !== undefined && key !== this.own);
    const has = (key) => this.table.column(key)?.names?.includes(picked[key]) || (key === "pid" && this.table.column("pid"));
    const byColumn = wanted.filter(has), others = wanted.filter((key) => !has(key));
    const byLeaves = leaves && this.row ? others : [];
    // A key that neither tells leaves the table as it is, and `ignored` says so; a known text that no row has leaves none.
    this.ignored = others.filter((key) => !byLeaves.includes(key) && !this.table.column(key));
    const absent = others.some((key) => !byLeaves.includes(key) && this.table.column(key));
    this.sums = byLeaves.length ? this.added(picked) : null;
    this.isWithin = (row) => !absent && byColumn.every((key) => this.has(key, row, picked[key])) &&
      (!this.sums || this.present[row] === 1);
    this.isNarrowed = byColumn.length + byLeaves.length > 0 || absent;
    const own = this.own && picked[this.own];
    this.isPicked = own === undefined || own === null ? null : (row) => this.has(this.own, row, own) &&
      (this.own !== "pid" || this.has("host", row, picked.host));
    this.order = null;
  }

  has(key, row, text) {
    const column = this.table.column(key);
    return column.names ? column.names[column.codes[row]] === text : String(column.values[row]) === text;
  }

  /** Add up the leaves of each row that are within what is picked: sizes, processes and hosts by column. */
  added(picked) {
    const rest = { ...picked };
    delete rest[this.own];
    if (this.own === "pid") delete rest.host;
    const rowOf = this.rowOfLeaf(), mask = leaves.mask(rest), sums = new Map();
    const present = new Uint8Array(this.table.rows);
    const sizes = [...this.table.columns.keys()].filter((name) => leaves.has(name)).map((name) => {
      const values = new Float64Array(this.table.rows).fill(NaN);
      sums.set(name, values);
      return [leaves.sizes(name), values];
    });
    const counts = [["processes", leaves.process], ["hosts", leaves.codes.host]].filter(([name]) => this.table.column(name))
      .map(([name, of]) => {
        sums.set(name, new Float64Array(this.table.rows));
        return [of, sums.get(name), new Int32Array(this.table.rows).fill(-1)];
      });
    for (let leaf = 0; leaf < leaves.rows; leaf += 1) {
      const row = rowOf[leaf];
      if (row < 0 || !mask[leaf]) continue;
      present[row] = 1;
      for (const [from, to] of sizes) {
        if (!Number.isNaN(from[leaf])) to[row] = (Number.isNaN(to[row]) ? 0 : to[row]) + from[leaf];
      }
      for (const [of, to, last] of counts) {  // leaves of one process, and of one host, follow each other
        if (last[row] === of[leaf]) continue;
        last[row] = of[leaf];
        to[row] += 1;
      }
    }
    this.present = present;
    return sums;
  }

  /** The row of each leaf, -1 without one. */
  rowOfLeaf() {
    this.rowsOfLeaves ??= this.row.some((key) => key === "mapping" || key === "kind") ? this.byLeaf() : this.byProcess();
    return this.rowsOfLeaves;
  }

  byProcess() {
    const texts = this.row.map((key) => this.table.column(key) ?? this.table.column("process")), rows = new Map();
    for (let row = 0; row < this.count; row += 1) rows.set(texts.map((column) => column.names ? column.names[column.codes[row]] : column.values[row]).join("\n"), row);
    const columns = this.row.map((key) => leaves.processes.column(key));
    const found = Int32Array.from({ length: leaves.processes.rows }, (_, process) =>
      rows.get(columns.map((column) => column.names ? column.names[column.codes[process]] : column.values[process]).join("\n")) ?? -1);
    return Int32Array.from(leaves.process, (process) => found[process]);
  }

  byLeaf() {
    const columns = this.row.map((key) => this.table.column(key) ?? this.table.column("process")), rows = new Map();
    const sizes = this.row.map((key) => leaves.names[key].length + 1);
    const codes = this.row.map((key) => new Map(leaves.names[key].map((text, code) => [text, code + 1])));
    for (let row = 0; row < this.count; row += 1) {
      // Null is 0; a text that no leaf has makes the sum NaN.
      const key = columns.reduce((sum, column, slot) => sum * sizes[slot] + (column.codes[row] < 0 ? 0 : codes[slot].get(column.names[column.codes[row]]) ?? NaN), 0);
      if (!Number.isNaN(key)) rows.set(key, row);
    }
    const of = this.row.map((key) => leaves.codes[key]);
    const found = new Int32Array(leaves.rows);
    for (let leaf = 0; leaf < leaves.rows; leaf += 1) {
      let key = 0;
      for (let slot = 0; slot < of.length; slot += 1) key = key * sizes[slot] + of[slot][leaf] + 1;
      found[leaf] = rows.get(key) ?? -1;
    }
    return found;
  }

  /** Keep rows that have each word in one of their texts or pids. */
  search(text) {
    this.words = text.trim().toLowerCase();
    this.order = null;
  }

  sort(name, descending) {
    this.sorting = { name, descending };
    this.order = null;
  }

  get isSearched() { return this.words !== ""; }

  /** The rows to show, in order, without `(N more)`. */
  shown() {
    if (this.order) return this.order;
    let rows = [];
    for (let row = 0; row < this.count; row += 1) if (this.isWithin(row)) rows.push(row);
    for (const word of this.words.split(/\s+/).filter(Boolean)) rows = rows.filter(this.holding(word));
    this.order = this.sorting ? this.sorted(rows) : rows;
    return this.order;
  }

  holding(word) {
    const tests = [...this.table.columns.values()].filter((column) => column.names || column.unit === "number").map((column) => {
      if (!column.names) return (row) => String(column.values[row]).includes(word);
      this.lower ??= new Map();
      if (!this.lower.has(column)) this.lower.set(column, column.names.map((name) => name.toLowerCase()));
      const codes = this.lower.get(column).map((name) => name.includes(word));
      return codes.includes(true) ? (row) => codes[column.codes[row]] === true : null;
    }).filter(Boolean);
    return (row) => tests.some((test) => test(row));
  }

  /** Unknown comes last in both directions. */
  sorted(rows) {
    const column = this.table.column(this.sorting.name), sign = this.sorting.descending ? -1 : 1;
    let rank;
    if (column.names) {
      const places = new Float64Array(column.names.length);
      column.names.map((name, code) => [name, code]).sort((one, other) => collator.compare(one[0], other[0]))
        .forEach(([, code], place) => { places[code] = place; });
      rank = (row) => column.codes[row] < 0 || column.names[column.codes[row]] === "" ? NaN : places[column.codes[row]];
    } else {
      rank = (row) => this.value(column, row);
    }
    const ranks = new Map(rows.map((row) => [row, rank(row)]));
    return rows.sort((one, other) => {
      const a = ranks.get(one), b = ranks.get(other);
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return sign * (a - b);
    });
  }

  /** Add up a column over the rows that are found: shown, and picked if one is. NaN if nothing is known. */
  total(column) {
    let sum = NaN;
    for (const row of this.foundRows()) {
      const value = this.value(column, row);
      if (!Number.isNaN(value)) sum = (Number.isNaN(sum) ? 0 : sum) + value;
    }
    return sum;
  }

  foundRows() {
    const rows = this.shown();
    return this.isPicked ? rows.filter(this.isPicked) : rows;
  }
}
