// Icons, drawn with lines in the color of the text. Screen readers do not read them: the button has a label.

import { button } from "./buttons.js";

/** The path of each icon, on 16 by 16. */
const LINES = {
  add: "M8 3v10M3 8h10",
  bell: "M4 11V7a4 4 0 0 1 8 0v4l1 1H3zM6.8 14h2.4",
  chart: "M2.5 2.5v11h11M5.5 10.5v-2M8.5 10.5v-5M11.5 10.5v-3.5",
  "chevron-down": "M3 6l5 5 5-5",
  "chevron-right": "M6 3l5 5-5 5",
  check: "M3 8.5l3.2 3.2L13 4.8",
  clock: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2M8 4.8V8l2.2 1.6",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M6 6h7v7H6zM10 6V3H3v7h3",
  delete: "M2.5 4.2h11M6.2 4V2.5h3.6V4M4 4.2l.6 9.3h6.8l.6-9.3M6.6 6.8l.2 4.2M9.4 6.8L9.2 11",
  down: "M8 3v10M4 9l4 4 4-4",
  download: "M8 2.5v7.5M5 7.2l3 3 3-3M2.5 13.5h11",
  edit: "M3 13l.8-3.2 7-7a1.1 1.1 0 0 1 1.6 0l.8.8a1.1 1.1 0 0 1 0 1.6l-7 7zM9.6 4l2.4 2.4",
  filter: "M2 3.5h12L9.5 9v4.5l-3-1.5V9z",
  folder: "M2 12.5v-9h4.2l1.5 1.8H14v7.2z",
  link: "M6.8 9.2l2.4-2.4M7.5 4.8l1.3-1.3a2.6 2.6 0 0 1 3.7 3.7l-1.3 1.3M8.5 11.2l-1.3 1.3a2.6 2.6 0 0 1-3.7-3.7l1.3-1.3",
  mail: "M2 3.5h12v9H2zM2.5 4l5.5 4.5L13.5 4",
  message: "M2.5 3h11v8H8l-3 2.5V11H2.5z",
  moon: "M13.5 9.6A5.8 5.8 0 1 1 6.4 2.5a4.6 4.6 0 0 0 7.1 7.1z",
  more: "M2.5 8a.5.5 0 1 1 1 0 .5.5 0 1 1-1 0M7.5 8a.5.5 0 1 1 1 0 .5.5 0 1 1-1 0M12.5 8a.5.5 0 1 1 1 0 .5.5 0 1 1-1 0",
  notebook: "M4.5 2h9v12h-9zM2.5 5h2M2.5 8h2M2.5 11h2M7 5.5h4M7 8.5h4",
  parameter: "M2 4.5h7M13 4.5h1M11 2.7v3.6M2 11.5h1M7 11.5h7M5 9.7v3.6",
  refresh: "M13 6.5A5.3 5.3 0 0 0 3.3 5.4M13.2 3v3.5H9.7M3 9.5a5.3 5.3 0 0 0 9.7 1.1M2.8 13V9.5h3.5",
  report: "M3.5 2h6l3 3v9h-9zM9.5 2v3h3M6 8h4M6 11h4",
  run: "M4.5 2.8l8 5.2-8 5.2z",
  screen: "M2 3h12v8H2zM5.5 13.5h5",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.4 10.4l3.1 3.1",
  settings: "M2 4h5M11 4h3M9 2.3v3.4M2 12h3M9 12h5M7 10.3v3.4",
  "sign-out": "M6.5 2.5h-4v11h4M6 8h7.5M10.5 5l3 3-3 3",
  stop: "M4 4h8v8H4z",
  sun: "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7",
  table: "M2 3h12v10H2zM2 6.3h12M2 9.6h12M6.5 6.3V13",
  text: "M3 4V2.8h10V4M8 2.8v10.4M6 13.2h4",
  trigger: "M9 1.8L3.5 9H8l-1 5.2L12.5 7H8z",
  up: "M8 13V3M4 7l4-4 4 4",
  warning: "M8 2.5l6 11H2zM8 6.5v3.2M8 11.6h0",
};

/** @typedef {keyof typeof LINES} IconName */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Draw an icon.
 *
 * @param {IconName} name
 */
export function icon(name) {
  const picture = document.createElementNS(SVG, "svg");
  const lines = document.createElementNS(SVG, "path");
  for (const [key, value] of [
    ["viewBox", "0 0 16 16"],
    ["class", "icon"],
    ["aria-hidden", "true"],
    ["focusable", "false"],
  ])
    picture.setAttribute(key, value);
  lines.setAttribute("d", LINES[name]);
  picture.append(lines);
  return picture;
}

/**
 * Make a button that shows an icon instead of its label, which is its name for screen readers and its tooltip.
 *
 * @param {IconName} name
 * @param {string} label
 * @param {() => unknown} work
 * @param {{ kind?: string } & Ui.Settings} [settings]
 */
export const iconButton = (name, label, work, { kind = "", ...settings } = {}) =>
  button(
    "",
    work,
    { kind: `icon-button ${kind}`.trim(), "aria-label": label, title: label, ...settings },
    icon(name),
  );
