// The sections of a page's sides, which fold away where there is no room for them.

import { el } from "../elements/dom.js";

const WIDE = window.matchMedia("(min-width: 64rem)");

/**
 * Make a section that can be folded; it begins folded on a narrow screen.
 *
 * @param {string} title
 * @param {...Ui.Child} children
 */
export const makeSection = (title, ...children) =>
  el(
    "details",
    { class: "side", open: WIDE.matches },
    el("summary", {}, el("h2", {}, title)),
    el("div", { class: "side-body" }, ...children),
  );

/**
 * Open a section and go to it.
 *
 * @param {HTMLElement} section
 */
export function showSection(section) {
  for (const one of [section, section.querySelector("details")]) {
    if (one instanceof HTMLDetailsElement) one.open = true;
  }
  section.scrollIntoView({ block: "start" });
  const heading = section.querySelector("summary,h2");
  if (!(heading instanceof HTMLElement)) return;
  if (heading.tagName === "H2") heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}
