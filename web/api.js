// The page's own server. A failure is always a Failure: one line, and the next step.

export class Failure extends Error {
  constructor(message, hint = "", code = "internal") {
    super(message);
    this.hint = hint;
    this.code = code;
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw navigator.onLine
      ? new Failure("The page’s server doesn’t answer.", "Is it still running? Start it again, then retry.", "offline")
      : new Failure("You are offline.", "Connect, then retry.", "offline");
  }
  const content = await response.json().catch((fault) => {
    if (fault.name === "AbortError") throw fault; // a newer question came while this answer was read
    return null;
  });
  if (response.ok && content) return content;
  throw new Failure(content?.error ?? `The server’s answer can’t be read (${response.status}).`, content?.hint, content?.code);
}

const post = (path, content, signal) =>
  call(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(content),
    signal,
  });

export const search = (question, signal) => post("/api/search", question, signal);
export const objects = (look, signal) => post("/api/objects", look, signal);
export const keepView = (view) => post("/api/views", view);

export const facets = () => call("/api/facets");
export const status = () => call("/api/status");
