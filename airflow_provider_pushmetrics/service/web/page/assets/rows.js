// Some rows of a result at a time: however many there are, the browser never holds more than a page.

import { locate } from "./addresses.js";
import { get } from "./api.js";
import { button } from "./buttons.js";
import { el, fill } from "./dom.js";
import { describeError } from "./errors.js";
import { count, number } from "./format.js";
import { makeTable } from "./tables.js";

const PAGE_SIZE = 50;
/** @type {[string, string][]} */
const FORMATS = [
  ["csv", "CSV"],
  ["xlsx", "Excel"],
  ["json", "JSON"],
  ["ndjson", "NDJSON"],
  ["parquet", "Parquet"],
  ["arrow", "Arrow"],
];

/**
 * Make the view of a query's result: downloads, and its first rows when they are there.
 *
 * @param {string} base
 * @param {number | null} total
 * @returns {Ui.Child}
 */
export function makeRows(base, total) {
  const place = el("div", {}, el("p", { class: "hint" }, "Reading rows…"));
  /** @param {number} offset */
  const show = async (offset) => {
    /** @type {Api.Rows} */
    const page = await get(`${base}/rows`, { query: { offset, limit: PAGE_SIZE } });
    fill(place, makePage(page), makePager(page, show));
  };
  show(0).catch((error) => fill(place, el("p", { class: "fault" }, describeError(error))));
  return [
    el(
      "p",
      { class: "downloads" },
      el("span", {}, count(total, "row")),
      FORMATS.map(([key, label]) => makeDownload(base, key, label)),
    ),
    place,
  ];
}

/**
 * @param {string} base
 * @param {string} key
 * @param {string} label
 */
function makeDownload(base, key, label) {
  return el(
    "a",
    {
      href: locate(`${base}/download`, { format: key }).href,
      download: true,
      "aria-label": `Download as ${label}`,
    },
    label,
  );
}

/** @param {Api.Rows} page */
function makePage({ columns, rows, offset }) {
  if (!rows.length)
    return el(
      "p",
      { class: "hint" },
      columns.length ? `No rows, with the columns ${columns.map((one) => one.name).join(", ")}.` : "No rows.",
    );
  const isNumber = columns.map((one) => /^(u?int|float|double|decimal)/.test(one.type));
  /** @type {Ui.Column<(string | null)[]>[]} */
  const cells = columns.map((column, index) => [
    el("span", { title: column.type }, column.name),
    (row) => writeCell(row[index]),
    isNumber[index] ? "number" : null,
  ]);
  return makeTable(cells, rows, `Rows ${number(offset + 1)} to ${number(offset + rows.length)}`);
}

/**
 * @param {Api.Rows} page
 * @param {(offset: number) => Promise<void>} show
 */
function makePager({ row_count: total, offset }, show) {
  if (total <= PAGE_SIZE) return null;
  /**
   * @param {string} label
   * @param {number} to
   * @param {boolean} isPossible
   */
  const turn = (label, to, isPossible) =>
    isPossible
      ? button(label, () => show(to), { kind: "quiet reads" })
      : el("button", { type: "button", class: "quiet reads", disabled: true }, label);
  const end = Math.min(offset + PAGE_SIZE, total);
  return el(
    "nav",
    { class: "pager", "aria-label": "Pages of rows" },
    el("span", { class: "hint" }, `Rows ${number(offset + 1)} to ${number(end)} of ${number(total)}`),
    turn("Previous", Math.max(0, offset - PAGE_SIZE), offset > 0),
    turn("Next", end, end < total),
  );
}

/**
 * Cells come as texts, so that no digit is lost here; null and the empty text look different.
 *
 * @param {string | null} value
 */
function writeCell(value) {
  if (value === null) return el("span", { class: "null" }, "null");
  return value === "" ? el("span", { class: "null", title: "The empty text" }, "\u201c\u201d") : value;
}
