// What was sent to OpenSearch, to read and to copy.

import { $, h } from "./dom.js";

let body = "";
let address = null;

/** `url`: address of `_search` when the page may know it, else a name that the reader's shell fills in. */
export function setAddress(url, index) {
  address = url ? `'${url}'` : `"$OPENSEARCH_URL/${index}/_search"`;
}

export function showRequest(sent) {
  body = sent;
  $("sent").hidden = false;
  $("request").replaceChildren(
    h("span", { className: "shell" }, `${command()}\n`),
    shortened(body),
    h("span", { className: "shell" }, "\nJSON"),
  );
}

export function hideRequest() {
  $("sent").hidden = true;
}

/** The body goes through a here-document: quotes need no care there, and no picture is too long for it. */
const command = () => `curl -s -H 'content-type: application/json' ${address} --data-binary @- <<'JSON'`;
const curl = () => `${command()}\n${body}\nJSON\n`;

/** Pictures are cut on the screen only. */
function shortened(text) {
  return text.replace(/"([A-Za-z0-9+/]{40})[A-Za-z0-9+/]{80,}={0,2}"/g, (whole, start) => {
    return `"${start}… (${whole.length - 2} characters)"`;
  });
}

export function watchCopies() {
  for (const [id, text] of [["copy-body", () => body], ["copy-curl", curl]]) {
    const button = $(id);
    const label = button.textContent;
    button.addEventListener("click", async () => {
      button.textContent = (await copied(text())) ? "Copied" : "Not copied";
      setTimeout(() => (button.textContent = label), 1500);
    });
  }
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { value: text, className: "offscreen" }); // plain http has no clipboard interface
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
