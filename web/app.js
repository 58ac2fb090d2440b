// The search page: one question at a time, the latest wins.

import { readAddress, writeAddress } from "./address.js";
import * as api from "./api.js";
import { $, make, plural } from "./dom.js";
import { filterPanel } from "./filters.js";
import { objectPicker } from "./objects.js";
import { personPicker } from "./people.js";
import { picturePicker } from "./picture.js";
import { hideRequest, showRequest } from "./request.js";
import { showDone, showHits, showTiles, showWaiting } from "./results.js";

const PAGE_SIZE = 24;
const EXAMPLES = ["red teapot", "wine glass", "something to sit on in the garden", "keeps the sun off my head"];

let image = ""; // base64 of the question's picture
let crop = null; // base64 of the part of it that is searched with; null for all of it
let weight = null; // 0 to 1 once the slider was moved; before that the configured weights hold
let about = { index: "products", search_url: null, vector_weight: 0.7, picture_vector_weight: 0.7 };
let kinds = []; // what the start page offers to look around in
let asked = null; // the question whose hits are shown, and how many there are
let running = null; // AbortController of the question under way

const filters = filterPanel(() => ask());
const person = personPicker(() => ask());
const picture = picturePicker({
  taken(base64, { url, preselect = true }) {
    image = base64;
    crop = null;
    ask();
    objects.look({ image, url, preselect });
  },
  removed() {
    image = "";
    crop = null;
    objects.hide();
    ask();
  },
  failed: (fault) => notify(fault.message, fault.hint),
});

const objects = objectPicker({
  chosen(base64) {
    crop = base64;
    ask();
  },
  failed: (fault) => notify(fault.message, fault.hint),
});

function question() {
  const asks = { text: $("text").value.trim(), image: crop ?? image, part: crop !== null, filters: filters.parameters(), size: PAGE_SIZE };
  if (weight !== null) asks.vector_weight = weight;
  return { ...asks, ...person.parameters() };
}

const isEmpty = ({ text, image, filters }) => !text && !image && Object.keys(filters).length === 0;

/** Ask what the page says now; `again` when it says what the address says. */
async function ask({ again = false } = {}) {
  const asks = question();
  if (!again) {
    notify(null);
    writeAddress(asks);
  }
  document.title = asks.text ? `${asks.text} · neuralshelf` : "neuralshelf";
  $("weight").disabled = !asks.text;
  restWeight();
  if (isEmpty(asks)) return start();
  document.body.dataset.view = "results";
  const answer = await send(asks);
  if (!answer) return;
  const { hits } = answer;
  asked = { ...asks, keyword_only: answer.keyword_only, ranked: answer.ranked, best: Math.max(1, ...hits.map((hit) => hit.score ?? 0)) };
  asked.scored = Boolean(asks.text || asks.image);
  asked.from = hits.length;
  showHits(hits, { ...asked, similar });
  $("more").hidden = !answer.more;
  showRequest(answer.body, about.search_url, about.index);
  $("summary").textContent = hits.length ? `${counted(answer)} ${manner(asked)} in ${answer.took} ms${order(answer, asked)}` : "";
  if (!hits.length) notify("No product fits.", "Try other words, or take away a filter.");
}

async function more() {
  const answer = await send(asked);
  if (!answer) return;
  const same = answer.keyword_only === asked.keyword_only && (asked.keyword_only || answer.ranked === asked.ranked);
  if (!same) return ask({ again: true }); // models or ranker went away meanwhile
  asked.from += answer.hits.length;
  showHits(answer.hits, { ...asked, similar, add: true })?.focus();
  $("more").hidden = !answer.more;
  showRequest(answer.body, about.search_url, about.index);
}

/** The answer, or null when it failed (the page says why) or a newer question took over. */
async function send({ text, image, filters, size, vector_weight, user, user_weight, keyword_only, from }) {
  running?.abort();
  const mine = (running = new AbortController());
  const asks = { text, image, filters, size, vector_weight, user, user_weight, keyword_only, from };
  showWaiting();
  if (!keyword_only) notify(null);
  try {
    const answer = await api.search(asks, mine.signal);
    warn(answer, asks);
    return answer;
  } catch (fault) {
    if (fault.name === "AbortError") return null;
    if (!(fault instanceof api.Failure)) throw fault;
    clear();
    notify(fault.message, fault.hint, { retry: !["refused", "bad_request"].includes(fault.code) });
    return null;
  } finally {
    if (running === mine) {
      running = null;
      showDone();
    }
  }
}

/** Say in what the answer is less than what was asked for. */
function warn({ degraded, ranked }, { image, user }) {
  const why = (verb) => `See why with: neuralshelf ${verb}`;
  if (degraded) {
    const reason = degraded.replaceAll("'", "’");
    const missing = ranked === 0 ? `, not in the order of ${user}` : "";
    notify(`${reason}: these hits are by keywords alone${missing}.`, (image ? "Your picture was left out. " : "") + why("status"));
  } else if (ranked === 0) notify("The ranker gave no order: these hits are in the order of the search.", why("doctor"));
}

