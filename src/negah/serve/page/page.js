// The page: files are captioned a few at a time, and stay in this tab.

const TOGETHER = 4; // requests at a time: enough for the server to batch them
const THUMBNAIL = 480; // pixels on the longer side of what is shown and kept
const UNSURE = 0.5; // a word that is seen less than this is marked
const RETRIES = 8;

const $ = (id) => document.getElementById(id);
const album = [];
const waiting = [];
let running = 0;
let cancelled = new AbortController();

// ---- the server

function headers() {
  return $("token").value ? { Authorization: `Bearer ${$("token").value}` } : {};
}

async function ask(path, init = {}) {
  const answer = await fetch(path, { ...init, headers: headers() });
  if (answer.status === 401) $("token-row").hidden = false;
  return answer;
}

async function loadModels() {
  const answer = await ask("v1/models");
  if (!answer.ok) return;
  const rows = (await answer.json()).data;
  const models = $("models");
  models.querySelectorAll("label").forEach((label) => label.remove());
  rows.forEach((row, place) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", name: "model", value: row.id, checked: place === 0 });
    label.append(box, ` ${row.id}`);
    models.append(label);
  });
}

function chosenModels() {
  const boxes = [...document.querySelectorAll("#models input:checked")];
  return boxes.length ? boxes.map((box) => box.value) : [null];
}

async function caption(file, model, signal) {
  const form = new FormData();
  form.append("file", file, "upload");
  form.append("evidence", "true");
  if (model) form.append("model", model);
  const decoding = {};
  if ($("beam").value) decoding.beam = Number($("beam").value);
  if ($("length").value) decoding.max_length = Number($("length").value);
  form.append("decoding", JSON.stringify(decoding));
  for (let tries = 0; ; tries += 1) {
    const answer = await ask("v1/captions", { method: "POST", body: form, signal });
    if (answer.ok) return answer.json();
    if (answer.status === 429 && tries < RETRIES) {
      const seconds = Number(answer.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      signal.throwIfAborted();
      continue;
    }
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail || `the server answered ${answer.status}`);
  }
}

// ---- pictures

async function drawPhoto(file, canvas) {
  const whole = await createImageBitmap(file);
  draw(whole, whole.width, whole.height, canvas);
  whole.close();
}

async function drawClip(file, canvas) {
  const video = document.createElement("video");
  const url = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      Object.assign(video, { muted: true, preload: "auto", src: url });
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error("no preview"));
      setTimeout(() => reject(new Error("no preview")), 5000);
    });
    draw(video, video.videoWidth, video.videoHeight, canvas);
  } finally {
    video.removeAttribute("src");
    URL.revokeObjectURL(url);
  }
}

function draw(picture, width, height, canvas) {
  const scale = Math.min(1, THUMBNAIL / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
}

// Weights of a grid (rows of columns) over the picture: what weighs little is darkened.
function drawMap(item, grid) {
  const canvas = item.card.querySelector(".map");
  const picture = item.card.querySelector(".picture");
  canvas.width = picture.width;
  canvas.height = picture.height;
  if (!grid) return;
  const most = Math.max(...grid.flat(), 1e-9);
  const small = new OffscreenCanvas(grid[0].length, grid.length);
  const cells = small.getContext("2d");
  grid.forEach((row, y) => row.forEach((weight, x) => {
    cells.fillStyle = `rgb(0 0 0 / ${(0.75 * (1 - weight / most)).toFixed(3)})`;
    cells.fillRect(x, y, 1, 1);
  }));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

// ---- an item of the album

function add(file) {
  const card = $("card").content.cloneNode(true).firstElementChild;
  card.querySelector(".name").textContent = file.name || "pasted";
  const item = { file, name: file.name || "pasted.png", card, answers: [], failed: false, done: false };
  album.push(item);
  waiting.push(item);
  $("album").append(card);
}

function show(item, answer) {
  const box = $("caption").content.cloneNode(true).firstElementChild;
  const text = box.querySelector("textarea");
  box.querySelector(".model").textContent = `Caption by ${answer.model}`;
  text.value = answer.caption;
  const words = box.querySelector(".words");
  for (const word of answer.words || []) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word.text;
    const grid = (word.map || word.regions || [])[0];
    const unsure = typeof word.seen === "number" && word.seen < UNSURE;
    button.classList.toggle("unsure", unsure);
    const seen = typeof word.seen === "number" ? `, seen ${Math.round(word.seen * 100)}%` : "";
    button.setAttribute("aria-label", `${word.text}${seen}${unsure ? ", unsure" : ""}`);
    if (seen) button.title = seen.slice(2);
    const on = () => answer.kind === "photo" && drawMap(item, grid);
    const off = () => drawMap(item, null);
    button.addEventListener("pointerenter", on);
    button.addEventListener("focus", on);
    button.addEventListener("pointerleave", off);
    button.addEventListener("blur", off);
    words.append(button);
  }
  const copy = box.querySelector(".copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.value);
      copy.textContent = "Copied";
    } catch {
      text.select(); // no clipboard without https or permission
      copy.textContent = "Press Ctrl-C";
    }
    setTimeout(() => { copy.textContent = "Copy as alt text"; }, 2000);
  });
  item.card.querySelector(".captions").append(box);
  item.card.querySelector(".picture").setAttribute("aria-label", answer.caption);
  item.answers.push({ model: answer.model, text });
}

