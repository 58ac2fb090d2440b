// Hits as cards. Each card is a button: it searches on with that product's picture.

import { $, make, number, plural } from "./dom.js";
import { whyHere } from "./why.js";

const list = $("hits");

const address = (path) => `/pictures/${path.split("/").map(encodeURIComponent).join("/")}`;

/** The picture; of a product that has several, the best, with their number. */
function frame(path, views = 1) {
  const image = path && make("img", { src: address(path), alt: "", loading: "lazy", width: 256, height: 256 });
  image?.addEventListener("error", () => image.remove());
  const several = views > 1 ? make("span", { class: "views" }, plural(views, "view")) : null;
  return make("span", { class: "frame" }, image || null, several);
}

function card({ id, score, source, views, why }, { best, scored, similar, user }) {
  const { title = id, brand, price, image_path: path } = source;
  const button = make(
    "button",
    { type: "button", class: "card", "data-id": id, title: path ? "Find products that look like this" : null },
    frame(path, views),
    make("span", { class: "brand-name" }, brand ?? ""),
    make("span", { class: "title" }, title),
    make(
      "span",
      { class: "facts" },
      make("span", { class: "price" }, typeof price === "number" ? number(price, 2) : ""),
      scored ? make("span", { class: "score", "aria-label": `score ${score.toFixed(3)}` }, score.toFixed(3)) : null,
    ),
    scored ? bar(score / best) : null,
  );
  if (path) button.addEventListener("click", () => similar(address(path), id));
  return make("li", {}, button, why ? whyHere(why, user, score) : null);
}

function bar(share) {
  const meter = make("span", { class: "meter", "aria-hidden": "true" });
  meter.style.setProperty("--share", String(Math.max(0, Math.min(1, share))));
  return meter;
}

/** Id -> where its card is. */
const places = () => new Map([...list.querySelectorAll(".card")].map((card) => [card.dataset.id, card.parentElement.getBoundingClientRect()]));

/** Cards that were there already glide to their new places, unless somebody asked for no motion. */
function glide(before) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const [id, now] of places()) {
    const old = before.get(id);
    if (!old || (old.x === now.x && old.y === now.y)) continue;
    const from = `translate(${old.x - now.x}px, ${old.y - now.y}px)`;
    list.querySelector(`[data-id="${CSS.escape(id)}"]`).parentElement.animate({ transform: [from, "none"] }, { duration: 350, easing: "ease-out" });
  }
}

/** Replace the cards, or `add` to them; returns the first new one. `best` is the score that fills a card's bar. */
export function showHits(hits, { add, ...look }) {
  const cards = hits.map((hit) => card(hit, look));
  const before = places();
  if (!add) list.replaceChildren(...cards);
  else list.append(...cards);
  if (!add) glide(before);
  return cards[0]?.firstElementChild;
}

/** Values of a facet as tiles to start from. */
export function showTiles(values, chosen) {
  list.replaceChildren(
    ...values.map(({ value, count, picture }) => {
      const facts = make("span", { class: "facts" }, make("span", { class: "brand-name" }, plural(count, "product")));
      const tile = make("button", { type: "button", class: "card tile" }, frame(picture), make("span", { class: "title" }, value), facts);
      tile.addEventListener("click", () => chosen(value));
      return make("li", {}, tile);
    }),
  );
}

/** Grey cards for the first wait; a later search dims the cards that are there. */
export function showWaiting() {
  if (list.childElementCount === 0) {
    list.replaceChildren(...Array.from({ length: 12 }, () => make("li", { class: "waiting", "aria-hidden": "true" })));
  }
  $("results").setAttribute("aria-busy", "true");
}

export function showDone() {
  $("results").removeAttribute("aria-busy");
  if (list.firstElementChild?.classList.contains("waiting")) list.replaceChildren();
}

/** Arrow keys, Home and End walk through the cards as they are laid out; Escape closes what explains one. */
list.addEventListener("keydown", (event) => {
  const why = event.target.closest(".why[open]");
  if (event.key === "Escape" && why) {
    why.open = false;
    event.stopPropagation(); // the picture stays
    return;
  }
  const cards = [...list.querySelectorAll(".card")];
  const at = cards.indexOf(document.activeElement);
  if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
  const row = cards.filter((other) => other.offsetTop === cards[0].offsetTop).length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row }[event.key];
  let to = step === undefined ? undefined : at + step;
  if (event.key === "Home") to = 0;
  if (event.key === "End") to = cards.length - 1;
  if (to === undefined) return;
  event.preventDefault();
  if (to < 0 && event.key === "ArrowUp") $("text").focus();
  else cards[Math.max(0, Math.min(to, cards.length - 1))].focus();
});