const counted = ({ total, at_least }) => (at_least ? "more than " : "") + plural(total, "product");

/** One line and its next step; null takes it away. */
function notify(message, hint = "", { retry = false } = {}) {
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const sentence = capital(message ?? "").replace(/[^.!?:…]$/, "$&.");
  const button = retry && make("button", { type: "button", onclick: load }, "Retry");
  $("notice").replaceChildren(...(message ? [make("strong", {}, sentence), ` ${capital(hint)} `, button || ""] : []));
  $("notice").hidden = !message;
}

function clear() {
  asked = null;
  showHits([], {});
  hideRequest();
  $("more").hidden = true;
  $("summary").textContent = "";
}

/** Nothing is asked for: offer the kinds of things there are. */
function start() {
  running?.abort();
  document.body.dataset.view = "start";
  clear();
  showDone();
  if (about.products === 0) notify("The catalogue is empty.", "Fill it with: neuralshelf ingest FILE.jsonl", { retry: true });
  if (!kinds.length) return;
  $("summary").textContent = "Or look around";
  showTiles(kinds, (value) => {
    filters.set({ kind: [value] });
    ask();
    $("results").focus();
  });
}

function manner({ text, image, part, keyword_only }) {
  if (keyword_only) return "by keywords";
  const picture = part ? "part of the picture" : "picture";
  if (text && image) return `by text and ${picture}`;
  return text ? "by text" : image ? `by ${picture}` : "in the catalogue";
}

/** In whose order hits come, where somebody was chosen. */
function order({ hits, ranked, total }, { user }) {
  if (!ranked) return "";
  if (hits[0].why.weight === 0) return ", in the order of the search";
  const alike = hits.every(({ why }) => Math.abs(why.preference - 0.5) < 0.005);
  if (alike) return `, in the order of the search: ${user} likes all of these alike`;
  return `, ${total > ranked ? `the first ${ranked} ` : ""}in the order of ${user}`;
}

/** Search with the picture of a product: the very bytes that were indexed. */
async function similar(path, id) {
  const user = person.kept(); // the search that follows knows it already
  const lost = user && (await api.keepView({ user, id }).then(() => null, (fault) => fault));
  const response = await fetch(path).catch(() => null);
  if (!response?.ok) return notify("That picture can’t be loaded.", "Choose another product.");
  $("text").value = "";
  filters.set({});
  scrollTo({ top: 0 });
  const blob = await response.blob();
  await picture.take(new File([blob], path.split("/").at(-1), { type: blob.type }), { preselect: false });
  if (lost) notify(lost.message, lost.hint);
}

function showWeight() {
  const share = Number($("weight").value);
  $("weight-value").textContent = `${share} %`;
  $("weight").setAttribute("aria-valuetext", `${share} % vectors, ${100 - share} % keywords`);
}

/** The slider that nobody has moved stands where the configuration has it, for such a question. */
function restWeight() {
  const configured = image ? about.picture_vector_weight : about.vector_weight;
  if (weight === null) $("weight").value = Math.round(configured * 100);
  showWeight();
}

/** Learn what there is, then ask what the address says. */
async function load() {
  notify(null);
  try {
    about = await api.status();
    objects.enable(Boolean(about.objects));
    person.show(about.ranking);
    restWeight();
    if (about.error) throw new api.Failure(about.error, about.hint);
    $("about").replaceChildren(plural(about.products, "product"), make("span", {}, ` · OpenSearch ${about.engine}`));
    const facets = await api.facets();
    kinds = (facets.values.kind ?? []).filter(({ picture }) => picture);
    filters.show(facets);
    const typing = $("text").value !== readAddress().text;
    if (!running && !asked && !typing) await ask({ again: true }); // else somebody was quicker than this
  } catch (fault) {
    if (!(fault instanceof api.Failure)) throw fault;
    clear();
    notify(fault.message, fault.hint, { retry: true });
  }
}

function takeAddress() {
  const { text, filters: chosen, ...who } = readAddress();
  $("text").value = text;
  filters.set(chosen);
  person.set(who);
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
$("weight").addEventListener("input", showWeight);
$("weight").addEventListener("change", () => {
  weight = Number($("weight").value) / 100;
  if (asked?.text) ask();
});
$("more").addEventListener("click", more);
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown") return;
  event.preventDefault();
  $("hits").querySelector("button")?.focus();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox], [type=range]), textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    $("text").focus();
    $("text").select();
  } else if (event.key === "Escape" && (objects.whole() || picture.remove())) {
    event.preventDefault();
    $("text").focus();
  }
});
addEventListener("popstate", () => {
  notify(null);
  takeAddress();
  ask({ again: true });
});

$("examples").append(
  ...EXAMPLES.map((text) =>
    make("button", { type: "button", onclick: () => (($("text").value = text), ask()) }, text),
  ),
);
showWeight();
takeAddress();
await load();
