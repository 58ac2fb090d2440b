// Filters: a group of boxes for each keyword field, two numbers for each number field.

import { $, make, number } from "./dom.js";

const FIRST_SHOWN = 8;
const ORDER = ["kind", "colour", "color", "brand"]; // what people narrow by first; the rest as configured

/** Keeps the chosen filters as parameters of the search template; `changed()` tells that the user changed them. */
export function filterPanel(changed) {
  let lists = new Map(); // field -> Set of values
  let bounds = new Map(); // field_min, field_max -> number
  const box = $("facets");

  const wide = matchMedia("(min-width: 60rem)");
  const fit = () => ($("filters").open = wide.matches);
  wide.addEventListener("change", fit);
  fit();

  $("clear-filters").addEventListener("click", () => (set({}), changed()));

  const listOf = (field) => lists.get(field) ?? lists.set(field, new Set()).get(field);
  const parameters = () => {
    const chosen = [...lists].filter(([, values]) => values.size).map(([field, values]) => [field, [...values]]);
    return Object.fromEntries([...chosen, ...bounds]);
  };

  /** Make boxes and counts show what is chosen. */
  function refresh() {
    for (const input of box.querySelectorAll("input")) {
      if (input.type === "checkbox") input.checked = listOf(input.name).has(input.value);
      else input.value = bounds.get(input.name) ?? "";
    }
    const active = Object.values(parameters()).flat().length;
    $("filter-count").textContent = active ? `(${active})` : "";
    $("clear-filters").hidden = !active;
  }

  /** Choose `{field: [values], field_min: number}` and nothing else. */
  function set(chosen) {
    const entries = Object.entries(chosen);
    lists = new Map(entries.filter(([, value]) => Array.isArray(value)).map(([field, values]) => [field, new Set(values)]));
    bounds = new Map(entries.filter(([, value]) => !Array.isArray(value)));
    refresh();
  }

  function tick({ target }) {
    if (target.checked) listOf(target.name).add(target.value);
    else listOf(target.name).delete(target.value);
    refresh();
    changed();
  }

  function bound({ target }) {
    if (target.value === "" || !target.validity.valid) bounds.delete(target.name);
    else bounds.set(target.name, target.valueAsNumber);
    refresh();
    changed();
  }

  function group(field, values) {
    const coloured = field.startsWith("colo");
    const items = values.map(({ value, count }, place) => {
      const input = make("input", { type: "checkbox", name: field, value, onchange: tick });
      const swatch = coloured ? make("i", { class: "swatch", "data-colour": value }) : null;
      const label = make("label", {}, input, swatch, make("span", {}, value), make("b", {}, number(count)));
      return make("li", { class: place >= FIRST_SHOWN && !coloured ? "beyond" : null }, label);
    });
    const list = make("ul", { class: coloured ? "colours" : null }, ...items);
    const rest = values.length > FIRST_SHOWN && !coloured;
    return make("fieldset", {}, make("legend", {}, field), list, rest ? unfold(list) : null);
  }

  function unfold(list) {
    const all = `Show all ${list.children.length}`;
    const button = make("button", { type: "button", class: "link", "aria-expanded": "false" }, all);
    button.addEventListener("click", () => {
      const open = list.classList.toggle("all");
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Show fewer" : all;
    });
    return button;
  }

  function range(field, { min, max }) {
    const end = (name, label, limit) =>
      make("input", {
        type: "number",
        name,
        min: 0,
        step: "any",
        inputmode: "decimal",
        placeholder: limit,
        "aria-label": `${label} ${field}`,
        onchange: bound,
      });
    const inputs = make(
      "div",
      {},
      end(`${field}_min`, "Lowest", Math.floor(min)),
      make("span", { "aria-hidden": "true" }, "to"),
      end(`${field}_max`, "Highest", Math.ceil(max)),
    );
    return make("fieldset", { class: "range" }, make("legend", {}, field), inputs);
  }

  return {
    parameters,
    set,
    /** Draw what /api/facets answered. */
    show({ values, ranges }) {
      const place = (field) => (ORDER.includes(field) ? ORDER.indexOf(field) : ORDER.length);
      const groups = Object.entries(values).filter(([, found]) => found.length);
      groups.sort(([one], [other]) => place(one) - place(other));
      const numbers = Object.entries(ranges).filter(([, found]) => found.min != null);
      box.replaceChildren(
        ...groups.map(([field, found]) => group(field, found)),
        ...numbers.map(([field, found]) => range(field, found)),
      );
      refresh();
    },
  };
}
