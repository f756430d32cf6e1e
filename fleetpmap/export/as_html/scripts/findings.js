// Findings as links, and the bar of what is picked. state, data ─► [findings]

const NAMES = { host: "host", service: "service", pid: "pid", name: "process", mapping: "mapping", kind: "kind" };

const items = [...document.querySelectorAll(".findings > ul > li")];
items.forEach((item, index) => {
  const keys = data.findings[index], text = item.querySelector(".text");
  if (!Object.keys(keys).length) return;
  const picks = { ...Object.fromEntries(KEYS.map((key) => [key, null])), ...keys, finding: index };
  const link = made("a", "text", text.childNodes, { href: state.link({ ...keys, finding: index }) });
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (state.picked.finding === String(index)) state.clear();
    else state.pick(picks);
  });
  text.replaceWith(link);
});

const chips = made("span", "chips");
const clear = made("button", "tool", ["Clear"], { type: "button" });
const link = made("button", "tool", ["Copy link"], { type: "button" });
const said = made("output", "said");
const places = made("span", "places", ["Go to "], {});
for (const section of document.querySelectorAll("main > section[id]")) {
  places.append(made("a", "", [section.dataset.short ?? section.id], { href: `#${section.id}` }), " ");
}
const bar = made("div", "pickbar", [chips, clear, link, said, places], { role: "region", "aria-label": "Picked" });
bar.hidden = true;
document.querySelector("main").before(bar);

clear.addEventListener("click", () => state.clear());
link.addEventListener("click", async () => {
  await copied(location.href);
  said.textContent = "link copied";
});
// An anchor would take the place of what is picked in the address.
places.addEventListener("click", (event) => {
  const to = event.target.closest("a");
  if (!to) return;
  event.preventDefault();
  document.getElementById(to.hash.slice(1)).scrollIntoView();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && !event.target.closest("input, details[open]")) state.clear();
});

state.on((picked) => {
  items.forEach((item, index) => {
    const isPicked = picked.finding === String(index);
    item.classList.toggle("picked", isPicked);
    const link = item.querySelector("a.text");
    if (isPicked) link?.setAttribute("aria-current", "true");
    else link?.removeAttribute("aria-current");
  });
  const keys = KEYS.filter((key) => picked[key] !== undefined);
  chips.replaceChildren(...keys.map((key) => {
    const chip = made("button", "tool chip", [`${NAMES[key]} `, made("b", "", [picked[key]]), " ×"], { type: "button", title: picked[key], "aria-label": `${NAMES[key]} ${picked[key]}: remove` });
    chip.addEventListener("click", () => {
      state.clear([key]);
      clear.focus();
    });
    return chip;
  }));
  bar.hidden = keys.length === 0;
  said.textContent = "";
  document.documentElement.classList.toggle("is-picked", keys.length > 0);
});
