// Hosts side by side: colours one sees, figures on hover and where there is room. data, state ─► [heat]
// Hosts that look alike share a column, and rows without a difference are folded, until a reader unfolds them.

const ROOM = 76;  // pixels of a column with figures
const NARROWEST = 24, WIDEST = 150;  // a finger hits 24 pixels (WCAG 2.2, 2.5.8)
const OUTLIERS = 120;  // pixels for the names of outliers, behind the columns

class HeatMap {
  constructor(table, packed) {
    Object.assign(this, { table, packed, isUnfolded: false, isWhole: false, unfolded: new Set(), row: 0, column: 0 });
    this.region = table.parentElement;
    this.labels = tableOf(packed.labels);
    this.rows = packed.labels.rows;
    this.cells = packed.cells.map((cells) => this.spelled(cells));
    this.steps = this.placed(packed.steps);
    this.out = this.placed(packed.out);
    this.groupOf = new Map(packed.groups.flatMap((group) => group.map((host) => [host, group])));
    this.nameOf = new Map(packed.groups.map((group, slot) => [group, packed.names[slot]]));
    this.makeTools();
    this.draw();
    new ResizeObserver(() => this.fit()).observe(this.region);
    table.addEventListener("keydown", (event) => this.move(event));
    table.addEventListener("click", (event) => this.clicked(event));
    table.addEventListener("pointerover", (event) => this.tell(event.target.closest("td.cell")));
    table.addEventListener("focusin", (event) => this.tell(event.target.closest("td.cell")));
    state.on(() => this.mark());
  }

  /** The cells of a host: numbers, null where unknown, or why there is none. */
  spelled(cells) {
    return Array.from(unpacked(cells, new Float64Array(this.rows)), (number) => Number.isNaN(number) ? null : number === 0 ? "not-run" : number === 1 ? "not-mapped" : number < 0 ? number : number - 2);
  }

  /** Values by row and host, of row, host, value, row, … */
  placed(sparse) {
    const values = new Int8Array(this.rows * this.packed.hosts.length);
    for (let slot = 0; slot < sparse.length; slot += 3) values[sparse[slot] * this.packed.hosts.length + sparse[slot + 1]] = sparse[slot + 2];
    return { at: (row, host) => values[row * this.packed.hosts.length + host] };
  }

  makeTools() {
    const { packed } = this, folds = packed.groups.some((group) => group.length > 1);
    const tools = made("div", "tools", [], { role: "group", "aria-label": this.table.caption.textContent });
    const toggle = (text, change) => {
      const button = made("button", "tool", [text], { type: "button", "aria-pressed": "false" });
      button.addEventListener("click", () => {
        change();
        button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") === "false"));
        this.draw();
      });
      tools.append(button);
    };
    if (folds) toggle(`Each of ${grouping.format(packed.hosts.length)} hosts`, () => { this.isUnfolded = !this.isUnfolded; this.unfolded.clear(); });
    if (packed.plain && packed.plain < this.rows) toggle(`${grouping.format(packed.plain)} rows without a difference`, () => { this.isWhole = !this.isWhole; });
    this.said = made("output", "readout", [], { "aria-live": "off" });
    if (tools.childElementCount) this.region.before(tools);
    this.region.after(made("p", "hint", [this.said]));
  }

  /** The columns: each a list of hosts. */
  columns() {
    return this.packed.groups.flatMap((group) =>
      group.length > 1 && (this.isUnfolded || this.unfolded.has(group)) ? group.map((host) => [host]) : [group]);
  }

  /** The middle one of the known sizes of a column, or the word that all cells are. */
  value(row, hosts) {
    const known = hosts.map((host) => this.cells[host][row]).filter((cell) => typeof cell === "number").sort((one, other) => one - other);
    return known.length ? known[known.length >> 1] : this.cells[hosts[0]][row];
  }

  cellText(value) {
    if (value === null) return "?";
    if (typeof value === "string") return value;
    return human(value);
  }

