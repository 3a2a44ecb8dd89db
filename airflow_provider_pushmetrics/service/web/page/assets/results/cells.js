// The cells of a result. They come as texts, so that no digit is lost here.

import { el } from "../elements/dom.js";

/** A longer cell scrolls by itself, so that its row does not fill the page. */
const LONG_CELL = 400;
const LONG_CELL_LINES = 8;

/**
 * Make the content of a cell; null and the empty text look different.
 *
 * @param {string | null} value
 */
export function makeCell(value) {
  if (value === null) return el("span", { class: "null" }, "null");
  if (value === "") return el("span", { class: "null", title: "The empty text" }, "\u201c\u201d");
  const isLong = value.length > LONG_CELL || value.split("\n").length > LONG_CELL_LINES;
  return isLong ? el("div", { class: "long", tabindex: "0" }, value) : value;
}
