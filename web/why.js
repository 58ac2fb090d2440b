// Why a hit stands where it stands in somebody's order: the parts of its score, in numbers and in words.

import { make } from "./dom.js";

const percent = (share) => `${Math.round(share * 100)} %`;

/** `reason`: {search, relevance, preference, weight} of the hit. */
export function whyHere({ search, relevance, preference, weight }, user, score) {
  const rows = [
    ["Relevance", relevance === null ? "–" : percent(relevance), `how well it fits the question: the search gave it ${search.toFixed(3)}`],
    ["Preference", percent(preference), `how much ${user} likes such products; 50 % is as much as any`],
    ["Weight", percent(weight), "of preference; the rest is relevance"],
    ["Score", score.toFixed(3), mean(relevance, preference, weight)],
  ];
  return make(
    "details",
    { class: "why", name: "why" }, // one open at a time
    make("summary", {}, make("span", {}, "Why here"), make("span", { class: "liked" }, `${percent(preference)} liked`)),
    make("dl", {}, ...rows.map(([name, value, words]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("b", {}, value), ` ${words}`)))),
  );
}

function mean(relevance, preference, weight) {
  if (relevance === null) return "is the preference; among equals, the order of the search";
  return `= ${percent(relevance)} ^ ${(1 - weight).toFixed(2)} × ${percent(preference)} ^ ${weight.toFixed(2)}: what is low in one of them stays down`;
}
