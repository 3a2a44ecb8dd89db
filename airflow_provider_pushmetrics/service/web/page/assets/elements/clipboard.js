// Copying, also where a browser has no clipboard for scripts: on plain http in a network of one's own.

import { el } from "./dom.js";

/**
 * Copy a text; false if the browser does not let us.
 *
 * @param {string} text
 */
export async function writeClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelection(text);
  }
}

/**
 * Copy a text by selecting it, as a person would. Behind an open dialog nothing can be selected.
 *
 * @param {string} text
 */
function copySelection(text) {
  const focused = document.activeElement;
  const field = el("textarea", {
    class: "unseen",
    readOnly: true,
    "aria-hidden": "true",
    tabindex: "-1",
    value: text,
  });
  const dialogs = document.querySelectorAll("dialog[open]");
  (dialogs[dialogs.length - 1] ?? document.body).append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    field.remove();
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  }
}
