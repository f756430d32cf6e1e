// What the reader has picked, kept in the address. [state] ─► every other script
// Keys that all sections know: host, service, pid, mapping, kind, finding. A section's own key begins with its name.
"use strict";

/** The keys of a leaf, by which a reader picks. */
const KEYS = ["host", "service", "pid", "name", "mapping", "kind"];

const state = (() => {
  const listeners = [];
  let picked = read();

  /** Return what the address says; an anchor such as #coverage says nothing of it, and then null. */
  function fromAddress() {
    const text = location.hash.slice(1);
    return text && !text.includes("=") ? null : Object.fromEntries(new URLSearchParams(text));
  }

  function read() {
    return Object.freeze(fromAddress() ?? {});
  }

  function tell(next) {
    const before = picked;
    picked = Object.freeze(next);
    for (const listener of listeners) listener(picked, before);
  }

  addEventListener("hashchange", () => {
    const next = fromAddress();
    if (next && addressOf(next) !== addressOf(picked)) tell(next);
  });

  function addressOf(parts) {
    return new URLSearchParams(Object.entries(parts).sort()).toString();
  }

  return {
    get picked() { return picked; },
    /** Change some keys, null to remove one: `state.pick({host: "web-07", pid: null})`. */
    pick(change) {
      const next = { ...picked, ...change };
      // A pid is that of one host, and a finding that of its keys.
      if ("host" in change && change.host !== picked.host && !("pid" in change)) next.pid = null;
      if (KEYS.some((key) => key in change) && !("finding" in change)) next.finding = null;
      for (const key of Object.keys(next)) if (next[key] === null || next[key] === undefined) delete next[key];
      for (const key of Object.keys(next)) next[key] = String(next[key]);
      if (addressOf(next) === addressOf(picked)) return;
      tell(next);
      history.pushState(null, "", `#${addressOf(next)}`);
    },
    /** Pick these keys; if they all are picked, remove them. */
    toggle(change) {
      const isPicked = Object.keys(change).every((key) => picked[key] === String(change[key]));
      this.pick(isPicked ? Object.fromEntries(Object.keys(change).map((key) => [key, null])) : change);
    },
    /** Remove everything, or only these keys. */
    clear(keys = Object.keys(picked)) {
      this.pick(Object.fromEntries(keys.map((key) => [key, null])));
    },
    /** Call `listener(picked, before)` now and after each change. */
    on(listener) {
      listeners.push(listener);
      listener(picked, {});
    },
    /** Return a link to the page with these keys in place of what is picked. */
    link: (parts) => `#${addressOf(parts)}`,
  };
})();
