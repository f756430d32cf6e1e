// Tables that follow what is picked: sorted, searched, added up, copied. rows, virtual_rows ─► [tables]
// Without this script the page shows the first rows of each, in a fixed order.

const isPhone = innerWidth < 640;
const WIDEST = isPhone ? 120 : 480, WIDEST_NAME = isPhone ? 120 : 320;  // pixels of a column, and of one with names
const TAIL = isPhone ? 6 : 16;  // last characters of a long text, which are seen whatever is cut
const LONG = isPhone ? 12 : 32;  // characters of a text that may have no room
const BAR = isPhone ? 104 : 168;  // pixels of the column with bars
const PAPER = { width: 980, text: 0.82, cell: 8, bar: 56, rows: 100 };  // pixels of a sheet; what tables.css makes of a text, a cell and a bar
const BARS = ["host", "service", "pid"];  // tables with a bar by kind, by the key of their rows

/** Return a function that measures a text of a table in pixels. All tables have one font: the browser is asked for it once. */
const measuring = (() => {
  let font = "";
  return (table, weight) => {
    font ||= (({ fontSize, fontFamily }) => `${fontSize} ${fontFamily}`)(getComputedStyle(table));
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${weight} ${font}`;
    return (text) => pen.measureText(text).width;
  };
})();

/** A csv field; a text that a spreadsheet would compute gets a ' before it. */
function csvField(value) {
  const text = /^[=+\-@＝＋－＠]/.test(value) ? `'${value}` : value;
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

class ShownTable {
  constructor(table, packed) {
    this.rows = new Rows(packed);
    this.element = table;
    this.region = table.parentElement;
    this.name = packed.name;
    this.columns = packed.order.map((name) => this.rows.table.column(name));
    this.hidden = new Set(packed.hidden);
    if (isPhone) for (const { name, unit } of this.columns) if (unit === "count" || name === "size") this.hidden.add(name);  // room for memory
    this.hasBars = leaves !== null && BARS.includes(this.rows.own);
    this.label = table.caption.textContent;
    this.body = table.tBodies[0];
    this.foot = table.tFoot;
    this.total = this.foot && this.foot.rows[0].cloneNode(true);
    this.makeTools();
    this.virtual = new VirtualRows(this.region, this.body, (index) => this.rowAt(index));
    this.region.addEventListener("keydown", (event) => this.move(event));
    this.makeHead();
    whenPrinted(() => this.toPaper(), () => this.fromPaper());
    state.on((picked) => {
      this.rows.follow(picked);
      this.makeBars(picked);
      this.refresh();
      this.reveal();
    });
  }

  get shown() {
    const chosen = this.columns.filter((column) => !this.hidden.has(column.name));
    return chosen.slice(0, this.onPaper ? this.fitting : chosen.length);
  }

  makeTools() {
    const input = made("input", "", [], { type: "search", spellcheck: "false" });
    const search = made("div", "search", [made("label", "", ["Search ", input])], { role: "search", "aria-label": this.label });
    input.addEventListener("input", () => {
      this.rows.search(input.value);
      this.refresh();
    });
    this.count = made("output");
    this.said = made("output", "said");
    const copy = made("button", "tool", ["Copy as csv"], { type: "button" });
    copy.addEventListener("click", () => this.copy());
    const boxes = this.columns.map((column) => {
      const box = made("input", "", [], { type: "checkbox" });
      box.checked = !this.hidden.has(column.name);
      box.addEventListener("change", () => {
        if (box.checked) this.hidden.delete(column.name);
        else this.hidden.add(column.name);
        this.makeHead();
        this.refresh();
      });
      return made("label", "", [box, ` ${column.name}`]);
    });
    const chosen = made("details", "columns", [made("summary", "tool", ["Columns"]), made("div", "", boxes, { role: "group", "aria-label": `Columns of ${this.label}` })]);
    chosen.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      chosen.open = false;
      chosen.firstChild.focus();
    });
    document.addEventListener("click", (event) => { if (!chosen.contains(event.target)) chosen.open = false; });
    this.remark = made("p", "hint remark");
    this.region.before(made("div", "tools", [search, this.count, copy, chosen, this.said]), this.remark);
  }

  /** Make the header and the widths: as wide as the widest text, so that no column moves while rows pass by. */
  makeHead() {
    const text = measuring(this.element, 400), bold = measuring(this.element, 600);
    this.pixels = measuring(this.element, 500);
    const widths = this.shown.map((column) => Math.min(this.widest(column, text, bold) + 24, this.rows.isKey(column.name) ? WIDEST_NAME : WIDEST));
    if (this.hasBars) widths.splice(1, 0, BAR);
    const heads = this.shown.map((column) => {
      const button = made("button", "", [column.name], { type: "button" });
      button.addEventListener("click", () => this.sort(column));
      const head = made("th", column.names ? "" : "n", [button], { scope: "col" });
      return head;
    });
    if (this.hasBars) heads.splice(1, 0, made("th", "nosort", [`${leaves.share} by kind`], { scope: "col" }));
    this.element.querySelector("colgroup")?.remove();
    const cols = widths.map((width) => {
      const col = document.createElement("col");
      col.style.width = `${Math.ceil(width)}px`;
      return col;
    });
    this.element.tHead.before(made("colgroup", "", cols));
    this.element.style.width = `${Math.ceil(widths.reduce((sum, width) => sum + width, 0))}px`;
    this.element.classList.add("virtual");
    this.element.tHead.replaceChildren(made("tr", "", heads));
    this.tellSorting();
  }

  /** Make what fits on paper: the columns that a sheet is wide enough for, and the largest rows. */
  toPaper() {
    const { rows } = this, text = measuring(this.element, 400), bold = measuring(this.element, 600), most = rows.table.share;
    const chosen = this.shown;
    let room = PAPER.width - (this.hasBars ? PAPER.bar : 0);
    const beyond = chosen.findIndex((column) => (room -= Math.min(this.widest(column, text, bold), WIDEST) * PAPER.text + PAPER.cell) < 0);
    this.fitting = beyond < 0 ? chosen.length : beyond;
    this.onPaper = { columns: chosen.length, sorting: rows.sorting };
    if (!rows.sorting && this.order.length > PAPER.rows && rows.table.column(most)) rows.sort(most, true);
    this.makeHead();
    this.refresh();
    this.virtual.fill(0, Math.min(this.order.length, PAPER.rows));
  }

  fromPaper() {
    Object.assign(this.rows, { sorting: this.onPaper.sorting, order: null });
    this.onPaper = null;
    this.makeHead();
    this.refresh();
  }

  tellSorting() {
    const { sorting } = this.rows;
    for (const head of this.element.tHead.rows[0].cells) {
      if (sorting && head.textContent === sorting.name) head.setAttribute("aria-sort", sorting.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  widest(column, text, bold) {
    const long = column.names ? [...column.names].sort((one, other) => other.length - one.length).slice(0, 20)
      : [...new Set([...column.words.values(), numberText(column.unit, column.values.reduce((most, value) => value > most ? value : most, 0)), numberText(column.unit, column.values.reduce((least, value) => value < least ? value : least, 0))])];
    const total = column.rule && column.total !== null ? `≤${numberText(column.unit, column.total)}` : "?";
    return Math.max(bold(column.name) + 10, bold(total), ...long.map(text));
  }

  sort(column) {
    const { sorting } = this.rows, isNumber = !column.names;
    this.rows.sort(column.name, sorting?.name === column.name ? !sorting.descending : isNumber && column.unit !== "number");
    this.tellSorting();
    this.refresh();
  }

  refresh() {
    const { rows } = this, shown = rows.shown();
    const isWhole = !rows.isSearched && !rows.isNarrowed;
    this.order = rows.more >= 0 && isWhole ? [...shown, rows.more] : shown;
    this.element.setAttribute("aria-rowcount", this.order.length + 1);
    const hasSizes = this.shown.some((column) => column.unit === "KiB");
    this.count.textContent = `${grouping.format(shown.length)} of ${grouping.format(rows.count)} rows${hasSizes ? ", sizes in KiB" : ""}`;
    this.said.textContent = "";
    this.current = Math.max(rows.isPicked ? this.order.findIndex(rows.isPicked) : 0, 0);
    this.makeRemark();
    this.makeFoot(isWhole && !rows.isPicked);
    this.virtual.show(this.order.length);
  }

  makeRemark() {
    const { rows } = this, { picked } = state;
    const of = KEYS.filter((key) => picked[key] !== undefined && key !== rows.own && !(rows.own === "pid" && key === "host" && picked.pid))
      .map((key) => `${key} ${picked[key]}`).join(", ");
    const words = rows.ignored.length ? `This table is of the whole run: it does not follow ${rows.ignored.join(" and ")}.`
      : rows.sums ? `Sizes are those of ${of} alone.` : rows.isNarrowed ? `Only rows of ${of}.` : "";
    this.remark.textContent = `${words} ${this.onPaper ? this.leftOut() : ""}`.trim();
    this.remark.hidden = this.remark.textContent === "";
  }

  /** What of the table is not on paper. */
  leftOut() {
    const { rows, order, fitting, onPaper } = this, count = rows.shown().length;
    const left = [];
    if (order.length > PAPER.rows) left.push(`the ${onPaper.sorting || !rows.sorting ? "first" : "largest"} ${PAPER.rows} of ${grouping.format(count)} rows`);
    if (fitting < onPaper.columns) left.push(`${fitting} of ${onPaper.columns} columns`);
    return left.length ? `On paper: ${left.join(", ")}. The totals are of all rows.` : "";
  }

  /** Show the totals of the whole, and above them those of the rows that are found or picked. */
  makeFoot(isWhole) {
    if (!this.foot) return;
    this.foot.hidden = !this.shown.some((column) => column.rule);  // of hosts that all failed there is no total
    const totals = this.columns.map((column) => column.rule ? this.totalText(column, column.total) : "");
    const rows = [this.footRow("total", totals, "")];
    if (!isWhole) {
      const found = this.columns.map((column) => column.rule && column.rule !== "distinct" ? this.totalText(column, this.rows.foundRows().length ? this.rows.total(column) : 0) : "");
      rows.unshift(this.footRow(this.rows.isPicked ? "picked" : "found", found, "found"));
    }
    this.foot.replaceChildren(...rows);
  }

  totalText(column, value) {
    if (value === null || Number.isNaN(value)) return this.rows.isBlank(column) ? "" : "?";
    return (column.rule === "upper bound" && value ? "≤" : "") + numberText(column.unit, value);
  }

  footRow(label, texts, css) {
    const { shown } = this, cells = this.columns.map((column, slot) => [column, texts[slot]]).filter(([column]) => shown.includes(column))
      .map(([column, text], slot) => slot === 0 ? made("th", "", [label], { scope: "row" }) : made("td", column.names ? "" : "n", [text]));
    if (this.hasBars) cells.splice(1, 0, made("td", "bars"));
    return made("tr", css, cells);
  }

  rowAt(index) {
    const row = this.order[index], { rows } = this, isMore = row === rows.more;
    const cells = this.shown.map((column, slot) => {
      const text = rows.text(column, row), isNull = column.names ? column.codes[row] < 0 : text === "?" || column.words.has(row);
      const css = column.name === "status" && /^[a-z-]+$/.test(text) ? `s s-${text}` : `${column.names ? "w" : "n"}${isNull ? " u" : ""}`;
      const cell = made(slot ? "td" : "th", css, [], slot ? {} : { scope: "row" });
      const parts = this.parts(column, text);
      if (parts[0] !== text) cell.title = text;
      if (!isMore && !isNull && text && rows.isKey(column.name)) {
        const key = rows.keyOf(column.name, row);
        const link = made("a", "key", parts, { href: state.link(key), tabindex: index === this.current ? 0 : -1 });
        link.addEventListener("click", (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          state.toggle(key);
        });
        cell.append(link);
      } else {
        cell.append(...parts);
      }
      return cell;
    });
    if (this.hasBars) cells.splice(1, 0, made("td", "bars", isMore ? [] : this.bar(row)));
    const element = made("tr", isMore ? "more" : rows.isPicked?.(row) ? "picked" : "", cells, { "aria-rowindex": index + 2 });
    element.dataset.index = index;
    return element;
  }

  /** The text of a cell; of a long one the beginning, which is cut where there is no room, and the end. */
  parts(column, text) {
    if (text.length <= LONG) return [text];
    column.endsDiffer ??= new Set(column.names.map((name) => name.slice(-TAIL))).size > 1;
    if (!column.endsDiffer) return [made("span", "head", [text])];
    const isPair = /[\uDC00-\uDFFF]/.test(text.at(-TAIL)), at = text.length - TAIL - (isPair ? 1 : 0);  // one character in two halves
    const tail = text.slice(at), head = made("span", "head", [text.slice(0, at)]);
    head.style.maxWidth = `calc(100% - ${Math.ceil(this.pixels(tail))}px)`;
    return [head, tail];
  }

  /** Add up the sizes of each row by kind, of what is picked. */
  makeBars(picked) {
    if (!this.hasBars) return;
    const rest = { ...picked };
    delete rest[this.rows.own];
    if (this.rows.own === "pid") delete rest.host;
    const rowOf = this.rows.rowOfLeaf(), mask = leaves.mask(rest), sizes = leaves.sizes(leaves.share);
    const kinds = leaves.names.kind.length, sums = new Float64Array(this.rows.count * kinds);
    for (let leaf = 0; leaf < leaves.rows; leaf += 1) {
      if (rowOf[leaf] >= 0 && sizes[leaf] > 0 && mask[leaf]) sums[rowOf[leaf] * kinds + leaves.codes.kind[leaf]] += sizes[leaf];
    }
    let longest = 1;
    for (let row = 0; row < this.rows.count; row += 1) {
      let sum = 0;
      for (let kind = 0; kind < kinds; kind += 1) sum += sums[row * kinds + kind];
      longest = Math.max(longest, sum);
    }
    this.bars = { sums, kinds, longest };
  }

  bar(row) {
    const { sums, kinds, longest } = this.bars;
    const parts = leaves.names.kind.map((kind, slot) => [kind, sums[row * kinds + slot]]).filter(([, kib]) => kib > 0);
    if (!parts.length) return [];
    const text = [...parts].sort((one, other) => other[1] - one[1]).map(([kind, kib]) => `${kind} ${human(kib)}`).join(", ");
    const svg = make("svg", { class: "bar", role: "img", "aria-label": text }, make("title", {}, text));
    let x = 0;
    for (const [kind, kib] of parts.sort((one, other) => collator.compare(one[0], other[0]))) {
      const width = 100 * kib / longest;
      svg.append(make("rect", { class: `k-${kind}`, x: `${x.toFixed(2)}%`, width: `${width.toFixed(2)}%`, height: "100%" }));
      x += width;
    }
    return [svg];
  }

  /** Scroll to the picked row. */
  reveal() {
    if (this.rows.isPicked?.(this.order[this.current] ?? -1)) this.virtual.reveal(this.current);
  }

  /** Move from row to row by the keys of the arrows, among the links of one column. */
  move(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity };
    const link = event.target.closest("tbody a");
    if (!link || !(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const cell = link.closest("td, th").cellIndex, last = this.order.length - 1;
    this.current = Math.min(Math.max(Number(link.closest("tr").dataset.index) + steps[event.key], 0), last);
    this.virtual.reveal(this.current);
    this.virtual.fill(this.virtual.first, this.virtual.last);
    const row = [...this.body.rows].find((one) => Number(one.dataset.index) === this.current);
    row?.cells[cell]?.querySelector("a")?.focus({ preventScroll: true });
  }

  /** Copy the rows that are shown, as they are sorted, with the columns that are shown. */
  async copy() {
    const { rows, shown } = this;
    const lines = [shown.map((column) => csvField(column.csv ?? column.name)).join(",")];
    for (const row of rows.shown()) {
      lines.push(shown.map((column) => {
        if (column.names) return csvField(column.names[column.codes[row]] ?? "");
        const value = rows.value(column, row);
        const word = rows.sums ? undefined : column.words.get(row);
        return word ?? (Number.isNaN(value) ? "" : column.unit === "flag" ? String(value === 1) : String(value));
      }).join(","));
    }
    await copied(`${lines.join("\n")}\n`);
    this.said.textContent = `${grouping.format(lines.length - 1)} rows copied`;
  }
}

for (const packed of data.tables) {
  const table = document.getElementById(`t-${packed.name}`);
  whenNear(table, () => new ShownTable(table, packed));
}
