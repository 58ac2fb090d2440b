// What the page's address says: ?q=red+teapot&colour=red&price_max=40

/** {text, filters} of the address. */
export function readAddress() {
  const link = new URLSearchParams(location.search);
  const filters = {};
  for (const name of new Set(link.keys())) {
    if (name === "q") continue;
    const bound = /_(min|max)$/.test(name);
    if (!bound) filters[name] = link.getAll(name);
    else if (link.get(name) !== "" && Number.isFinite(Number(link.get(name)))) filters[name] = Number(link.get(name));
  }
  return { text: link.get("q") ?? "", filters };
}

/** Write them there, as a new entry of the history when they changed. */
export function writeAddress({ text, filters }) {
  const link = new URLSearchParams(text ? { q: text } : {});
  for (const [name, value] of Object.entries(filters)) {
    for (const item of [value].flat()) link.append(name, item);
  }
  const address = link.size ? `/?${link}` : "/";
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
}
