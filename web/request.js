// The request as OpenSearch got it: shortened to look at, whole to copy.

import { $ } from "./dom.js";

const LONG = /"([A-Za-z0-9+/=]{24})[A-Za-z0-9+/=]{200,}"/g;

let sent = { body: "", url: "" };

// The body goes in through stdin: a picture is too long for an argument, and needs no escaping there.
const head = () => `curl -s "${sent.url}" -H 'content-type: application/json' --data-binary @- <<'JSON'`;
const curl = (body) => `${head()}\n${body}\nJSON\n`;

/** `url` is null when the page may not know the cluster's address. */
export function showRequest(body, url, index) {
  sent = { body, url: url ?? `$OPENSEARCH_URL/${index}/_search` };
  $("sent").textContent = curl(body.replace(LONG, (whole, start) => `"${start}… ${whole.length - 2} characters"`));
  $("request").hidden = false;
}

export function hideRequest() {
  $("request").hidden = true;
}

async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = copyWithoutPermission(text) ? "Copied" : "Can’t copy here";
  }
  setTimeout(() => (button.textContent = label), 1500);
}

// Without https or localhost there is no navigator.clipboard.
function copyWithoutPermission(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

$("copy-body").addEventListener("click", (event) => copy(event.currentTarget, sent.body));
$("copy-curl").addEventListener("click", (event) => copy(event.currentTarget, curl(sent.body)));
