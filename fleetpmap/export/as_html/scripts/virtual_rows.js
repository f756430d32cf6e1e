// A table body that holds only the rows in sight. [virtual_rows] ─► tables
// All rows are equally high, so empty rows above and below stand for the others, and the scroll bar is that of the whole.

const SPARE = 8;
const MOST_HIGH = 576;  // pixels of a table, 36rem

class VirtualRows {
  /** `rowAt(index)` makes the element of a row. */
  constructor(scroller, body, rowAt) {
    Object.assign(this, { scroller, body, rowAt, count: 0, first: 0, last: 0, height: 0, top: 0, room: 0 });
    [this.above, this.below] = [0, 1].map(() => made("tr", "space", [made("td", "")], { "aria-hidden": "true" }));
    scroller.addEventListener("scroll", () => {
      this.top = scroller.scrollTop;
      this.draw();
    }, { passive: true });
    // What the browser has to lay out to answer is asked for here alone, and kept.
    new ResizeObserver(() => {
      this.measure();
      this.draw();
    }).observe(scroller);
  }

  measure() {
    const row = this.body.querySelector("tr[data-index]");
    this.height = row?.getBoundingClientRect().height || this.height || 24;
    this.head = this.body.offsetTop;
    this.room = Math.min(this.scroller.clientHeight || 600, 2000);
  }

  /** Show so many rows anew. */
  show(count) {
    this.count = count;
    if (!this.room) {
      this.fill(0, Math.min(count, SPARE));
      this.measure();
    }
    this.top = Math.max(Math.min(this.top, count * this.height - this.room + 3 * this.height), 0);
    this.fill(...this.range());
  }

  /** The rows in sight, and some more. */
  range() {
    const first = Math.max(Math.floor((this.top - this.head) / this.height), 0), seen = Math.ceil(MOST_HIGH / this.height);
    return [Math.max(Math.min(first, this.count - seen) - SPARE, 0), Math.min(first + seen + SPARE, this.count)];
  }

  draw() {
    const first = Math.max(Math.floor((this.top - this.head) / this.height), 0);
    const isEnough = this.first <= first && this.last >= Math.min(first + Math.ceil(this.room / this.height), this.count);
    if (!isEnough) this.fill(...this.range());
  }

  fill(first, last) {
    const focused = this.body.contains(document.activeElement) ? Number(document.activeElement.closest("tr").dataset.index) : -1;
    const cell = focused < 0 ? -1 : document.activeElement.closest("td, th").cellIndex;
    this.first = first;
    this.last = last;
    const rows = [];
    for (let index = first; index < last; index += 1) rows.push(this.rowAt(index));
    this.above.hidden = first === 0;
    this.below.hidden = last === this.count || last === first;
    this.above.firstChild.style.height = `${first * this.height}px`;
    this.below.firstChild.style.height = `${(this.count - last) * this.height}px`;
    this.body.replaceChildren(this.above, ...rows, this.below);
    if (focused >= first && focused < last) rows[focused - first].cells[cell]?.querySelector("a")?.focus({ preventScroll: true });
    else if (focused >= 0) this.scroller.focus({ preventScroll: true });
  }

  /** Scroll a row into the middle, unless it is in sight. */
  reveal(index) {
    const at = index * this.height, room = this.room - this.head - 2 * this.height;
    if (at >= this.top && at <= this.top + room - this.height) return;
    this.top = Math.max(at - room / 2, 0);
    this.draw();
    this.scroller.scrollTop = this.top;
  }
}
