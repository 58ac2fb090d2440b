// What the page's address says: ?q=red+teapot&colour=red&price_max=40&user=host&user_weight=0.7

const OURS = ["q", "user", "user_weight"]; // all others are filters

/** {text, filters, user, user_weight} of the address; `user_weight` is null when it says none from 0 to 1. */
export function readAddress() {
  const link = new URLSearchParams(location.search);
  const filters = {};
  for (const name of new Set(link.keys())) {
    if (OURS.includes(name)) continue;
    const bound = /_(min|max)$/.test(name);
    if (!bound) filters[name] = link.getAll(name);
    else if (link.get(name) !== "" && Number.isFinite(Number(link.get(name)))) filters[name] = Number(link.get(name));
  }
  const weight = Number(link.get("user_weight") || NaN);
  return { text: link.get("q") ?? "", filters, user: link.get("user") ?? "", user_weight: weight >= 0 && weight <= 1 ? weight : null };
}

/** Write them there, as a new entry of the history when more changed than the weight. */
export function writeAddress({ text, filters, user, user_weight }) {
  const link = new URLSearchParams(text ? { q: text } : {});
  for (const [name, value] of Object.entries(filters)) {
    for (const item of [value].flat()) link.append(name, item);
  }
  if (user) link.set("user", user);
  const before = new URLSearchParams(location.search);
  before.delete("user_weight");
  const same = String(before) === String(link);
  if (user && user_weight != null) link.set("user_weight", user_weight);
  const address = link.size ? `/?${link}` : "/";
  if (address === location.pathname + location.search) return;
  if (same) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
}
