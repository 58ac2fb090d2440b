// Building the page. Text from the catalogue gets in as text nodes only, never as markup.

export const $ = (id) => document.getElementById(id);

/** An element with properties, `data-`/`aria-` attributes and children (elements or text). */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat("en");

export const price = (value) => money.format(value);
export const count = (value, noun) => `${whole.format(value)} ${noun}${value === 1 ? "" : "s"}`;

/** Address of a document's picture; every part is escaped, so that a path can't become another address. */
export function pictureUrl(path) {
  return typeof path === "string" && path ? `/pictures/${path.split("/").map(encodeURIComponent).join("/")}` : null;
}

export function picture(path, alt = "") {
  const url = pictureUrl(path);
  const blank = () => h("span", { className: "blank", "aria-hidden": "true" });
  if (!url) return blank();
  const image = h("img", { alt, loading: "lazy", decoding: "async", width: 256, height: 256 });
  image.addEventListener("error", () => image.replaceWith(blank()), { once: true });
  image.src = url;
  return image;
}
