// What the page says, in the language that captions are written in.
//
// Messages are named by their English text. Elements say so themselves: data-say="text title" means
// that what stands in them, and in their attribute title, are messages.

import { MESSAGES } from "./messages.js";

const said = new WeakMap(); // by element: for each name in data-say a message and its values

let language = "en";

// A message in the chosen language. A value may be a function of the language.
export function say(message, values = {}) {
  const found = MESSAGES[language]?.[message] ?? message;
  return found.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    if (typeof value === "number") return new Intl.NumberFormat(language).format(value);
    return typeof value === "function" ? value() : value;
  });
}

export function percent(share) {
  const shown = (part) => new Intl.NumberFormat(language, { style: "percent" }).format(part);
  if (share >= 0.995) return say("more than {share}", { share: shown(0.99) });
  return share < 0.01 ? say("less than {share}", { share: shown(0.01) }) : shown(share);
}

function write(element) {
  for (const [name, [message, values]] of Object.entries(said.get(element))) {
    const text = message && say(message, values);
    if (name === "text") element.textContent = text;
    else element.setAttribute(name, text);
  }
}

// Have an element say a message, also after another language was chosen.
export function put(element, message, values = {}, name = "text") {
  const own = said.get(element) ?? {};
  said.set(element, { ...own, [name]: [message, values] });
  element.dataset.say = Object.keys(said.get(element)).join(" ");
  write(element);
}

// Have everything in an element speak the chosen language.
export function translate(within) {
  for (const element of within.querySelectorAll("[data-say]")) {
    if (said.has(element)) {
      write(element);
      continue;
    }
    for (const name of element.dataset.say.split(" ")) {
      put(element, name === "text" ? element.textContent : element.getAttribute(name), {}, name);
    }
  }
}

export function speak(code, direction) {
  language = code;
  document.documentElement.lang = code;
  document.documentElement.dir = direction;
  translate(document);
}
