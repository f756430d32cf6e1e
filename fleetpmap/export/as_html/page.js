// Sorting and searching. Without this script the page shows the same, in a fixed order.
"use strict";

const collator = new Intl.Collator("en", { numeric: true });

/** The sort key of a cell: a number, a text, or null if it is unknown, not mapped or empty. */
function keyOf(cell, numeric) {
  const text = cell.textContent.trim();
  if (!numeric) return text || null;
  const digits = text.replace(/[^\d.+-]/g, "");
  return digits === "" || Number.isNaN(Number(digits)) ? null : Number(digits);
}

/** Sort the rows; null comes last in both directions, and `(N more)` after everything. */
function sorted(rows, column, numeric, descending) {
  const keyed = rows.map((row) => ({ row, key: keyOf(row.cells[column], numeric) }));
  keyed.sort((one, other) => {
    if (one.key === null || other.key === null) return (one.key === null) - (other.key === null);
    const order = numeric ? one.key - other.key : collator.compare(one.key, other.key);
    return descending ? -order : order;
  });
  return keyed.map(({ row }) => row);
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    if (head.classList.contains("nosort")) return;
    const numeric = head.classList.contains("n");
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const descending = before === null ? numeric : before === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const rows = [...body.rows];
      const others = rows.filter((row) => row.className === "");
      const last = rows.filter((row) => row.className === "more");
      body.append(...sorted(others, column, numeric, descending), ...last);  // rows of counts are not moved, so they stay first
    });
  });
}

/** Insert a row above the totals: the sums of the shown rows, for columns that add up. */
function makeFound(table) {
  if (!table.tFoot) return () => {};
  const totals = table.tFoot.rows[0];
  const found = totals.cloneNode(true);
  found.className = "found";
  found.cells[0].textContent = "found";
  const columns = [...totals.cells].map((cell, column) => ({ cell, column })).filter(({ cell }) => cell.classList.contains("add"));
  for (const cell of [...found.cells].slice(1)) cell.textContent = "";
  return (rows, some) => {
    found.remove();
    if (!some) return;
    for (const { cell, column } of columns) {
      const sizes = rows.map((row) => keyOf(row.cells[column], true)).filter((size) => size !== null);
      const sum = sizes.reduce((one, other) => one + other, 0);
      const sign = cell.textContent.startsWith("≤") && sum ? "≤" : /^[+-]/.test(cell.textContent) && sum > 0 ? "+" : "";
      found.cells[column].textContent = rows.length && !sizes.length ? "?" : sign + sum.toLocaleString("en");
    }
    table.tFoot.prepend(found);
  };
}

function makeSearchable(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 2) return;
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const search = document.createElement("div");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const found = document.createElement("output");
  search.className = "search";
  search.setAttribute("role", "search");
  search.setAttribute("aria-label", table.caption.textContent);
  input.type = "search";
  input.spellcheck = false;
  label.append("Search ", input);
  search.append(label, found);
  const add = makeFound(table);
  const show = () => {
    const wanted = input.value.trim().toLowerCase();
    let count = 0;
    rows.forEach((row, slot) => {
      row.hidden = !texts[slot].includes(wanted);
      count += row.hidden ? 0 : 1;
    });
    add(rows.filter((row) => !row.hidden && !row.classList.contains("first")), wanted !== "");
    found.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`;
  };
  input.addEventListener("input", show);
  show();
  table.parentElement.before(search);
}

for (const table of document.querySelectorAll("table[id]")) {
  makeSortable(table);
  makeSearchable(table);
}