async function work(item, signal) {
  const state = item.card.querySelector(".state");
  const canvas = item.card.querySelector(".picture");
  state.textContent = "being captioned";
  const preview = item.file.type.startsWith("video/") ? drawClip : drawPhoto;
  const drawn = preview(item.file, canvas).catch(() => {}); // the server reads more kinds
  try {
    for (const model of chosenModels()) show(item, await caption(item.file, model, signal));
    state.textContent = "";
  } catch (error) {
    item.failed = true;
    item.card.classList.add("failed");
    state.textContent = signal.aborted ? "cancelled" : `Not captioned: ${error.message}`;
  }
  await drawn;
  item.file = null; // its bytes are needed no more
  item.done = true;
}

// ---- all of them

function next() {
  while (running < TOGETHER && waiting.length) {
    running += 1;
    work(waiting.shift(), cancelled.signal).finally(() => {
      running -= 1;
      tell();
      next();
    });
  }
  tell();
}

function tell() {
  const done = album.filter((item) => item.done).length;
  const failed = album.filter((item) => item.failed).length;
  $("work").hidden = !album.length;
  $("bar").max = album.length || 1;
  $("bar").value = done;
  const busy = done < album.length;
  $("status").textContent = `${done} of ${album.length} done${failed ? `, ${failed} failed` : ""}`;
  $("cancel").disabled = !busy;
  $("clear").disabled = busy;
  $("csv").disabled = $("sidecars").disabled = !album.some((item) => item.answers.length);
}

function take(files) {
  const wanted = [...files].filter((file) => file.size || file.type);
  wanted.forEach(add);
  if (wanted.length) next();
}

function cancel() {
  cancelled.abort();
  cancelled = new AbortController();
  for (const item of waiting.splice(0)) {
    Object.assign(item, { done: true, failed: true, file: null });
    item.card.classList.add("failed");
    item.card.querySelector(".state").textContent = "cancelled";
  }
  tell();
}

function clear() {
  album.splice(0);
  $("album").replaceChildren();
  tell();
  $("files").focus();
}

// ---- downloads

function save(name, parts, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A cell that a spreadsheet would take for a formula gets a quote in front.
function cell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function downloadCsv() {
  const rows = album.flatMap((item) =>
    item.answers.map((answer) => [item.name, answer.model, answer.text.value]));
  const lines = [["path", "model", "caption"], ...rows].map((row) => row.map(cell).join(","));
  save("captions.csv", [`${lines.join("\r\n")}\r\n`], "text/csv");
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// Files in a ZIP archive, stored as they are (APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16).
function zip(files) {
  const parts = [];
  const directory = [];
  const encoder = new TextEncoder();
  let offset = 0;
  for (const { name, text } of files) {
    const path = encoder.encode(name);
    const bytes = encoder.encode(text);
    const common = new DataView(new ArrayBuffer(26));
    common.setUint16(0, 20, true);
    common.setUint16(2, 0x0800, true); // names in UTF-8
    common.setUint16(8, 0x21, true); // the first day of 1980
    common.setUint32(10, crc32(bytes), true);
    common.setUint32(14, bytes.length, true);
    common.setUint32(18, bytes.length, true);
    common.setUint16(22, path.length, true);
    parts.push(new Uint8Array([80, 75, 3, 4]), common.buffer, path, bytes);
    const rest = new DataView(new ArrayBuffer(14));
    rest.setUint32(10, offset, true);
    directory.push(new Uint8Array([80, 75, 1, 2, 20, 0]), common.buffer, rest.buffer, path);
    offset += 30 + path.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.byteLength, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  return [...parts, ...directory, end.buffer];
}

function downloadSidecars() {
  const taken = new Set();
  const files = album.flatMap((item) => item.answers.slice(0, 1).map((answer) => {
    const stem = item.name.replace(/\.[^.]+$/, "").replaceAll(/[\\/]/g, "_");
    let name = `${stem}.txt`;
    for (let n = 2; taken.has(name.toLowerCase()); n += 1) name = `${stem}-${n}.txt`;
    taken.add(name.toLowerCase());
    return { name, text: `${answer.text.value}\n` };
  }));
  save("captions.zip", zip(files), "application/zip");
}

// ---- what a person does

$("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("token").addEventListener("change", loadModels);
$("cancel").addEventListener("click", cancel);
$("clear").addEventListener("click", clear);
$("csv").addEventListener("click", downloadCsv);
$("sidecars").addEventListener("click", downloadSidecars);
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) take(event.clipboardData.files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
loadModels();
