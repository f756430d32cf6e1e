// A list of the versions that stand beside this one. docs/site/publish.py writes versions.json into the directory above a
// version; a site that was built alone has none, and shows no list.
(async () => {
  const here = document.querySelector(".versions");
  const root = document.documentElement.dataset.content_root || "./";
  const answer = await fetch(new URL(`${root}../versions.json`, location.href)).catch(() => null);
  if (!here || !answer || !answer.ok) return;
  const current = new URL(root, location.href).pathname.split("/").at(-2);
  const list = document.createElement("select");
  list.setAttribute("aria-label", "Version");
  for (const version of await answer.json()) {
    const option = new Option(version.name, version.name, false, version.name === current);
    list.append(option);
  }
  list.onchange = () => location.assign(new URL(`${root}../${list.value}/`, location.href));
  here.append(list);
})();
