// What the page asks its server.

import { say } from "./language.js";

const RETRIES = 8;

const $ = (id) => document.getElementById(id);

function headers() {
  return $("token").value ? { Authorization: `Bearer ${$("token").value}` } : {};
}

export async function ask(path, init = {}) {
  const answer = await fetch(path, { ...init, headers: headers() });
  if (answer.status === 401) $("token-row").hidden = false;
  return answer;
}

export async function caption(file, model, decoding, signal, wanted = "evidence") {
  const form = new FormData();
  form.append("file", file, "upload");
  form.append(wanted, "true");
  if (model) form.append("model", model);
  form.append("decoding", decoding);
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
    throw problem.detail ? new Error(problem.detail) : saying("the server answered {status}", { status: answer.status });
  }
}

// An error of this page's own, in whichever language the page speaks then.
export function saying(message, values) {
  return Object.assign(new Error(message), { say: () => say(message, values) });
}

// Why something failed; a server says it in English, which keeps its direction.
export function reason(error) {
  return error.say ? error.say() : `\u2068${error.message}\u2069`;
}