  draw() {
    const { packed, table, labels } = this;
    this.shownColumns = this.columns();
    this.count = this.isWhole || packed.plain === this.rows ? this.rows : this.rows - packed.plain;
    const names = [...labels.columns.values()].filter((column) => column.names && column.name !== "outliers");
    const head = made("tr", "", [...names.map((column) => made("th", "", [column.name], { scope: "col" })),
      made("th", "n less", ["explains"], { scope: "col" }), made("th", "n less", ["median"], { scope: "col" }),
      ...this.shownColumns.map((hosts, column) => this.headOf(hosts, column)),
      made("th", "", ["outliers"], { scope: "col" })]);
    table.tHead.replaceChildren(head);
    const rows = [];
    if (packed.processes.some((count) => count !== null)) rows.push(this.countRow(names.length));
    for (let row = 0; row < this.count; row += 1) rows.push(this.rowOf(row, names));
    table.tBodies[0].replaceChildren(...rows);
    const totals = this.shownColumns.map((hosts) => {
      const known = hosts.map((host) => packed.totals[host]).filter((kib) => kib !== null).sort((one, other) => one - other);
      return made("td", "n", [made("span", "", [known.length ? human(known[known.length >> 1]) : packed.isDelta ? "" : "?"])]);
    });
    table.tFoot?.replaceChildren(made("tr", "", [made("th", "", ["total"], { scope: "row" }),
      ...this.blanks(names.length), ...totals, made("td")]));
    table.setAttribute("role", "grid");
    this.first = names.length + 2;
    this.row = Math.min(this.row, this.count - 1);
    this.column = Math.min(this.column, this.shownColumns.length - 1);
    this.fit();
    this.mark();
  }

  headOf(hosts, column) {
    const group = this.groupOf.get(hosts[0]), name = hosts.length > 1 ? this.nameOf.get(group) : this.packed.hosts[hosts[0]];
    const head = made("th", "host", [], { scope: "col", title: hosts.length > 1 ? `${name}: ${hosts.length} hosts that look alike` : name });
    const button = made("button", "", [made("span", "", [name])], { type: "button" });
    if (hosts.length > 1) button.setAttribute("aria-expanded", "false");
    head.append(button);
    button.addEventListener("click", () => {
      if (hosts.length === 1) return state.toggle({ host: name });
      this.unfolded.add(group);
      this.draw();
      this.table.tHead.rows[0].cells[this.first + column].querySelector("button").focus();
    });
    return head;
  }

  countRow(names) {
    const counts = this.shownColumns.map((hosts) => {
      const known = [...new Set(hosts.map((host) => this.packed.processes[host]))].map((count) => count ?? "?");
      return made("td", "n", [made("span", "", [known.length === 1 ? String(known[0]) : `${Math.min(...known)}–${Math.max(...known)}`])]);
    });
    return made("tr", "first", [made("th", "", ["processes"], { scope: "row" }), ...this.blanks(names), ...counts, made("td")]);
  }

  /** The empty cells of a row of counts or totals below the other names, `explains` and `median`. */
  blanks(names) {
    return [...Array.from({ length: names - 1 }, () => made("td")), made("td", "less"), made("td", "less")];
  }

  rowOf(row, names) {
    const { packed, labels } = this, text = (column) => column.names[column.codes[row]] ?? "?";
    const median = labels.column("median"), outliers = labels.column("outliers");
    const cells = names.map((column, slot) => made(slot ? "td" : "th", "w", [text(column)], { title: text(column), ...(slot ? {} : { scope: "row" }) }));
    cells.push(made("td", "n less", [`${packed.explained[row].toFixed(1)}%`]));
    cells.push(made("td", "n less", [median && !Number.isNaN(median.values[row]) ? human(median.values[row]) : "?"]));
    for (const hosts of this.shownColumns) cells.push(this.cellOf(row, hosts));
    const words = outliers ? text(outliers) : "";
    cells.push(made("td", "w", [words], { title: words }));
    return made("tr", "", cells);
  }

  cellOf(row, hosts) {
    const value = this.value(row, hosts), step = this.steps.at(row, hosts[0]);
    const isOut = hosts.some((host) => this.out.at(row, host)), isNull = typeof value !== "number";
    const css = `cell n${step ? ` ${step > 0 ? "a" : "b"}${Math.abs(step)}` : ""}${isOut ? " out" : ""}${isNull ? " u" : ""}`;
    const cell = made("td", css, [made("span", "", [...(isOut ? [made("b", "", [step > 0 ? "▲" : step < 0 ? "▼" : ""], {}), made("span", "sr", [" outlier "])] : []), this.cellText(value)])], { tabindex: -1 });
    cell.title = this.words(row, hosts);
    return cell;
  }

  words(row, hosts) {
    const value = this.value(row, hosts), median = this.labels.column("median")?.values[row];
    const mapping = this.labels.column("mapping");
    const name = hosts.length > 1 ? `${this.nameOf.get(this.groupOf.get(hosts[0]))} (the middle of ${hosts.length})` : this.packed.hosts[hosts[0]];
    let words = `${name} · ${mapping ? mapping.names[mapping.codes[row]] : ""}: ${this.cellText(value)}`;
    if (typeof value === "number" && !this.packed.isDelta && median !== undefined && !Number.isNaN(median)) {
      const apart = value - median;
      words += apart ? `, ${human(Math.abs(apart))} ${apart > 0 ? "above" : "below"} the median of ${human(median)}` : ", the median";
    } else if (this.packed.isDelta && typeof value === "number") {
      words += hosts.length === 1 && this.packed.totals[hosts[0]] !== null ? "" : " from the baseline";
    }
    return hosts.some((host) => this.out.at(row, host)) ? `${words}; outlier` : words;
  }

