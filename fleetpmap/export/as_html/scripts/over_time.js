// Services over many runs: stacked areas, or a line for each host, and the growth in a span. data.js, state.js ─► [over_time]
// What is picked decides what is drawn: nothing, the services stacked; a service, its hosts; a host, its services.

const section = document.getElementById("s-over-time");
if (section && data.over_time) whenNear(section, () => drawn(data.over_time));

function drawn(past) {
  const times = summed(past.times), last = times.length - 1;
  const whole = lineOf(past.whole), services = past.services.map(lineOf), onHosts = past.hosts.map(lineOf);
  const nameOf = (line) => line.service ?? "others";
  const LEFT = 58, RIGHT = 10, TOP = 8, BOTTOM = 40, HOUR = 3600, DAY = 24 * HOUR, MOST_COLOURS = 5;

  /** Undo the steps: [3, 1, null, -2] was 3, 4, unknown, 2. */
  function summed(steps) {
    let at = 0;
    return Float64Array.from(steps, (step) => (step === null ? NaN : at += step));
  }

  function lineOf(line) {
    return { ...line, sizes: summed(line.sizes), restarts: new Set(line.restarts), deploys: new Set(line.deploys) };
  }

  const clock = (time) => new Date(1000 * time).toISOString().slice(0, times[last] - times[0] < HOUR ? 19 : 16).replace("T", " ");
  const when = (slot) => `${clock(times[slot])} UTC`;
  /** A span of time in words. */
  const long = (seconds) => (seconds >= 2 * DAY ? `${(seconds / DAY).toFixed(1)} days` : seconds >= 2 * HOUR ? `${(seconds / HOUR).toFixed(1)} hours`
    : seconds >= 120 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds)} seconds`);

  // What stands on the page.
  const said = make("p", { class: "grown", role: "status" });
  const pointed = make("p", { class: "hint pointed" }, "");
  const plot = make("svg", { class: "plot", "aria-hidden": "true" });
  const [from, to] = ["First run of the span", "Last run of the span"].map((label) => make("div", { class: "handle", role: "slider", tabindex: "0", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": last }));
  const chosen = make("div", { class: "span" }), cursor = make("div", { class: "cursor" });
  const field = make("div", { class: "field" }, plot, chosen, cursor, from, to);
  const table = make("table", {}, make("caption", { class: "sr" }, "Growth in the span"), make("thead"), make("tbody"));
  const select = make("select", { class: "tool" }, make("option", { value: "" }, "all services, stacked"));
  for (const line of services) if (line.service !== null) select.append(make("option", { value: line.service }, `${line.service}, a line for each host`));
  const all = make("button", { type: "button", class: "tool" }, "All runs");
  const tools = make("div", { class: "tools", role: "group", "aria-label": "What is drawn" }, make("label", {}, "Show ", select), all);
  const marks = make("p", { class: "hint" }, make("span", { class: "how" }, "Drag across the chart, or move its ends with the arrow keys, to see the growth in a span. "), "A tall mark below the chart is a restart: at least half of a service's processes were replaced at once. With a triangle it is a deploy: they run other code since. A short mark is a restart on one host. A grey band is a gap.");
  section.querySelector(".static").replaceWith(tools, said, field, pointed, marks, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Growth in the span" }, table));

  let span = [0, last], shown = [], isStacked = true, colours = new Map();
  const width = () => Math.max(field.clientWidth, 120), height = () => Math.max(field.clientHeight, 120);
  const xOf = (time) => LEFT + (time - times[0]) / (times[last] - times[0] || 1) * (width() - LEFT - RIGHT);
  const x = (slot) => xOf(times[slot]);

  /** The run nearest to a place on the page. */
  function slotAt(clientX) {
    const at = clientX - field.getBoundingClientRect().left;
    let best = 0;
    for (let slot = 1; slot <= last; slot++) if (Math.abs(x(slot) - at) < Math.abs(x(best) - at)) best = slot;
    return best;
  }

  /** The growth of a line from the first to the last known size in the span. */
  function growthOf(line) {
    let [first, end] = [span[0], span[1]];
    while (first < span[1] && Number.isNaN(line.sizes[first])) first++;
    while (end > first && Number.isNaN(line.sizes[end])) end--;
    const days = (times[end] - times[first]) / DAY, kib = line.sizes[end] - line.sizes[first];
    const [restarts, deploys] = [line.restarts, line.deploys].map((slots) => [...slots].filter((slot) => slot > span[0] && slot <= span[1]).length);
    return { line, first: line.sizes[first], last: line.sizes[end], kib, days, restarts: `${restarts}${deploys ? ` (${deploys} deploy${deploys === 1 ? "" : "s"})` : ""}` };
  }

  /** The growth a day; of less than an hour it would say nothing. */
  const daily = ({ kib, days }) => (days * DAY >= HOUR ? signed(Math.round(kib / days)) : "-");
  const andDaily = (one) => (daily(one) === "-" ? "" : ` (${daily(one)} a day)`);

  function choose() {
    const { service, host } = state.picked;
    const lines = onHosts.filter((line) => (service === undefined || line.service === service) && (service !== undefined || line.host === host));
    isStacked = (service === undefined && host === undefined) || !lines.length;
    shown = isStacked ? services : lines;
    select.value = isStacked ? "" : service ?? "";
  }

  const labelOf = (line) => (isStacked ? nameOf(line) : state.picked.service === undefined ? line.service : line.host);

  /** The pieces of a line without a gap, each a list of runs. */
  function pieces(isKnown) {
    const found = [];
    for (let slot = 0, piece = null; slot <= last; slot++) {
      if (!isKnown(slot)) piece = null;
      else if (piece) piece.push(slot);
      else found.push(piece = [slot]);
    }
    return found;
  }

  /** Sizes for the axis: steps of 1, 2 or 5 in a unit of 1024, at most five. */
  function ticks(low, high) {
    const unit = 1024 ** Math.max(Math.floor(Math.log(Math.max(high, 1)) / Math.log(1024)), 0);
    const rough = (high - low) / unit / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((times_) => times_ * power * unit).find((size) => size >= rough * unit);
    const found = [];
    for (let size = Math.ceil(low / step) * step; size <= high; size += step) found.push(size);
    return found;
  }

  /** Round times for the axis with their texts, at most so many: days, or times of a day. */
  function moments(most) {
    const steps = [1, 5, 15, 60, 300, 900, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 28 * DAY, 91 * DAY, 364 * DAY];
    const step = steps.find((seconds) => (times[last] - times[0]) / seconds < most) ?? times[last] - times[0], found = [];
    for (let time = Math.ceil(times[0] / step) * step; time <= times[last]; time += step) {
      found.push([time, step < DAY ? clock(time).slice(5) : clock(time).slice(0, 10)]);
    }
    return found;
  }

  function show() {
    choose();
    const [wide, high] = [width(), height()], ground = high - BOTTOM;
    plot.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    const ranked = rankedLines();
    colours = coloursOf(ranked);
    const [low, top] = isStacked ? [0, Math.max(...[...whole.sizes].filter((size) => size > 0), 1)] : range(shown);
    const y = (kib) => TOP + (top - kib) / (top - low) * (ground - TOP);
    const parts = [];
    for (const [first, after] of gaps(isStacked ? [whole] : shown)) {
      parts.push(make("rect", { class: "gap", x: first, y: TOP, width: Math.max(after - first, 2), height: ground - TOP }));
    }
    for (const size of ticks(low, top)) {
      parts.push(make("line", { class: "grid", x1: LEFT, x2: wide - RIGHT, y1: y(size), y2: y(size) }));
      parts.push(make("text", { x: LEFT - 6, y: y(size) + 4, "text-anchor": "end" }, size ? human(Math.round(size)) : "0"));
    }
    parts.push(...(isStacked ? areas(y) : lines(y, ranked)), ...restarts(ground));
    for (const [time, text] of moments(Math.max(2, Math.min(8, Math.floor(wide / 130))))) {
      const place = xOf(time), anchor = place < LEFT + 20 ? "start" : place > wide - 40 ? "end" : "middle";
      parts.push(make("text", { x: place, y: high - 6, "text-anchor": anchor }, text));
    }
    plot.replaceChildren(...parts);
    showSpan(ranked);
  }

  /** The lines by their growth in the span. */
  function rankedLines() {
    const unknown = (one) => Number.isNaN(one.kib);
    return shown.map(growthOf).sort((one, other) => unknown(one) - unknown(other) || other.kib - one.kib || other.last - one.last);
  }

  function nearest(time) {
    let best = 0;
    for (let slot = 1; slot <= last; slot++) if (Math.abs(times[slot] - time) < Math.abs(times[best] - time)) best = slot;
    return best;
  }

  /** In a stack each service has a colour; of lines those that grow most, and what is picked. */
  function coloursOf(ranked) {
    if (isStacked) return new Map(services.map((line, slot) => [line, line.service === null ? "other" : `c${slot}`]));
    const most = ranked.slice(0, MOST_COLOURS).map(({ line }) => line);
    return new Map(most.map((line, slot) => [line, `v${slot}`]));
  }

  /** The sizes that an axis of lines spans: at least a tenth of the largest. */
  function range(lines_) {
    const known = lines_.flatMap((line) => [...line.sizes]).filter((size) => !Number.isNaN(size));
    const [least, most] = [Math.min(...known, Infinity), Math.max(...known, 1)];
    const apart = Math.max(most - least, most / 10) * 1.1, middle = (most + least) / 2;
    const bottom = Math.max(middle - apart / 2, 0);
    return [bottom < most / 4 ? 0 : bottom, Math.max(middle + apart / 2, 1)];
  }

  /** Where none of the lines has a size: from and to, in pixels. */
  function gaps(lines_) {
    const half = (slot, other) => (x(slot) + x(other)) / 2;
    return pieces((slot) => lines_.every((line) => Number.isNaN(line.sizes[slot]))).map((piece) => {
      const [first, end] = [piece[0], piece.at(-1)];
      return [first ? half(first - 1, first) : x(0), end < last ? half(end, end + 1) : x(last)];
    });
  }

  const at = (slot, kib, y) => `${x(slot).toFixed(1)} ${y(kib).toFixed(1)}`;

  /** Where the sum over all hosts is known, a service without a size was not running. */
  function areas(y) {
    const floor = new Float64Array(last + 1), found = [], names = [];
    for (const line of services) {
      const roof = floor.map((kib, slot) => kib + (line.sizes[slot] || 0));
      for (const piece of pieces((slot) => !Number.isNaN(whole.sizes[slot]))) {
        const over = piece.map((slot) => at(slot, roof[slot], y)), under = [...piece].reverse().map((slot) => at(slot, floor[slot], y));
        const isDot = piece.length === 1;
        found.push(make("path", { class: `area ${colours.get(line)}`, d: isDot ? `M${over[0]}L${under[0]}` : `M${[...over, ...under].join("L")}Z` }));
      }
      const place = roomFor(nameOf(line), (slot) => [y(roof[slot]), y(floor[slot])]);
      if (place) names.push(make("text", { class: "named", ...place, "text-anchor": "middle" }, nameOf(line)));
      floor.set(roof);
    }
    return [...found, ...names];
  }

  /** Where an area is high enough for its name; `edges`: its upper and lower edge in a run. */
  function roomFor(name, edges) {
    const half = 4 * name.length + 4;
    for (let share = 0.9; share > 0.05; share -= 0.1) {
      const middle = nearest(times[0] + (times[last] - times[0]) * share);
      const beneath = [];
      for (let slot = 0; slot <= last; slot++) if (Math.abs(x(slot) - x(middle)) < half) beneath.push(slot);
      const upper = Math.max(...beneath.map((slot) => edges(slot)[0])), lower = Math.min(...beneath.map((slot) => edges(slot)[1]));
      const isWhole = x(middle) - half > LEFT && x(middle) + half < width() && beneath.every((slot) => !Number.isNaN(whole.sizes[slot]));
      if (isWhole && lower - upper > 14) return { x: x(middle), y: (upper + lower) / 2 + 4 };
    }
    return null;
  }

  function lines(y, ranked) {
    return ranked.map(({ line }) => line).reverse().flatMap((line) => pieces((slot) => !Number.isNaN(line.sizes[slot])).map((piece) => {
      const points = piece.map((slot) => at(slot, line.sizes[slot], y));
      const css = `line ${colours.get(line) ?? "pale"}${isPicked(line) ? " strong" : ""}`;
      return make("path", { class: css, d: points.length === 1 ? `M${points[0]}h0` : `M${points.join("L")}` });
    }));
  }

  const isPicked = (line) => line.host !== null && line.host === state.picked.host && state.picked.service !== undefined;

  function restarts(ground) {
    const mark = (slot, long, css) => make("path", { class: `restart ${css}`, d: `M${x(slot).toFixed(1)} ${ground + 2}v${long}` });
    const triangle = (slot, css) => make("path", { class: `deploy ${css}`, d: `M${x(slot).toFixed(1)} ${ground + 9}l6 10h-12z` });
    const short = isStacked ? [] : shown.flatMap((line) => [...line.restarts].map((slot) => mark(slot, 7, colours.get(line) ?? "pale")));
    const ofServices = services.filter((line) => isStacked || shown.some((one) => one.service === line.service));
    return [...short, ...ofServices.flatMap((line) => {
      const css = isStacked ? colours.get(line) : "every";
      return [...[...line.restarts].map((slot) => mark(slot, 16, css)), ...[...line.deploys].map((slot) => triangle(slot, css))];
    })];
  }

  function showSpan(ranked) {
    const [left, right] = [x(span[0]), x(span[1])];
    const isWhole = span[0] === 0 && span[1] === last;
    Object.assign(chosen.style, { left: `${left}px`, width: `${right - left}px` });
    chosen.classList.toggle("whole", isWhole);
    [from, to].forEach((handle, side) => {
      handle.style.left = `${side ? right : left}px`;
      handle.setAttribute("aria-valuenow", span[side]);
      handle.setAttribute("aria-valuetext", when(span[side]));
    });
    all.hidden = isWhole;
    const ofAll = isStacked ? growthOf(whole) : null;
    const most = ranked.filter(({ kib }) => kib > 0)[0];
    const parts = [`${when(span[0])} to ${when(span[1])}, ${long(times[span[1]] - times[span[0]])}: `];
    if (ofAll) parts.push(make("b", {}, `all ${signed(ofAll.kib)}`), andDaily(ofAll));
    if (most) parts.push(ofAll ? "; most by " : "", make("b", {}, `${labelOf(most.line)} ${signed(most.kib)}`), andDaily(most));
    else if (!ofAll) parts.push("nothing grew");
    said.replaceChildren(...parts);
    const heads = [[isStacked || state.picked.service === undefined ? "service" : "host", ""], ["first", "n"], ["last", "n"], ["growth", "n"], ["a day", "n"], ["restarts", "n"]];
    table.tHead.replaceChildren(make("tr", {}, ...heads.map(([text, css]) => make("th", { scope: "col", class: css }, text))));
    table.tBodies[0].replaceChildren(...ranked.map(rowOf));
  }

  function rowOf(one) {
    const { line } = one, name = labelOf(line);
    const button = line.service === null ? name : make("button", { type: "button", class: "opens" }, name);
    if (line.service !== null) button.addEventListener("click", () => state.toggle(isStacked ? { service: line.service } : { service: line.service, host: line.host }));
    const swatch = make("svg", { class: `swatch ${colours.get(line) ?? "pale"}`, "aria-hidden": "true" }, make("rect", { width: "100%", height: "100%" }));
    const cells = [sizeText(one.first), sizeText(one.last), signed(one.kib), daily(one), one.restarts];
    return make("tr", isPicked(line) ? { class: "picked" } : {}, make("th", { scope: "row" }, swatch, " ", button), ...cells.map((text) => make("td", { class: "n" }, text)));
  }

  function setSpan(first, end, isDone = true) {
    span = [Math.max(0, Math.min(first, end)), Math.min(last, Math.max(first, end))];
    if (span[0] === span[1]) span = [Math.max(span[0] - 1, 0), Math.min(span[1] + 1, last)];
    if (!isDone) return showSpan(rankedLines());  // while the mouse moves the lines stay as they are
    state.pick({ over_time: span[0] === 0 && span[1] === last ? null : span.map((slot) => times[slot]).join("-") });
    return show();
  }

  select.addEventListener("change", () => state.pick({ service: select.value || null, host: null, pid: null, mapping: null }));
  all.addEventListener("click", () => { setSpan(0, last); from.focus(); });

  let start = null;
  field.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const slot = slotAt(event.clientX), handle = [from, to].indexOf(event.target);
    start = handle < 0 ? slot : span[1 - handle];
    field.setPointerCapture(event.pointerId);
    if (handle < 0) event.preventDefault();
  });
  field.addEventListener("pointermove", (event) => {
    const slot = slotAt(event.clientX);
    cursor.style.left = `${x(slot)}px`;
    const known = shown.filter((line) => !Number.isNaN(line.sizes[slot])).sort((one, other) => other.sizes[slot] - one.sizes[slot]).slice(0, 4);
    const sum = isStacked && !Number.isNaN(whole.sizes[slot]) ? `all ${human(whole.sizes[slot])}; ` : "";
    pointed.textContent = `${when(slot)}: ${sum}${known.map((line) => `${labelOf(line)} ${human(line.sizes[slot])}`).join(", ") || "not known"}`;
    if (start !== null && slot !== start) setSpan(start, slot, false);
  });
  const release = () => {
    if (start === null) return;
    start = null;
    setSpan(...span);
  };
  field.addEventListener("pointerup", release);
  field.addEventListener("pointercancel", release);
  [from, to].forEach((handle, side) => handle.addEventListener("keydown", (event) => {
    const far = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -last, End: last }[event.key];
    if (event.key === "Escape") setSpan(0, last);
    else if (far === undefined) return;
    else {
      const next = [...span];
      next[side] = Math.max(side ? span[0] + 1 : 0, Math.min(side ? last : span[1] - 1, span[side] + far));
      setSpan(...next);
    }
    event.preventDefault();
  }));

  state.on((picked) => {
    const [first, end] = (picked.over_time ?? "").split("-").map(Number);
    span = first < end ? [nearest(first), nearest(end)] : [0, last];
    if (span[0] === span[1]) span = [0, last];
    show();
  });
  let before = field.clientWidth;
  new ResizeObserver(() => {
    if (field.clientWidth !== before) {
      before = field.clientWidth;
      show();
    }
  }).observe(field);
}
