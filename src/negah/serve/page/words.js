// The words of a caption: how far each was seen, and where it comes from.

import { percent, put, say } from "./language.js";
import { drawClip, drawLight } from "./pictures.js";
import { caption, reason, saying } from "./server.js";

const UNSURE = 0.5; // a word that is seen less than this is marked
const DWELL = 250; // milliseconds that somebody stays at a word before its places are measured
const FAINT = 0.1; // light that nobody would see
const LEAVING = 100; // and that the light stays, on the way to the next word

// The words of a caption as buttons: one that is pointed at, or has the focus, lights its places.
export function showWords(item, answer, decoding, box) {
  const words = box.querySelector(".words");
  const told = box.querySelector(".told");
  const measured = { item, answer, decoding, words: null };
  const buttons = (answer.words || []).map((word, place) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: word.text, tabIndex: place ? -1 : 0 });
    if (typeof word.seen === "number") {
      button.style.setProperty("--seen", word.seen.toFixed(2));
      button.classList.toggle("unsure", word.seen < UNSURE);
      const values = { word: word.text, share: () => percent(word.seen) };
      put(button, "seen with a probability of {share}", values, "title");
      put(button, "{word}, seen with a probability of {share}", values, "aria-label");
    }
    return button;
  });
  let dwelling;
  let kept = null;
  const go = (place) => {
    clearTimeout(dwelling);
    const now = place ?? kept;
    const wait = now === null ? LEAVING : measured.words ? 0 : DWELL;
    dwelling = setTimeout(() => lightWord(measured, now, told), wait);
  };
  const keep = (place) => {
    kept = place;
    buttons.forEach((button, n) => button.setAttribute("aria-pressed", String(n === kept)));
    go(null);
  };
  buttons.forEach((button, place) => {
    button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && go(place));
    button.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && go(null));
    button.addEventListener("focus", () => go(place));
    button.addEventListener("blur", () => go(null));
    button.addEventListener("click", () => keep(kept === place ? null : place));
  });
  words.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const next = getComputedStyle(words).direction === "rtl" ? -1 : 1;
    const to = { ArrowRight: at + next, ArrowLeft: at - next, Home: 0, End: buttons.length - 1 }[event.key];
    if (event.key === "Escape") keep(null);
    if (to === undefined || !buttons[to]) return;
    buttons[at].tabIndex = -1;
    buttons[to].tabIndex = 0;
    buttons[to].focus();
    event.preventDefault();
  });
  words.lang = answer.language || "en";
  words.append(...buttons);
}

// Maps are measured when somebody wants to see one, a caption at a time: the last that is wanted.
let measuring = new AbortController();

async function measure(measured) {
  measuring.abort();
  measuring = new AbortController();
  const { item, answer, decoding } = measured;
  const found = await caption(item.file, answer.model, decoding, measuring.signal, "maps");
  if (found.caption !== answer.caption) throw saying("the server now gives a different caption");
  measured.words = found.words;
}

async function lightWord(measured, place, told) {
  measured.wanted = place;
  const { item, answer } = measured;
  if (place === null) {
    told.replaceChildren();
    return drawLight(item, null);
  }
  if (!measured.words) {
    told.textContent = say("Measuring where the words come from …");
    try {
      await (measured.pending ??= measure(measured));
    } catch (error) {
      told.textContent = error.name === "AbortError" ? "" : say("Not measured: {why}", { why: reason(error) });
      return;
    } finally {
      measured.pending = null;
    }
    if (measured.wanted === null) return told.replaceChildren();
    place = measured.wanted;
  }
  const word = measured.words[place];
  told.replaceChildren(...[say("“{word}”", { word: word.text }), ...word.told].map((sentence) => {
    const line = document.createElement("p");
    line.textContent = sentence;
    line.dir = "auto";
    return line;
  }));
  const sums = word.light.map((grid) => grid.flat().reduce((sum, light) => sum + light, 0));
  const frame = sums.indexOf(Math.max(...sums));
  if (answer.kind === "clip") {
    const canvas = item.card.querySelector(".picture");
    await drawClip(item.file, canvas, answer.times[frame]).catch(() => {});
    if (measured.wanted !== place) return;
  }
  // a word that comes from no place leaves the picture as it is
  drawLight(item, Math.max(...word.light[frame].flat()) > FAINT ? word.light[frame] : null);
}