  /** Give the columns the width that there is: with figures, or as bare colours. */
  fit() {
    const heads = [...this.table.tHead.rows[0].cells];
    const labels = heads.slice(0, this.first).reduce((sum, head) => sum + head.offsetWidth, 0);
    const each = (this.region.clientWidth - labels - OUTLIERS) / this.shownColumns.length;
    this.table.classList.toggle("dense", each < ROOM);
    this.table.style.setProperty("--cell", `${Math.min(Math.max(Math.floor(each), NARROWEST), WIDEST)}px`);
  }

  place(cell) {
    const row = cell.parentElement, first = row.parentElement.rows[0].className === "first" ? 1 : 0;
    return { row: row.sectionRowIndex - first, column: cell.cellIndex - this.first };
  }

  at(row, column) {
    const rows = this.table.tBodies[0].rows, first = rows[0]?.className === "first" ? 1 : 0;
    return rows[row + first]?.cells[this.first + column];
  }

  tell(cell) {
    if (cell) this.said.textContent = cell.title;
  }

  clicked(event) {
    const cell = event.target.closest("td.cell");
    if (cell) this.pick(cell);
  }

  pick(cell) {
    const { row, column } = this.place(cell), hosts = this.shownColumns[column];
    Object.assign(this, { row, column });
    const { mapping, service } = Object.fromEntries(["mapping", "service"].map((key) => {
      const column = this.labels.column(key);
      return [key, column ? column.names[column.codes[row]] : undefined];
    }));
    state.toggle({ ...(hosts.length === 1 ? { host: this.packed.hosts[hosts[0]] } : {}), ...(mapping ? { mapping } : {}), ...(service ? { service } : {}) });
  }

  move(event) {
    const cell = event.target.closest("td.cell"), steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] };
    if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return this.pick(cell);
    }
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [down, right] = steps[event.key], place = this.place(cell);
    this.row = Math.min(Math.max(place.row + down, 0), this.count - 1);
    this.column = Math.min(Math.max(place.column + right, 0), this.shownColumns.length - 1);
    this.roam();
    this.at(this.row, this.column).focus();
  }

  /** One cell can be reached by Tab; the others from it by the arrows. */
  roam() {
    this.table.querySelector("td.cell[tabindex='0']")?.setAttribute("tabindex", -1);
    this.at(this.row, this.column)?.setAttribute("tabindex", 0);
  }

  /** Mark what is picked, and bring its cell into sight. */
  mark() {
    const { host, mapping, service } = state.picked, { labels } = this;
    for (const element of this.table.querySelectorAll(".picked")) element.classList.remove("picked");
    const is = (key, wanted, row) => {
      const column = labels.column(key);
      return wanted === undefined || !column || column.names[column.codes[row]] === wanted;
    };
    const slot = host === undefined ? -1 : this.packed.hosts.indexOf(host);
    const column = slot < 0 ? -1 : this.shownColumns.findIndex((hosts) => hosts.includes(slot));
    if (column >= 0) this.table.tHead.rows[0].cells[this.first + column].classList.add("picked");
    if (mapping !== undefined) {
      for (let row = 0; row < this.rows; row += 1) {
        if (!is("mapping", mapping, row) || !is("service", service, row)) continue;
        if (row >= this.count) {  // it is among the folded rows
          this.isWhole = true;
          return this.draw();
        }
        const cell = this.at(row, Math.max(column, 0)), line = cell.parentElement;
        line.cells[0].classList.add("picked");
        if (column >= 0) {
          cell.classList.add("picked");
          Object.assign(this, { row, column });
          requestAnimationFrame(() => this.scrollTo(cell));
          this.tell(cell);
        }
      }
    }
    this.roam();
  }

  /** Scroll the map, not the page, to a cell. */
  scrollTo(cell) {
    const box = cell.getBoundingClientRect(), room = this.region.getBoundingClientRect();
    if (box.left < room.left + 200 || box.right > room.right) this.region.scrollLeft += box.left - room.left - room.width / 2;
    if (box.top < room.top + 100 || box.bottom > room.bottom) this.region.scrollTop += box.top - room.top - room.height / 2;
  }
}

const table = document.querySelector("table.heat");
if (table) whenNear(table, () => new HeatMap(table, data.heat));
