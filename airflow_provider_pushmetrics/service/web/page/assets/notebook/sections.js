// The sections of a page's sides, which fold away where there is no room for them.

import { el } from "../elements/dom.js";

const OPEN = "open";
const FOLDED = "folded";
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
 * Keep in this browser whether a section is folded, on wide and on narrow screens.
 *
 * @param {HTMLDetailsElement} section
 * @param {string} name
 */
export function rememberFold(section, name) {
  // A window may be made wide or narrow while the page is open.
  const nameKey = () => `pushmetrics:fold:${WIDE.matches ? "wide" : "narrow"}:${name}`;
  tryStorage((storage) => {
    const kept = storage.getItem(nameKey());
    if (kept) section.open = kept === OPEN;
  });
  section.querySelector("summary")?.addEventListener("click", () => {
    const next = section.open ? FOLDED : OPEN; // the click has not changed it yet
    tryStorage((storage) => storage.setItem(nameKey(), next));
  });
  return section;
}

/**
 * Use the storage of the browser, if there is one that takes something.
 *
 * @param {(storage: Storage) => void} work
 */
function tryStorage(work) {
  try {
    work(window.localStorage);
  } catch {
    // Nothing is kept: the section begins as it always does.
  }
}

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
