// Buttons that do something which may take a while, or go wrong.

import { describeError, isAbort } from "../http/errors.js";
import { el, keepFocus } from "./dom.js";
import { tell } from "./notices.js";

/**
 * Make a button that cannot be pressed again while it works; what goes wrong is told. While it is `aria-disabled` it
 * does nothing, and can still have the focus.
 *
 * @param {string} label
 * @param {() => unknown} work
 * @param {{ kind?: string } & Ui.Settings} settings
 * @param {...Ui.Child} children What stands behind the label.
 * @returns {HTMLButtonElement}
 */
export function button(label, work, { kind = "quiet", ...settings } = {}, ...children) {
  const element = el("button", { type: "button", class: kind, ...settings }, label, ...children);
  element.addEventListener("click", async () => {
    if (element.getAttribute("aria-disabled") === "true") return;
    // One that only reads may be pressed again, and keeps the focus: a disabled one would lose it.
    element.disabled = !/\breads\b/.test(kind);
    try {
      await work();
    } catch (error) {
      if (!isAbort(error)) tell(describeError(error), "bad");
    } finally {
      element.disabled = false;
      keepFocus(element);
    }
  });
  return element;
}
