// The buttons between the pages of a list.

import { button } from "./buttons.js";
import { el } from "./dom.js";

/**
 * Make the buttons between pages. They stay the same elements, so that no press is lost when the list changes, and a
 * button without a page to turn to keeps the focus.
 *
 * @param {string} label
 * @param {(step: -1 | 1) => unknown} turn
 * @param {Ui.Settings} settings Of the text beside the buttons.
 * @returns {Ui.Pager}
 */
export function makePager(label, turn, settings = {}) {
  const summary = el("span", { class: "hint", ...settings });
  const previous = button("Previous", () => turn(-1), { kind: "quiet reads" });
  const next = button("Next", () => turn(1), { kind: "quiet reads" });
  const node = el("nav", { class: "pager", "aria-label": label }, summary, previous, next);
  /** @type {Ui.Pager["update"]} */
  const update = ({ text, hasPrevious, hasNext }) => {
    if (summary.textContent !== text) summary.textContent = text;
    for (const [one, isPossible] of /** @type {const} */ ([
      [previous, hasPrevious],
      [next, hasNext],
    ])) {
      one.hidden = !hasPrevious && !hasNext;
      one.setAttribute("aria-disabled", String(!isPossible));
    }
  };
  return { node, update };
}
