// In whose order hits come, how much that counts, and whether what is clicked on is kept for the next search.

import { $, make } from "./dom.js";

/** The controls of it; `changed()` tells that somebody used them. */
export function personPicker(changed) {
  let user = "";
  let weight = null; // of preference, 0 to 1, once the slider was moved; before that the configured one holds
  let ranking; // what the server says; null: nothing is ranked here, undefined: it has not said yet

  function refresh() {
    const offered = ranking?.people ?? [];
    const names = user && !offered.includes(user) ? [...offered, user] : offered;
    const options = names.map((name) => make("option", { value: name }, name));
    $("user").replaceChildren($("user").firstElementChild, ...options);
    $("user").value = user;
    $("people").hidden = !ranking || names.length === 0;
    if (weight === null) $("preference").value = Math.round((ranking?.weight ?? 0.6) * 100);
    $("preference").disabled = !user;
    $("keep").disabled = !offered.includes(user);
    $("keeping").hidden = !ranking?.keeps_views;
    tell();
  }

  function tell() {
    const share = Number($("preference").value);
    $("preference-value").textContent = `${share} %`;
    $("preference").setAttribute("aria-valuetext", `${share} % preference, ${100 - share} % relevance`);
    const kept = !$("keep").disabled && $("keep").checked;
    $("kept").textContent = kept ? `Products that you open are kept as views of ${user}. To delete all of them: neuralshelf interactions forget ${user}` : "";
  }

  $("user").addEventListener("change", () => {
    user = $("user").value;
    refresh();
    changed();
  });
  $("preference").addEventListener("input", tell);
  $("preference").addEventListener("change", () => {
    weight = Number($("preference").value) / 100;
    changed();
  });
  $("keep").addEventListener("change", tell);

  return {
    /** Of a question. */
    parameters() {
      if (!user || ranking === null) return {};
      return weight === null ? { user } : { user, user_weight: weight };
    },
    /** Choose, as the address says. */
    set(chosen) {
      user = chosen.user ?? "";
      weight = chosen.user_weight ?? null;
      if (weight !== null) $("preference").value = Math.round(weight * 100);
      refresh();
    },
    /** What /api/status says of ranking. */
    show(found) {
      ranking = found;
      refresh();
    },
    /** Whose views are kept; null for nobody's. */
    kept: () => ($("keep").checked && !$("keep").disabled && ranking?.keeps_views ? user : null),
  };
}
