// Markdown of text blocks, as HTML that the service has sanitized. This is the only place that reads HTML.

import { el } from "../elements/dom.js";

/**
 * Show sanitized HTML. Nothing of it runs or loads while it is read, and the page's policy lets nothing run or load after.
 *
 * @param {string} html
 */
export function makeProse(html) {
  return el("div", { class: "prose" }, [
    ...new DOMParser().parseFromString(html, "text/html").body.childNodes,
  ]);
}
