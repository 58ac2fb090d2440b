// A picture the user gave, as the base64 that a search takes.

const LARGEST_SIDE = 1024; // models look at 224 to 384 pixels a side: more is only slower to send
const LARGEST_BYTES = 3_000_000;
const KNOWN = new Set(["image/jpeg", "image/png", "image/webp"]);

export class PictureError extends Error {}

/** `{name, url, base64}`. Small pictures stay as they are, byte for byte: a copy of a product's picture finds exactly it. */
export async function readPicture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new PictureError(`${file.name || "That"} can't be read as a picture. Next: use a JPEG, PNG or WebP file.`);
  }
  const longest = Math.max(bitmap.width, bitmap.height);
  const fits = KNOWN.has(file.type) && longest <= LARGEST_SIDE && file.size <= LARGEST_BYTES;
  const blob = fits ? file : await shrunk(bitmap, Math.min(1, LARGEST_SIDE / longest));
  bitmap.close();
  return { name: file.name || "picture", url: URL.createObjectURL(blob), base64: await base64(blob) };
}

async function shrunk(bitmap, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // JPEG has no transparency
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new PictureError("The picture can't be read. Next: choose it again."));
    reader.readAsDataURL(blob);
  });
}
