// The page: files are captioned a few at a time, and stay in this tab.

import { downloadCsv, downloadSidecars } from "./downloads.js";
import { percent, put, speak, translate } from "./language.js";
import { drawClip, drawLight, drawPhoto } from "./pictures.js";
import { ask, caption, reason } from "./server.js";
import { showWords } from "./words.js";

const TOGETHER = 4; // requests at a time: enough for the server to batch them

const $ = (id) => document.getElementById(id);
const album = [];
const waiting = [];
let running = 0;
let cancelled = new AbortController();

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
    Object.assign(box.dataset, { language: row.language, direction: row.direction });
    label.append(box, ` ${row.id}`);
    models.append(label);
  });
  showLanguages(rows);
}

// With models of several languages, one is chosen by its language, under the name that it has itself.
function showLanguages(rows) {
  const languages = [...new Set(rows.map((row) => row.language))];
  const select = $("language");
  select.replaceChildren(...languages.map((code) => {
    const option = new Option(new Intl.DisplayNames([code], { type: "language" }).of(code), code);
    option.lang = code;
    return option;
  }));
  $("language-row").hidden = languages.length < 2;
  chooseLanguage();
}

function chooseLanguage() {
  const boxes = [...document.querySelectorAll("#models input")];
  const first = boxes.find((box) => box.dataset.language === $("language").value);
  boxes.forEach((box) => { box.checked = box === first; });
  speak(first.dataset.language, first.dataset.direction);
}

function chosenModels() {
  const boxes = [...document.querySelectorAll("#models input:checked")];
  return boxes.length ? boxes.map((box) => box.value) : [null];
}

// What is asked beside the file: it is kept, so that maps are of the caption that is shown.
function chosenDecoding() {
  const decoding = {};
  if ($("beam").value) decoding.beam = Number($("beam").value);
  if ($("length").value) decoding.max_length = Number($("length").value);
  return JSON.stringify(decoding);
}

// ---- an item of the album

function add(file) {
  const card = $("card").content.cloneNode(true).firstElementChild;
  translate(card);
  const name = card.querySelector(".name bdi");
  if (file.name) name.textContent = file.name;
  else put(name, "pasted");
  const item = { file, name: file.name || "pasted.png", card, answers: [], failed: false, done: false };
  album.push(item);
  waiting.push(item);
  $("album").append(card);
}

// A sentence as alternative text: a capital, and a full stop.
function altText(text) {
  const plain = text.trim().replaceAll(/\s+/g, " ");
  if (!plain) return "";
  return plain[0].toUpperCase() + plain.slice(1) + (/[.!?؟]$/.test(plain) ? "" : ".");
}

function showCopying(button, text) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(altText(text.value));
      put(button, "Copied");
    } catch {
      text.select(); // no clipboard without https or permission
      put(button, "Press Ctrl-C");
    }
    setTimeout(() => put(button, "Copy as alt text"), 2000);
  });
}

// How far the caption can be believed, and what the server warns of, which it does in English.
function showDoubts(line, answer) {
  const [sure, warned] = line.children;
  const isKnown = typeof answer.confidence === "number";
  if (isKnown) {
    const share = () => percent(answer.confidence);
    put(sure, "all of it is seen with a probability of {share}", { share });
  }
  warned.textContent = (answer.warnings || []).join("; ");
  line.hidden = !isKnown && !answer.warnings;
  line.classList.toggle("doubt", Boolean(answer.warnings));
}

function show(item, answer, decoding) {
  const box = $("caption").content.cloneNode(true).firstElementChild;
  const text = box.querySelector("textarea");
  translate(box);
  put(box.querySelector(".model"), "Caption by {model}", { model: answer.model });
  text.value = answer.caption;
  text.lang = answer.language || "en";
  showDoubts(box.querySelector(".sure"), answer);
  if ((answer.words || []).some((word) => typeof word.seen === "number")) $("shades").hidden = false;
  showWords(item, answer, decoding, box);
  showCopying(box.querySelector(".copy"), text);
  item.card.querySelector(".captions").append(box);
  const picture = item.card.querySelector(".picture");
  picture.removeAttribute("data-say");
  picture.setAttribute("aria-label", answer.caption);
  picture.lang = text.lang;
  item.answers.push({ model: answer.model, text, confidence: answer.confidence });
}

async function work(item, signal) {
  const state = item.card.querySelector(".state");
  const canvas = item.card.querySelector(".picture");
  put(state, "being captioned");
  const preview = item.file.type.startsWith("video/") ? drawClip : drawPhoto;
  const drawn = preview(item.file, canvas).catch(() => { // the server reads more kinds
    item.card.querySelector(".blind").hidden = false;
  });
  const decoding = chosenDecoding();
  try {
    for (const model of chosenModels()) {
      show(item, await caption(item.file, model, decoding, signal), decoding);
    }
    put(state, "");
  } catch (error) {
    item.failed = true;
    item.card.classList.add("failed");
    if (signal.aborted) put(state, "cancelled");
    else put(state, "Not captioned: {why}", { why: () => reason(error) });
  }
  await drawn;
  item.done = true;
}

function again() {
  for (const item of album) {
    Object.assign(item, { answers: [], failed: false, done: false });
    item.card.classList.remove("failed");
    put(item.card.querySelector(".state"), "waiting");
    item.card.querySelector(".captions").replaceChildren();
    drawLight(item, null);
    waiting.push(item);
  }
  next();
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
  $("work").hidden = $("hint").hidden = !album.length;
  $("bar").max = album.length || 1;
  $("bar").value = done;
  const busy = done < album.length;
  const said = failed ? "{done} of {all} done, {failed} failed" : "{done} of {all} done";
  put($("status"), said, { done, all: album.length, failed });
  $("cancel").disabled = !busy;
  $("clear").disabled = $("again").disabled = busy;
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
    Object.assign(item, { done: true, failed: true });
    item.card.classList.add("failed");
    put(item.card.querySelector(".state"), "cancelled");
  }
  tell();
}

function clear() {
  album.splice(0);
  $("album").replaceChildren();
  tell();
  $("files").focus();
}

// ---- what a person does

$("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("token").addEventListener("change", loadModels);
$("language").addEventListener("change", chooseLanguage);
$("cancel").addEventListener("click", cancel);
$("again").addEventListener("click", again);
$("clear").addEventListener("click", clear);
$("csv").addEventListener("click", () => downloadCsv(album));
$("sidecars").addEventListener("click", () => downloadSidecars(album));
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
