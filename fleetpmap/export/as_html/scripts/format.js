// Numbers and sizes as texts, as the program writes them. [format] ─► the other scripts

const grouping = new Intl.NumberFormat("en");
const collator = new Intl.Collator("en", { numeric: true });

/** A size with one decimal and a binary suffix: 412.0M; below 1 MiB in whole K. */
function human(kib) {
  if (Math.abs(kib) < 1024) return `${Math.round(kib)}K`;
  let size = kib, suffix = 0;
  while (Math.abs(size) >= 1023.95 && suffix < 4) {
    size /= 1024;
    suffix += 1;
  }
  return `${size.toFixed(1)}${"KMGTP"[suffix]}`;
}

/** A size that may be unknown. */
const sizeText = (kib) => (Number.isNaN(kib) ? "?" : human(kib));

/** A difference in KiB with its sign: +412.0M. */
const signed = (kib) => (kib > 0 ? `+${human(kib)}` : sizeText(kib));

/** A share from 0 to 1 in percent: 36.1 %. */
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** The text of a number in a column of this unit. */
function numberText(unit, value) {
  if (unit === "number") return String(value);
  if (unit === "percent") return `${value.toFixed(1)}%`;
  if (unit === "flag") return value ? "yes" : "no";
  return (unit === "delta" && value > 0 ? "+" : "") + grouping.format(value);
}

/** Make an element: `make("b", {class: "sum"}, "412.0M", other)`. Texts never become markup. */
function make(tag, attributes = {}, ...children) {
  const element = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const SVG = new Set(["svg", "path", "rect", "line", "g", "text", "circle", "title"]);

/** The same for an element that has a class, or none (""), and mostly other elements in it. */
const made = (tag, css, children = [], attributes = {}) => make(tag, css ? { class: css, ...attributes } : attributes, ...children);

/**
 * Make what belongs to an element: at once when it comes near the screen or is printed, else when the browser has time, one
 * after the other, so that the first screen is drawn at once and answers keys. The page has the class `ready` when all are.
 */
const whenNear = (() => {
  const areShown = Promise.all(document.getAnimations().map((one) => one.finished));  // the sections, in the second frame: page.css
  const waiting = [], idle = window.requestIdleCallback ?? ((step) => setTimeout(step, 20));
  const next = () => {
    if (!waiting.length) return end();
    waiting[0]();
    idle(next);
  };
  let isMoved = false;
  for (const by of ["wheel", "touchmove", "keydown", "pointerdown"]) addEventListener(by, () => { isMoved = true; }, { once: true, passive: true });
  const end = () => {
    document.documentElement.classList.add("ready");
    // The parts above it have their heights only now.
    if (!isMoved) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  };
  addEventListener("load", () => areShown.then(() => idle(next)));
  addEventListener("beforeprint", () => {
    while (waiting.length) waiting[0]();
    document.documentElement.classList.add("ready");
  });
  return (element, make) => {
    const begin = () => {
      sight.disconnect();
      waiting.splice(waiting.indexOf(begin), 1);
      make();
    };
    const sight = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting) && waiting.includes(begin)) begin();
    }, { rootMargin: "400px" });
    waiting.push(begin);
    areShown.then(() => sight.observe(element));
  };
})();

/** Call `before` when the page is about to be printed and all its parts are made, and `after` when it was. */
const whenPrinted = (() => {
  const parts = [];
  addEventListener("beforeprint", () => { for (const { before } of parts) before(); });
  addEventListener("afterprint", () => { for (const { after } of parts) after(); });
  return (before, after) => parts.push({ before, after });
})();

/** Put a text into the clipboard. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // a page that was opened from a folder may not be allowed to
    const area = made("textarea", "sr", [], { "aria-hidden": "true" });
    document.body.append(area);
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

// Row headers stay in sight in what is scrolled aside.
addEventListener("scroll", ({ target }) => target.classList?.toggle("aside", target.scrollLeft > 0), { capture: true, passive: true });
