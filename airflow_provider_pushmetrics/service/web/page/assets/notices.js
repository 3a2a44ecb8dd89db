// What is told at the edge of the page, and what is asked before something is done.

import { el, fill, find } from "./dom.js";

const SHOWN_MILLISECONDS = 5000;
const MOST_AT_ONCE = 3;

/**
 * Tell something that needs no answer.
 *
 * @param {string} text
 * @param {"good" | "bad"} kind
 */
export function tell(text, kind = "good") {
  const notice = el("div", { class: `notice ${kind}` }, el("span", {}, text));
  notice.append(
    el(
      "button",
      { type: "button", class: "plain", "aria-label": "Close", onclick: () => notice.remove() },
      "×",
    ),
  );
  const place = find("notices");
  place.append(notice);
  while (place.childElementCount > MOST_AT_ONCE) place.firstElementChild?.remove();
  if (kind !== "bad") setTimeout(() => notice.remove(), SHOWN_MILLISECONDS);
}

/**
 * Show something in a dialog; `build` gets a function that closes it and gives its answer.
 *
 * @template [Answer=unknown]
 * @param {string} title
 * @param {(close: Ui.Close<Answer>) => Ui.Child} build
 * @returns {Promise<Answer | null>}
 */
export function showDialog(title, build) {
  return new Promise((resolve) => {
    const heading = el("h2", { id: "dialog-title" }, title);
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" });
    /** @type {Ui.Close<Answer>} */
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      close(null);
    });
    fill(dialog, heading, build(close));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Ask before something that cannot be taken back; true if it is to be done.
 *
 * @param {string} title
 * @param {string} text
 * @param {string} action
 * @param {string} kind
 * @returns {Promise<boolean | null>}
 */
export function confirmFirst(title, text, action, kind = "danger") {
  return showDialog(title, (close) => [
    el("p", {}, text),
    el(
      "div",
      { class: "actions end" },
      el("button", { type: "button", class: "quiet", autofocus: true, onclick: () => close(false) }, "Keep"),
      el("button", { type: "button", class: kind, onclick: () => close(true) }, action),
    ),
  ]);
}

/**
 * Show a secret, which nobody can show again, until it is put away.
 *
 * @param {string} title
 * @param {string} advice
 * @param {string} secret
 */
export function showSecret(title, advice, secret) {
  return showDialog(title, (close) => [
    el("p", {}, advice),
    makeCopyField("Secret", secret),
    el(
      "div",
      { class: "actions end" },
      el("button", { type: "button", class: "primary", onclick: () => close(true) }, "I have kept it"),
    ),
  ]);
}

/**
 * Make a field whose text can be copied.
 *
 * @param {string} label
 * @param {string} text
 */
export function makeCopyField(label, text) {
  const input = el("input", {
    type: "text",
    class: "code",
    value: text,
    readOnly: true,
    "aria-label": label,
  });
  input.addEventListener("focus", () => input.select());
  const copy = el(
    "button",
    { type: "button", class: "quiet", onclick: () => copyText(text, label, input) },
    "Copy",
  );
  return el("div", { class: "copy" }, input, copy);
}

/**
 * Copy a text; where the browser does not let us, it is marked for the user to copy.
 *
 * @param {string} text
 * @param {string} label
 * @param {HTMLInputElement | null} input
 */
export async function copyText(text, label, input = null) {
  try {
    await navigator.clipboard.writeText(text);
    tell(`${label} copied`);
  } catch {
    input?.focus();
    tell(
      input
        ? "Press Ctrl+C to copy the selection"
        : "This browser cannot copy here: show the token and copy it manually",
    );
  }
}
