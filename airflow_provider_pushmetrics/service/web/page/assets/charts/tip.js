// What a chart says of the mark under the pointer: text, whatever its rows are.

import { el } from "../elements/dom.js";

const MAX_LINES = 20;
const MAX_LENGTH = 200;
const MARGIN = 12;

/** @type {HTMLElement | null} The one that is shown. */
let shown = null;

/**
 * Show the values of a mark beside the pointer; without values, show nothing.
 *
 * @param {MouseEvent | null} event
 * @param {unknown} value
 */
export function showTip(event, value) {
  shown?.remove();
  const lines = event ? listLines(value) : [];
  if (!event || lines.length === 0) return;
  const tip = el(
    "div",
    { class: "chart-tip", "aria-hidden": "true" },
    lines.map(([name, text]) => el("div", {}, name && el("span", {}, name), text)),
  );
  document.body.append(tip);
  shown = tip;
  const { clientWidth, clientHeight } = document.documentElement;
  tip.style.left = `${clamp(event.clientX + MARGIN, clientWidth - tip.offsetWidth - MARGIN)}px`;
  tip.style.top = `${clamp(event.clientY + MARGIN, clientHeight - tip.offsetHeight - MARGIN)}px`;
}

/** @type {(position: number, most: number) => number} */
const clamp = (position, most) => Math.max(0, Math.min(position, most));

/**
 * List what is shown of a value.
 *
 * @param {unknown} value
 * @returns {[name: string, text: string][]}
 */
export function listLines(value) {
  if (value === null || value === undefined || value === "") return [];
  if (typeof value !== "object") return [["", cut(value)]];
  return Object.entries(value)
    .slice(0, MAX_LINES)
    .map(([name, one]) => [cut(name), cut(one)]);
}

/** @param {unknown} value */
function cut(value) {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}
