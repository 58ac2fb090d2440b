// The picture of a question: chosen, pasted or dropped. Bytes go out as they are wherever that is possible, so that an
// exact copy of a catalogue picture stays one; only a large or unusual picture is made anew.

import { $ } from "./dom.js";
import { Failure } from "./api.js";

const LARGEST_SIDE = 1024;
const MOST_BYTES = 4_000_000;
const KNOWN = ["image/jpeg", "image/png", "image/webp", "image/gif"];

/** Wires the inputs; `taken(base64, {url, ...how})`, `removed()` and `failed(Failure)` tell the page. */
export function picturePicker({ taken, removed, failed }) {
  let shown = null;

  async function take(file, how = {}) {
    try {
      const blob = await prepared(file);
      const image = await base64(blob);
      show(blob);
      taken(image, { url: shown, ...how });
    } catch (fault) {
      if (!(fault instanceof Failure)) throw fault;
      failed(fault);
    }
  }

  function show(blob) {
    if (shown) URL.revokeObjectURL(shown);
    shown = blob && URL.createObjectURL(blob);
    if (blob) $("preview").src = shown;
    else $("preview").removeAttribute("src");
    $("picture").hidden = !blob;
  }

  function remove() {
    if (!shown) return false;
    show(null);
    removed();
    return true;
  }

  const pictureIn = (transfer) => [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/"));

  $("choose").addEventListener("click", () => $("file").click());
  $("remove").addEventListener("click", () => remove() && $("text").focus());
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    if (file) take(file);
    $("file").value = "";
  });
  document.addEventListener("paste", (event) => {
    const file = pictureIn(event.clipboardData);
    if (!file) return;
    event.preventDefault();
    take(file);
  });

  const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    $("drop").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").hidden = true;
  });
  document.addEventListener("drop", (event) => {
    $("drop").hidden = true;
    if (!carriesFile(event)) return;
    event.preventDefault();
    const file = pictureIn(event.dataTransfer);
    if (file) take(file);
    else failed(new Failure("That file is no picture.", "Use a JPEG, PNG, WebP or GIF."));
  });

  return { take, remove };
}

async function prepared(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Failure(`“${file.name}” is no picture this browser can read.`, "Use a JPEG, PNG, WebP or GIF.");
  }
  const scale = Math.min(1, LARGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && KNOWN.includes(file.type) && file.size <= MOST_BYTES) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // JPEG has no transparency
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Failure("The picture can’t be read.", "Choose it again."));
    reader.readAsDataURL(blob);
  });
}
