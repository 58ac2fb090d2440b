// The things in the question's picture: boxes to choose from, a box of one's own, or the whole picture. Looking for them
// runs beside the search with the whole picture and never holds it up.

import * as api from "./api.js";
import { $, make } from "./dom.js";

const OWN = "own";
const START = [0.5, 0.5, 0.5, 0.5]; // of a box that is moved by keys
const STEP = 0.02;
const LEAST = 0.02; // side of a box, in shares of the picture
const DRAG = 6; // pixels from which on a press is a drag
const TAG = 0.14; // of the picture's height, that a tag above a box takes
const PRESELECTED = [0.1, 0.8]; // shares of the picture: a smaller box may be a part of the thing, a larger one is all

const isClear = ([, , width, height]) => width * height >= PRESELECTED[0] && width * height <= PRESELECTED[1];
const within = (value, low, high) => Math.min(Math.max(value, low), high);

/** `chosen(base64)` is told which crop to search with, or null for the whole picture; `failed(Failure)` why not. */
export function objectPicker({ chosen, failed }) {
  let enabled = false;
  let picture = null; // {image, url, preselect} that is shown
  let objects = [];
  let own = null; // the box drawn by hand
  let active = null; // index into objects, OWN, or null for the whole picture
  let used = null; // the same, of the crop that is searched with: an active one may be under way
  let running = null; // AbortController of the look or the crop under way

  /** Whether there is a detector; a picture that came before is looked at now. */
  function enable(yes) {
    const late = yes && !enabled && picture;
    enabled = yes;
    if (late) look(picture);
  }

  async function look({ image, url, preselect }) {
    hide();
    picture = { image, url, preselect };
    if (!enabled) return;
    $("scene-picture").src = url;
    $("objects").hidden = false;
    say("Looking for things in it …");
    const answer = await ask({ image });
    if (!answer) return;
    objects = answer.objects;
    const [first] = objects;
    if (objects.length > 1) say(`${objects.length} things found. Choose one to search with.`);
    else if (!first) say("No single thing found; the whole picture is searched. Draw a box for a part of it.");
    else if (!preselect || !isClear(first.box)) say(`One thing found: ${first.phrase}. Choose it to search with it.`);
    else if (own === null) {
      active = used = 0;
      chosen(answer.crop);
      say(`Searching with the ${first.phrase} in it.`);
    }
    show();
  }

  /** The server's answer, or null when there is none or something newer took over. */
  async function ask(what) {
    running?.abort();
    const mine = (running = new AbortController());
    try {
      return await api.objects(what, mine.signal);
    } catch (fault) {
      if (fault.name === "AbortError" || running !== mine) return null;
      if (!(fault instanceof api.Failure)) throw fault;
      if (what.box) {
        active = used;
        show();
        failed(fault);
      } else say("Draw a box to search with a part of the picture."); // the search itself says what is wrong
      return null;
    }
  }

  async function choose(which) {
    const box = which === OWN ? own : objects[which].box;
    active = which;
    show();
    const answer = await ask({ image: picture.image, box });
    if (!answer) return;
    used = which;
    chosen(answer.crop);
    say(`Searching with ${which === OWN ? "your box" : `the ${objects[which].phrase}`}.`);
  }

  /** Back to the whole picture; false when that is what is searched with. */
  function whole() {
    if (active === null && own === null) return false;
    const searched = used !== null;
    running?.abort();
    active = used = own = null;
    show();
    if (searched) {
      chosen(null);
      say("Searching with the whole picture.");
    }
    return true;
  }

  function hide() {
    running?.abort();
    picture = own = active = used = null;
    objects = [];
    show();
    $("objects").hidden = true;
    $("scene-picture").removeAttribute("src");
  }

  const say = (text) => ($("found").textContent = text);

  function show() {
    const focused = document.activeElement?.dataset?.box;
    const boxes = objects.map(({ box, score, phrase }, place) => {
      const share = `${Math.round(score * 100)} %`;
      const roomAbove = box[1] - box[3] / 2 > TAG;
      const tag = make("span", { class: roomAbove ? "tag" : "tag inside" }, phrase, make("b", {}, ` ${share}`));
      return boxed(box, place, `${phrase}, ${share}`, tag);
    });
    if (own) boxes.push(boxed(own, OWN, "Your box. Arrow keys move it, with Shift they size it, Enter searches"));
    for (const old of $("scene").querySelectorAll(".box")) old.remove();
    $("scene").append(...boxes);
    $("whole").setAttribute("aria-pressed", String(active === null));
    if (focused !== undefined) boxes.find((button) => button.dataset.box === focused)?.focus({ preventScroll: true });
  }

  function boxed(box, which, label, ...inside) {
    const [x, y, width, height] = box;
    const button = make(
      "button",
      { type: "button", class: "box", "data-box": which, "aria-label": label, "aria-pressed": String(active === which) },
      ...inside,
    );
    const shares = { left: x - width / 2, top: y - height / 2, width, height };
    for (const [side, share] of Object.entries(shares)) button.style.setProperty(side, `${share * 100}%`);
    button.style.setProperty("z-index", String(Math.round((1 - width * height) * 90) + (which === OWN ? 10 : 0)));
    button.addEventListener("click", () => choose(which));
    return button;
  }

  $("whole").addEventListener("click", whole);
  $("draw").addEventListener("click", () => {
    own = [...START];
    show();
    say("Draw on the picture, or move the box by arrow keys, size it with Shift, and press Enter.");
    $("scene").querySelector(`[data-box="${OWN}"]`).focus();
  });

  $("scene").addEventListener("keydown", (event) => {
    if (event.target.dataset.box !== OWN || event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { ArrowLeft: [0, -STEP], ArrowRight: [0, STEP], ArrowUp: [1, -STEP], ArrowDown: [1, STEP] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [axis, by] = step;
    if (event.shiftKey) own[axis + 2] = within(own[axis + 2] + by, LEAST, 1);
    else own[axis] += by;
    own[axis] = within(own[axis], own[axis + 2] / 2, 1 - own[axis + 2] / 2);
    show();
  });

  drawing($("scene"), {
    drawn(box) {
      own = box;
      show();
    },
    done: () => choose(OWN),
  });

  return { enable, look, hide, whole };
}

/** Boxes drawn on `scene` by dragging: `drawn(box)` while it grows, `done()` at the end. A press stays a click. */
function drawing(scene, { drawn, done }) {
  let from = null;
  let dragged = false;

  const at = ({ clientX, clientY }) => {
    const { left, top, width, height } = scene.getBoundingClientRect();
    return [within((clientX - left) / width, 0, 1), within((clientY - top) / height, 0, 1)];
  };

  scene.addEventListener("pointerdown", (event) => {
    dragged = false;
    from = event.isPrimary && event.button === 0 ? event : null;
  });
  scene.addEventListener("pointermove", (event) => {
    if (!from) return;
    if (!dragged && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) < DRAG) return;
    if (!dragged) scene.setPointerCapture(event.pointerId);
    dragged = true;
    const [[left, top], [x, y]] = [at(from), at(event)];
    const [width, height] = [Math.abs(x - left), Math.abs(y - top)];
    drawn([(left + x) / 2, (top + y) / 2, Math.max(width, LEAST), Math.max(height, LEAST)]);
  });
  scene.addEventListener("pointerup", () => {
    if (from && dragged) done();
    from = null;
  });
  scene.addEventListener("pointercancel", () => (from = null));
  scene.addEventListener(
    "click",
    (event) => {
      if (!dragged) return;
      dragged = false;
      event.stopPropagation();
    },
    true,
  );
}
