// Elements without markup strings: everything that comes from outside enters as text.

export const $ = (id) => document.getElementById(id);

/** make("p", {class: "note"}, "text", child) → element. Attributes that are false or null are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const number = (value, digits = 0) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
