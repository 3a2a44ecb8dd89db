// What is told at the edge of the page, and what is asked before something is done.

import { discardTyped, isTouched, ONCE } from "../drafts/unsaved.js";
import { describeError, isAbort } from "../http/errors.js";
import { writeClipboard } from "./clipboard.js";
import { el, fill, find, makeId } from "./dom.js";

const SHOWN_MILLISECONDS = 5000;
const MOST_AT_ONCE = 3;

/**
 * Tell something that needs no answer. One with an action, such as to undo what was done, stays until it is closed.
 *
 * @param {string} text
 * @param {"good" | "bad"} kind
 * @param {{ label: string, work: () => Promise<unknown> } | null} action
 */
export function tell(text, kind = "good", action = null) {
  const notice = el("div", { class: `notice ${kind}` }, el("span", {}, text));
  if (action) notice.append(makeActionButton(notice, action));
  notice.append(
    el(
      "button",
      { type: "button", class: "plain", "aria-label": "Close", onclick: () => notice.remove() },
      "×",
    ),
  );
  const place = find("notices");
  place.append(notice);
  const others = [...place.children].filter((one) => !one.querySelector("[data-action]"));
  for (const old of others.slice(0, -MOST_AT_ONCE)) old.remove();
  if (kind !== "bad" && !action) setTimeout(() => notice.remove(), SHOWN_MILLISECONDS);
}

/**
 * @param {HTMLElement} notice
 * @param {{ label: string, work: () => Promise<unknown> }} action
 */
function makeActionButton(notice, { label, work }) {
  const act = async () => {
    button.disabled = true;
    try {
      await work();
      notice.remove();
    } catch (error) {
      button.disabled = false;
      if (!isAbort(error)) tell(describeError(error), "bad");
    }
  };
  const button = el("button", { type: "button", class: "quiet", "data-action": true, onclick: act }, label);
  return button;
}

/** @type {Set<() => void>} */
const openDialogs = new Set();

/** Close all dialogs without an answer. */
export function closeDialogs() {
  for (const close of openDialogs) close();
}

/**
 * Show something in a dialog; `build` gets a function that closes it and gives its answer. Escape asks first if
 * something was typed, or `refuse` says why the dialog stays.
 *
 * @template [Answer=unknown]
 * @param {string} title
 * @param {(close: Ui.Close<Answer>) => Ui.Child} build
 * @param {{ refuse?: (() => void) | null }} settings
 * @returns {Promise<Answer | null>}
 */
export function showDialog(title, build, { refuse = null } = {}) {
  return new Promise((resolve) => {
    const heading = el("h2", { id: makeId("dialog-title") }, title);
    const dialog = el("dialog", { "aria-labelledby": heading.id, [ONCE]: refuse !== null });
    /** @type {Ui.Close<Answer>} */
    const close = (answer) => {
      hideModal();
      openDialogs.delete(cancel);
      resolve(answer);
    };
    const cancel = () => close(null);
    const hideModal = makeModal(dialog, async () => {
      if (refuse) return refuse();
      if (isTouched(dialog)) {
        if (!(await confirmDiscard())) return;
        discardTyped(dialog);
      }
      cancel();
    });
    fill(dialog, heading, build(close));
    openDialogs.add(cancel);
    openModal(dialog);
  });
}

/**
 * Show a dialog above all others.
 *
 * @param {HTMLDialogElement} dialog
 */
export function openModal(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  placeNotices();
}

/** Put the notices where they can be read and closed: only what is in the foremost dialog can. */
function placeNotices() {
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  const notices = find("notices");
  if (notices.parentElement !== place) place.append(notices);
}

/**
 * Let Escape do something else than closing a dialog, however often it is pressed; the function given closes it.
 *
 * @param {HTMLDialogElement} dialog
 * @param {() => void} whenEscaped
 */
export function makeModal(dialog, whenEscaped) {
  let isClosed = false;
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) whenEscaped();
  });
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    whenEscaped();
  });
  // Browsers close a dialog at the second wish in a row, whatever the page says of it.
  dialog.addEventListener("close", () => {
    if (!isClosed && dialog.isConnected) dialog.showModal();
  });
  return () => {
    isClosed = true;
    dialog.close();
    placeNotices();
    dialog.remove();
  };
}

/** Ask before typed text is thrown away; true if it is to be. */
export const confirmDiscard = () =>
  confirmFirst("Discard your changes?", "What you typed is not saved.", "Discard");

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
  const warning = el("p", { class: "warning", role: "alert" });
  const refuse = () =>
    fill(warning, "The secret is shown only now. Copy it, and then press “I have kept it”.");
  return showDialog(
    title,
    (close) => [
      el("p", {}, advice),
      makeCopyField("Secret", secret),
      warning,
      el(
        "div",
        { class: "actions end" },
        el("button", { type: "button", class: "primary", onclick: () => close(true) }, "I have kept it"),
      ),
    ],
    { refuse },
  );
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
  if (await writeClipboard(text)) return tell(`${label} copied`);
  input?.focus();
  tell(
    input
      ? "Press Ctrl+C to copy the selection"
      : "This browser cannot copy here: show the token and copy it manually",
  );
}
