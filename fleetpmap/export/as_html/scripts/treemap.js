// Memory as areas that open: a treemap, or the same boxes as a flame graph. data.js, state.js ─► [treemap]
// A node is all leaves that share the texts of its path. Its children are found when they are drawn first.

const section = document.getElementById("s-kinds");
const source = leaves ?? kindsAlone();
if (section && source) whenNear(section, drawn);

/** The totals by kind and mapping, for a fleet with too many processes for leaves. */
function kindsAlone() {
  const table = tableOf(data.treemap && data.treemap.kinds);
  if (!table) return null;
  const [kind, mapping] = ["kind", "mapping"].map((name) => table.column(name));
  return {
    rows: table.rows,
    share: table.share,
    codes: { kind: kind.codes, mapping: mapping.codes },
    names: { kind: kind.names, mapping: mapping.names },
    sizes: (name) => table.column(name).values,
  };
}

function drawn() {
  const ORDERS = {
    host: ["host", "service", "process", "kind", "mapping"],
    service: ["service", "host", "process", "kind", "mapping"],
    kind: ["kind", "mapping", "service", "host", "process"],
    mapping: ["mapping", "service", "host", "process"],
    across: ["service", "mapping", "host", "process"],
  };
  const sizes = source.sizes(source.share);
  const codes = { ...source.codes, process: source.process };
  const count = (key) => source.names[key]?.length ?? 0;
  const LEAST_PEERS = 3;  // a median of fewer says nothing
  const MANY = 40;  // hosts of which few have room for their names: what they hold comes first
  const COLOURS = { kind: "by kind", median: "by distance from the median" };
  const isByMedian = () => state.picked["treemap.color"] === "median";
  const usual = count("host") > MANY ? "across" : count("service") > 1 ? "service" : count("host") > 1 ? "host" : "kind";
  /** The levels of an order; one on which all leaves agree says nothing. */
  const levelsOf = (by) => {
    const known = (ORDERS[by] ?? ORDERS[usual]).filter((key) => codes[key]);
    const telling = known.filter((key) => key === "process" || count(key) > 1);
    return telling.length ? telling : known.slice(-1);
  };
  const root = { text: "all", path: {}, parent: null, depth: 0, rows: Int32Array.from({ length: source.rows }, (_, row) => row) };
  root.kib = sum(root.rows);
  let levels = [], by = "", open = root, boxes = [], focused = null;

  function sum(rows) {
    let kib = 0;
    for (const row of rows) if (sizes[row] > 0) kib += sizes[row];
    return kib;
  }

  function textOf(key, row) {
    if (key === "process") return `${source.text("name", row) ?? "?"} ${source.pid(row)}`;
    return source.names[key][codes[key][row]] ?? "?";
  }

  /** The rows of each code with their sum, without those that have no size: pieces of one array, for speed. */
  function grouped(rows, column) {
    const slots = new Map(), slotOf = new Int32Array(rows.length), counts = [], sums = [];
    rows.forEach((row, at) => {
      if (!(sizes[row] > 0)) return slotOf[at] = -1;
      let slot = slots.get(column[row]);
      if (slot === undefined) {
        slots.set(column[row], slot = counts.length);
        counts.push(0);
        sums.push(0);
      }
      counts[slot]++;
      sums[slot] += sizes[row];
      return slotOf[at] = slot;
    });
    const starts = [0];
    for (const count of counts) starts.push(starts.at(-1) + count);
    const next = Int32Array.from(starts), ordered = new Int32Array(starts.at(-1));
    rows.forEach((row, at) => { if (slotOf[at] >= 0) ordered[next[slotOf[at]]++] = row; });
    return sums.map((kib, slot) => [ordered.subarray(starts[slot], starts[slot + 1]), kib]);
  }

  /** The children of a node, largest first. */
  function childrenOf(node) {
    if (node.children) return node.children;
    const key = levels[node.depth];
    if (!key || !node.rows) return node.children = [];
    node.children = grouped(node.rows, codes[key]).map(([rows, kib]) => {
      const text = textOf(key, rows[0]);
      const own = key === "process" ? { pid: source.pid(rows[0]), host: source.text("host", rows[0]) } : { [key]: text };
      return { key, text, path: { ...node.path, ...own }, own, parent: node, depth: node.depth + 1, rows, kib };
    });
    return node.children.sort((one, other) => other.kib - one.kib);
  }

  /** One node for those without room for a label; it opens like any other. Without a noun they are `(37 more)`. */
  function rest(node, members, noun = "", far = "", step = "") {
    const count = members.length.toLocaleString("en"), short = noun ? `${count} ${noun}` : `(${count})`;
    const kib = members.reduce((all, one) => all + one.kib, 0), text = noun ? short + far : `(${count} more)`;
    return { key: "rest", text, short, step, path: node.path, own: {}, parent: node, depth: node.depth, kib, children: members };
  }

  const NOUNS = { host: "hosts", service: "services", process: "processes", kind: "kinds", mapping: "mappings" };
  /**
   * The children to draw in so many pixels. Those with fewer than `room` are put together: hosts and processes by their
   * colour, so that what is far from the median stays in sight; what is picked stays alone.
   */
  function visible(node, pixels, room, least) {
    const children = childrenOf(node), of = (child) => child.kib / node.kib * pixels, noun = NOUNS[children[0]?.key];
    if (node.key === "rest") {  // opened: all there is room for, but some in any case
      const count = Math.max(children.filter((child) => of(child) >= least).length, FEWEST), left = children.slice(count);
      return left.length > 1 ? [...children.slice(0, count), rest(node, left)] : children;
    }
    if (children.every((child) => of(child) >= room)) return children;
    const groups = new Map(), shown = [], isOfPeers = ["host", "process"].includes(children[0].key);
    for (const child of children) {
      const apart = isOfPeers ? apartOf(child) : null, group = apart ? stepOf(apart) || "near" : "";
      if (isPicked(child) || (group !== "near" && of(child) >= room)) shown.push(child);
      else (groups.get(group) ?? groups.set(group, []).get(group)).push(child);
    }
    for (const [group, members] of groups) {
      const isSmall = members.length > 1 && of(members[members.length >> 1]) < room, isAll = members.length === children.length;
      shown.push(...isSmall ? [rest(node, members, group || isAll ? noun : "", farText(group), group)] : members);
    }
    return shown.sort((one, other) => other.kib - one.kib);
  }

  /** How far from the median the boxes of a colour are. */
  function farText(step) {
    if (step === "near" || !step) return step && " alike";
    const { steps } = data.treemap, slot = Number(step[1]), side = step[0] === "a" ? "above" : "below";
    return steps[slot] ? ` ${steps[slot - 1]} to ${steps[slot]} MiB ${side}` : ` over ${steps[slot - 1]} MiB ${side}`;
  }

  /** Is it a part of all that is picked? */
  function isPicked({ own, path }) {
    const { picked } = state, is = (key) => picked[key] === path[key];
    return Object.keys(own).every(is) && Object.keys(path).every((key) => picked[key] === undefined || is(key));
  }

  // Bruls, Huizing, van Wijk, "Squarified Treemaps" (2000): rows along the shorter side, each closed before its worst
  // aspect ratio grows.
  function squarified(nodes, { x, y, w, h }) {
    const placed = [], total = nodes.reduce((all, node) => all + node.kib, 0);
    const scale = w * h / (total || 1);
    let row = [], area = 0;
    const worst = (side, added) => {
      const whole = area + added, areas = [...row.map((node) => node.kib * scale), ...(added ? [added] : [])];
      return Math.max(side ** 2 * Math.max(...areas) / whole ** 2, whole ** 2 / (side ** 2 * Math.min(...areas)));
    };
    const close = () => {
      const isWide = w >= h, side = isWide ? h : w, thick = side ? area / side : 0;
      let along = isWide ? y : x;
      for (const node of row) {
        const long = thick ? node.kib * scale / thick : 0;
        placed.push({ node, ...(isWide ? { x, y: along, w: thick, h: long } : { x: along, y, w: long, h: thick }) });
        along += long;
      }
      if (isWide) [x, w] = [x + thick, w - thick];
      else [y, h] = [y + thick, h - thick];
      [row, area] = [[], 0];
    };
    for (const node of nodes) {
      const added = node.kib * scale;
      if (row.length && worst(Math.min(w, h), added) > worst(Math.min(w, h), 0)) close();
      row.push(node);
      area += added;
    }
    if (row.length) close();
    return placed;
  }

  const HEAD = 19, DEEPEST = 3, FEWEST = 100;
  const ROOM = 2400, LEAST = 90;  // square pixels of a box with a label, and of any box
  const WIDE = 48, NARROW = 2;  // pixels, the same of a flame graph
  /** Place the boxes of a node in a rectangle, and what they hold in them. */
  function treemap(node, place, depth = 1) {
    return squarified(visible(node, place.w * place.h, ROOM, LEAST), place).flatMap((box) => {
      const inner = { x: box.x + 2, y: box.y + HEAD, w: box.w - 4, h: box.h - HEAD - 2 };
      const isRoom = depth < DEEPEST && inner.w > 60 && inner.h > 30 && box.node.key !== "rest" && childrenOf(box.node).length;
      const boxes = isRoom ? treemap(box.node, inner, depth + 1) : [];
      return [{ ...box, level: depth, isFilled: Boolean(isRoom), note: noteOf(boxes.filter(({ level }) => level === depth + 1)) }, ...boxes];
    });
  }

  /** What is furthest from the median in boxes too small for a label, in words for the box around them: long or short. */
  function noteOf(boxes) {
    const far = boxes.filter(({ node, w, h }) => (w < 60 || h < 15) && stepOf(apartOf(node))).map(({ node }) => [node.text, apartOf(node).kib]);
    if (!far.length) return [];
    const [name, kib] = far.reduce((most, one) => Math.abs(one[1]) > Math.abs(most[1]) ? one : most);
    const short = `${kib > 0 ? "▲" : "▼"} ${name}`;
    return [`${short} ${signed(kib)}`, short];
  }

  /** Place a node's boxes below it, its children below these, and so on: a flame graph that grows downwards. */
  function icicle(node, { x, y, w, h }, level = 0, step = h / Math.max(levels.length - node.depth + 1, 2)) {
    const box = { node, x, y, w, h: step, level };
    if (level >= levels.length - open.depth || (node.key === "rest" && level)) return [box];
    let along = x;
    return [box, ...visible(node, w, WIDE, NARROW).flatMap((child) => {
      const wide = w * child.kib / node.kib, at = along;
      along += wide;
      return icicle(child, { x: at, y: y + step, w: wide, h }, level + 1, step);
    })];
  }

  // How far a box on one host is from the same box on the other hosts that run the service; in processes, from the other
  // processes of it. The steps and the floor are those of the comparison.
  const medians = new Map();
  function apartOf(node) {
    if (node.path.host === undefined || node.key === "rest" || !source.process) return null;
    const { host, pid, ...shared } = node.path, code = codes.host[node.rows[0]];
    if (isPartial[code]) return null;
    const unit = pid === undefined ? "host" : "process";
    const peers = peersOf(unit, shared, unit === "host" && shared.service === undefined ? servicesOf[code] : null);
    return peers.count < LEAST_PEERS ? null : { kib: node.kib - peers.median, ...peers, unit };
  }

  /** By the code of a host: was it read in part, and which services does it run? */
  const isPartial = [], servicesOf = [];
  if (source.process) {
    const partial = new Set(data.treemap.partial);
    isPartial.push(...source.names.host.map((name) => partial.has(name)));
    const sets = source.names.host.map(() => new Set());
    for (let row = 0; row < source.rows; row++) sets[codes.host[row]].add(codes.service[row]);
    servicesOf.push(...sets.map((set) => [...set].sort().join()));
  }

  function peersOf(unit, shared, services) {
    const name = JSON.stringify([unit, shared, services]);
    if (medians.has(name)) return medians.get(name);
    const holds = source.within(shared), runs = source.within(shared.service === undefined ? {} : { service: shared.service });
    const column = codes[unit], held = new Map();
    for (let row = 0; row < source.rows; row++) {
      const host = codes.host[row];
      if (isPartial[host] || (services !== null && servicesOf[host] !== services) || !runs(row)) continue;
      held.set(column[row], (held.get(column[row]) ?? 0) + (sizes[row] > 0 && holds(row) ? sizes[row] : 0));
    }
    const values = Float64Array.from(held.values()).sort(), half = (values.length - 1) / 2;
    const found = { count: values.length, median: (values[Math.floor(half)] + values[Math.ceil(half)]) / 2 };
    medians.set(name, found);
    return found;
  }

  function stepOf(apart) {
    if (!apart) return "";
    const { steps, floor } = data.treemap;
    const step = steps.filter((mib) => Math.abs(apart.kib) > mib * 1024).length;
    return step && Math.abs(apart.kib) > floor * apart.median ? `${apart.kib > 0 ? "a" : "b"}${step}` : "";
  }

  /** The share of each kind in a node, largest first. */
  function kindsOf(node) {
    if (node.kinds) return node.kinds;
    if (node.path.kind !== undefined) return node.kinds = [[node.path.kind, 1]];
    const kinds = new Float64Array(source.names.kind.length);
    for (const { rows } of node.rows ? [node] : node.children) {
      for (const row of rows) if (sizes[row] > 0) kinds[codes.kind[row]] += sizes[row];
    }
    node.kinds = source.names.kind.map((kind, code) => [kind, kinds[code] / node.kib]).filter(([, share]) => share > 0);
    return node.kinds.sort((one, other) => other[1] - one[1]);
  }

  const known = new Set(["heap", "anon", "named-anon", "stack", "thread-stack", "library", "executable", "file", "shm", "hugetlb", "device", "special"]);
  const classOf = (kind) => `k-${known.has(kind) ? kind : "other"}`;
  const colorOf = (kind) => `var(--${classOf(kind)})`;

  /** Bands in proportion, so that a host or a process shows its kinds before it is opened. */
  function bands(kinds) {
    let at = 0;
    const stops = kinds.map(([kind, share]) => `${colorOf(kind)} ${(100 * at).toFixed(1)}% ${(100 * (at += share)).toFixed(1)}%`);
    return `linear-gradient(90deg, ${stops.join(", ")})`;
  }

  function paint(element, { node, isFilled }) {
    if (isByMedian()) {
      element.classList.add((/^[ab]/.test(node.step) ? node.step : stepOf(apartOf(node))) || "none");
      return;
    }
    const kinds = kindsOf(node);
    if (kinds.length > 1 && isFilled) element.classList.add("none");
    else if (kinds.length > 1 && kinds[0][1] < 0.995) element.style.background = bands(kinds);
    else element.classList.add("one", classOf(kinds[0]?.[0]));
  }

  function said(node) {
    const names = [];
    for (let one = node; one.parent; one = one.parent) names.unshift(one.text);
    const share = node.kib / (root.kib || 1);
    const apart = apartOf(node);
    const others = apart && `${apart.count} ${apart.unit === "host" ? "hosts" : "processes"}`;
    const far = !apart ? "" : Math.abs(apart.kib) < 1024 ? `; as the median of ${others}` :
      `; ${human(Math.abs(apart.kib))} ${apart.kib > 0 ? "above" : "below"} the median of ${others}`;
    if (!names.length) return `all: ${human(node.kib)}. A click on a box opens it, and the tables follow.`;
    return `${names.join(" › ")}: ${human(node.kib)}, ${percent(share)} of all${far}`;
  }

  // What stands on the page.
  const map = make("div", { class: "treemap", role: "tree", "aria-labelledby": "h-kinds" });
  const status = make("p", { class: "hint map-said", role: "status" });
  const trail = make("ol", { class: "trail" });
  const legend = make("p", { class: "legend map-legend" });
  const table = make("table", {}, make("caption", { class: "sr" }), make("thead"), make("tbody"));
  const detail = make("details", { class: "map-table" }, make("summary", {}, "As a table"), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The boxes as a table" }, table));

  function choice(label, key, options, initial) {
    const select = make("select", { class: "tool" }, ...Object.entries(options).map(([value, text]) => make("option", { value }, text)));
    select.addEventListener("change", () => state.pick({ [key]: select.value === initial ? null : select.value, ...(key === "treemap.by" ? closed() : {}) }));
    state.on((picked) => { select.value = options[picked[key]] ? picked[key] : initial; });
    return make("label", {}, `${label} `, select);
  }
  const closed = () => ({ treemap: null, ...Object.fromEntries(Object.keys(open.path).map((key) => [key, null])) });
  const orders = new Map();  // by their text: those of one host, or of one service, may be the same
  for (const key of [usual, ...Object.keys(ORDERS)]) if (codes[ORDERS[key][0]] && !orders.has(levelsOf(key).join(" › "))) orders.set(levelsOf(key).join(" › "), key);
  const possible = Object.fromEntries([...orders].map(([text, key]) => [key, text]));
  const tools = make("div", { class: "tools", role: "group", "aria-label": "How the memory is drawn" });
  if (Object.keys(possible).length > 1) tools.append(choice("Order", "treemap.by", possible, usual));
  if (source.process && source.processes.rows >= LEAST_PEERS) tools.append(choice("Colour", "treemap.color", COLOURS, "kind"));
  tools.append(choice("As", "treemap.as", { map: "treemap", flame: "flame graph" }, "map"));
  const fallback = section.querySelector(".static");
  fallback.replaceWith(tools, make("nav", { "aria-label": "Opened boxes" }, trail), map, status, legend, detail);

  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `600 12.5px ${getComputedStyle(map).fontFamily}`;  // that of a box's label

  let paper = null;  // width and height there, in pixels
  whenPrinted(() => { paper = [980, 227]; show(); }, () => { paper = null; show(); });

  function show(from = null) {
    const [width, height] = paper ?? [map.clientWidth, map.clientHeight], hadFocus = map.contains(document.activeElement);
    if (!width) return;
    const place = { x: 0, y: 0, w: width, h: height };
    const isFlame = state.picked["treemap.as"] === "flame";
    boxes = (isFlame ? icicle(open, place) : treemap(open, place)).filter((box) => box.w >= 1 && box.h >= 1);
    map.classList.toggle("flame", isFlame);
    const fragment = document.createDocumentFragment();
    for (const box of boxes) fragment.append(box.element = elementOf(box, isFlame, width, height));
    map.replaceChildren(fragment);
    const reached = boxes.filter(isReached), is = ({ node }) => node === focused || (node.text === focused?.text && node.parent === focused.parent);
    status.textContent = said(open);
    setFocus((reached.find(is) ?? reached[0])?.node ?? null, hadFocus);
    outline();
    showTrail();
    showLegend();
    showTable();
    if (from && !matchMedia("(prefers-reduced-motion: reduce)").matches) grow(from, width, height);
  }

  /** Boxes that the keyboard reaches: those of the first level, and in a flame graph all below the open one. */
  const isReached = (box) => box.level === 1 || (box.level > 1 && map.classList.contains("flame"));
  const opens = (node) => childrenOf(node).length > 0;

  function elementOf(box, isFlame, width, height) {
    const { node, level } = box;
    const element = make("div", { class: `box l${level}` });
    paint(element, box);
    const at = { left: box.x / width, top: box.y / height, width: box.w / width, height: box.h / height };
    for (const [side, share] of Object.entries(at)) element.style[side] = `${(100 * share).toFixed(3)}%`;
    const label = box.h > 14 ? labelOf(node, box.w, box.note ?? []) : [];
    const reached = isReached(box);
    if (reached) {
      const size = human(node.kib), beside = label.slice(1).map((one) => one.textContent ?? one).join("").trim();
      const spoken = `${node.text}: ${[beside, beside.startsWith(size) ? "" : size, percent(node.kib / (open.kib || 1))].filter(Boolean).join(", ")}`;
      const parts = { role: "treeitem", tabindex: "-1", "aria-label": spoken, "aria-level": level, "aria-selected": "false" };
      for (const [name, value] of Object.entries(parts)) element.setAttribute(name, value);
      if (opens(node)) element.setAttribute("aria-expanded", "false");
    } else element.setAttribute("aria-hidden", "true");
    if (label.length) element.append(make("span", reached ? { "aria-hidden": "true" } : {}, ...label));
    return element;
  }

  /** What fits into a box: name, size and note; less of it; what it does not have in common with its neighbours; nothing. */
  function labelOf(node, room, note) {
    const fits = (text) => pen.measureText(text).width + 12 < room;
    const { text } = node, size = human(node.kib), own = node.key === "rest" ? text : text.slice(commonOf(node.parent));
    for (const words of note) {
      if (fits(`${text} ${size}  ${words}`)) return [text, " ", make("b", {}, size), " ", make("b", { class: "note" }, words)];
      if (fits(`${text}  ${words}`)) return [text, " ", make("b", { class: "note" }, words)];
    }
    if (fits(`${text} ${size}`)) return [text, " ", make("b", {}, size)];
    const short = [text, node.short ?? `…${own}`, own].find(fits);
    return short && room <= 120 ? [short] : room > 56 ? [text] : [];
  }

  /** The length of what all children's names begin with: web- of web-007 and web-008. */
  function commonOf(parent) {
    if (parent === null) return 0;
    if (parent.common === undefined) {
      const texts = childrenOf(parent).map((child) => child.text), [first] = texts;
      let length = 0;
      while (length < first.length && texts.every((text) => text[length] === first[length])) length++;
      parent.common = texts.length > 1 ? first.slice(0, length).replace(/[0-9]+$/, "").length : 0;
    }
    return parent.common;
  }

  /** Let the opened box grow to the whole map. */
  function grow(from, width, height) {
    const small = `translate(${from.x}px, ${from.y}px) scale(${from.w / width}, ${from.h / height})`;
    map.animate([{ transform: small, transformOrigin: "0 0", opacity: 0.3 }, { transform: "none", transformOrigin: "0 0", opacity: 1 }], { duration: 180, easing: "ease-out" });
  }

  function setFocus(node, moves = true) {
    for (const box of boxes) if (isReached(box)) box.element.tabIndex = box.node === node ? 0 : -1;
    focused = node;
    const box = boxes.find((one) => one.node === node);
    if (moves && box) {
      box.element.focus({ preventScroll: true });
      status.textContent = said(node);
    }
  }

  const namesOf = (node) => {
    const names = [];
    for (let one = node; one.parent; one = one.parent) if (one.key !== "rest") names.unshift(one.text);
    return names;
  };

  /** Open a node: its path is picked, so that the tables follow, and what an inner box had picked is not. */
  function go(node, from = null) {
    const before = open;
    if (!opens(node)) return state.toggle(node.own);
    [open, isOurs] = [node, true];
    const names = namesOf(node);
    const gone = Object.keys(before.path).filter((key) => !(key in node.path));
    written = names.length ? JSON.stringify(names) : null;
    state.pick({ ...Object.fromEntries(gone.map((key) => [key, null])), ...node.path, treemap: written });
    isOurs = false;
    focused = node === before.parent ? before : null;
    show(from);
  }

  let written = null, isOurs = false;
  /** Follow what is picked, here or elsewhere, and in the address. */
  function follow(picked, before) {
    if (isOurs) return;
    const next = ORDERS[picked["treemap.by"]] ? picked["treemap.by"] : usual;
    const isChanged = (key) => picked[key] !== before[key];
    if (next !== by) {
      [by, levels, open, written] = [next, levelsOf(next), root, null];
      root.children = null;
    } else if (!["treemap", "treemap.color", "treemap.as"].some(isChanged)) {
      if (boxes.some(({ node }) => node.key === "rest")) show();  // what is picked has a box of its own
      else outline();
      return;
    }
    if ((picked.treemap ?? null) !== written) {
      written = picked.treemap ?? null;
      open = nodeAt(written);
    }
    show();
  }

  /** The node of a path in the address; as far as there is one. */
  function nodeAt(text) {
    let names = [], node = root;
    try {
      names = JSON.parse(text ?? "[]");
    } catch {
      return root;
    }
    for (const name of Array.isArray(names) ? names : []) {
      const child = childrenOf(node).find((one) => one.text === name);
      if (!child || !opens(child)) break;
      node = child;
    }
    return node;
  }

  /** Mark the boxes that are picked: those that agree with most of it, and have a part of it as their own. */
  function outline() {
    const { picked } = state;
    const agreed = boxes.map(({ node }) => {
      const keys = Object.keys(node.path).filter((key) => picked[key] !== undefined);
      const isOwn = picked[node.key === "process" ? "pid" : node.key] !== undefined;
      return isOwn && keys.every((key) => picked[key] === node.path[key]) ? keys.length : 0;
    });
    const most = Math.max(1, ...agreed);
    boxes.forEach(({ element, level }, slot) => {
      const isPicked = level > 0 && agreed[slot] === most;
      element.classList.toggle("picked", isPicked);
      if (element.hasAttribute("aria-selected")) element.setAttribute("aria-selected", isPicked);
    });
  }

  function showTrail() {
    const nodes = [];
    for (let node = open; node; node = node.parent) nodes.unshift(node);
    trail.replaceChildren(...nodes.map((node) => {
      const button = make("button", { type: "button", class: "tool", title: node.text, ...(node === open ? { "aria-current": "true" } : {}) }, node.text, " ", make("b", {}, human(node.kib)));
      button.addEventListener("click", () => go(node));
      return make("li", {}, button);
    }));
  }

  function showLegend() {
    if (isByMedian()) {
      const { steps } = data.treemap;
      const above = steps.map((mib, slot) => make("span", { class: `a${slot + 1}` }, `${mib}${slot ? "" : " MiB above"}`));
      const below = steps.map((mib, slot) => make("span", { class: `b${slot + 1}` }, `${mib}${slot ? "" : " MiB below"}`));
      legend.replaceChildren(...below.reverse(), make("span", {}, "the median of the hosts that run the same"), ...above,
        make("span", { class: "hint" }, `no colour: near the median, or fewer than ${LEAST_PEERS} to compare`));
      return;
    }
    legend.replaceChildren(...kindsOf(open).map(([kind, share]) => make("span", { class: `one ${classOf(kind)}` }, `${kind} ${percent(share)}`)));
  }

  const MOST_ROWS = 200;
  function showTable() {
    if (!detail.open) return;
    const children = childrenOf(open), shown = children.slice(0, MOST_ROWS), left = children.slice(MOST_ROWS);
    table.caption.textContent = said(open);
    const what = children[0]?.key ?? "mapping";
    table.tHead.replaceChildren(make("tr", {}, ...[[what, ""], [source.share, "n"], ["share", "n"], ["from the median", "n"]].map(([text, css]) => make("th", { scope: "col", class: css }, text))));
    table.tBodies[0].replaceChildren(...[...shown, ...(left.length ? [rest(open, left)] : [])].map((node) => {
      const apart = apartOf(node);
      const name = opens(node) ? make("button", { type: "button", class: "opens" }, node.text) : node.text;
      if (opens(node)) name.addEventListener("click", () => go(node));
      return make("tr", {}, make("th", { scope: "row" }, name), ...[Math.round(node.kib).toLocaleString("en"), percent(node.kib / (open.kib || 1)), apart ? signed(Math.round(apart.kib)) : ""].map((text) => make("td", { class: "n" }, text)));
    }));
  }
  detail.addEventListener("toggle", showTable);

  const boxOf = (target) => boxes.find((box) => box.element === target.closest(".box"));
  map.addEventListener("click", (event) => {
    const box = boxOf(event.target);
    if (!box) return;
    if (box.node === open) return go(open.parent ?? open);
    go(box.node, box);
  });
  map.addEventListener("pointerover", (event) => {
    const box = boxOf(event.target);
    if (box) status.textContent = said(box.node);
  });
  map.addEventListener("pointerleave", () => { status.textContent = said(focused && map.contains(document.activeElement) ? focused : open); });
  map.addEventListener("focusin", () => { if (focused) status.textContent = said(focused); });

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  map.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const box = boxes.find((one) => one.node === focused);
    if (ARROWS[event.key] && box) setFocus((next(box, ARROWS[event.key]) ?? box).node);
    else if ((event.key === "Enter" || event.key === " ") && box) go(box.node, box);
    else if ((event.key === "Backspace" || event.key === "Escape") && open.parent) go(open.parent);
    else if (event.key === "Home" || event.key === "End") setFocus(boxes.filter(isReached).at(event.key === "Home" ? 0 : -1).node);
    else return;
    event.preventDefault();
  });

  /** The nearest box on that side. */
  function next(box, [right, down]) {
    const middle = ({ x, y, w, h }) => [x + w / 2, y + h / 2];
    const [x, y] = middle(box);
    const far = (other) => {
      const [ox, oy] = middle(other);
      const ahead = (ox - x) * right + (oy - y) * down, aside = Math.abs((ox - x) * down) + Math.abs((oy - y) * right);
      return ahead > 0.5 ? ahead + 2 * aside : Infinity;
    };
    const others = boxes.filter((other) => isReached(other) && far(other) < Infinity);
    return others.reduce((best, other) => (best && far(best) <= far(other) ? best : other), null);
  }

  state.on(follow);
  let width = map.clientWidth;
  new ResizeObserver(() => {
    if (map.clientWidth !== width) {
      width = map.clientWidth;
      show();
    }
  }).observe(map);
}
