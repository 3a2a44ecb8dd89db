// Some rows of a result at a time: however many there are, the browser never holds more than a page.

import { button } from "../elements/buttons.js";
import { writeClipboard } from "../elements/clipboard.js";
import { el, fill, keepFocus } from "../elements/dom.js";
import { count, listNames, number } from "../elements/format.js";
import { tell } from "../elements/notices.js";
import { makePager } from "../elements/pager.js";
import { replaceKeeping } from "../elements/redraw.js";
import { makeTable, turnOrder } from "../elements/tables.js";
import { locate } from "../http/addresses.js";
import { get } from "../http/api.js";
import { describeError, isAbort } from "../http/errors.js";
import { makeCell } from "./cells.js";
import { readInTurn } from "./reading.js";
import { writeTable } from "./spreadsheet.js";

const PAGE_SIZE = 50;
const WAIT_MILLISECONDS = 250;
/** The end of a cell of which the service sends only the beginning. */
const CUT = /… \([\d,]+ characters\)$/;
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
 * @param {{ name: string } & Ui.ReadSettings} settings
 * @returns {Ui.Child}
 */
export function makeRows(base, total, { name, ...settings }) {
  const tools = el("div", { class: "row-tools" });
  const hint = el("p", { class: "hint" }, "Reading rows…");
  const place = el("div", { class: total ? "rows unread" : "rows" }, hint);
  place.style.setProperty("--rows", String(Math.min(total ?? 0, PAGE_SIZE)));
  /** @type {Ui.RowsView} */
  const view = {
    base,
    name,
    signal: settings.signal,
    place,
    tools,
    turn: 0,
    search: "",
    pager: makePager(`Pages of rows of ${name}`, turn, { role: "status" }),
  };
  /** @param {-1 | 1} step */
  function turn(step) {
    const { offset = 0, rows = [] } = view.shown ?? {};
    return showRows(view, step > 0 ? offset + rows.length : Math.max(0, offset - PAGE_SIZE));
  }
  readInTurn(place, (signal) => readFirst(view, { isUnasked: true, signal }), settings);
  return [
    el(
      "p",
      { class: "downloads" },
      el("span", {}, count(total, "row")),
      FORMATS.map(([key, label]) => makeDownload(base, key, label)),
    ),
    tools,
    place,
  ];
}

/**
 * Show the first rows; an error stands in their place and is given, unless others were asked for meanwhile.
 *
 * @param {Ui.RowsView} view
 * @param {Pick<Ui.CallSettings, "isUnasked" | "signal">} [settings]
 */
async function readFirst(view, settings) {
  const reading = showRows(view, 0, settings);
  const { turn } = view;
  try {
    await reading;
    return null;
  } catch (error) {
    if (turn !== view.turn || isAbort(error)) return null;
    fill(
      view.place,
      el("p", { class: "fault" }, describeError(error)),
      button("Try again", () => readAgain(view), { kind: "quiet reads" }),
    );
    return error;
  }
}

/** @param {Ui.RowsView} view */
async function readAgain(view) {
  await showRows(view, 0);
  keepFocus(/** @type {HTMLElement} */ (view.place.firstElementChild));
}

/**
 * @param {Ui.RowsView} view
 * @param {number} offset
 * @param {Pick<Ui.CallSettings, "isUnasked" | "signal">} [settings]
 */
async function showRows(view, offset, { isUnasked, signal = view.signal } = {}) {
  view.turn += 1;
  const { turn } = view;
  const [column, direction] = view.order ?? [];
  /** @type {Api.Rows} */
  const page = await get(`${view.base}/rows`, {
    isUnasked,
    signal,
    query: {
      offset,
      limit: PAGE_SIZE,
      search: view.search,
      column,
      is_descending: direction === "desc" ? true : null,
    },
  });
  if (turn !== view.turn) return; // other rows were asked for meanwhile
  markUse(view, offset);
  if (!view.tools.childElementCount && page.rows.length) fill(view.tools, makeTools(view, page));
  view.shown = page;
  const fresh = makePage(view, page);
  const [oldTable] = view.place.children;
  if (view.place.contains(view.pager.node)) replaceKeeping(oldTable, fresh);
  else fill(view.place, fresh, view.pager.node);
  const text = describePage(view, page);
  view.pager.node.hidden = !text;
  const end = offset + page.rows.length;
  view.pager.update({ text, hasPrevious: offset > 0, hasNext: end < page.found_count });
}

/**
 * Mark whether the reader looks for something in the rows: they must not be replaced by others then.
 *
 * @param {Ui.RowsView} view
 * @param {number} offset
 */
const markUse = ({ place, search, order }, offset) =>
  place.toggleAttribute("data-used", Boolean(search || order || offset));

/**
 * Make the search of the rows, where the service can search them, and the button that copies those that are shown.
 *
 * @param {Ui.RowsView} view
 * @param {Api.Rows} page
 * @returns {Ui.Child}
 */
function makeTools(view, page) {
  const copy = button("Copy rows", () => copyRows(view), { kind: "quiet reads" });
  if (!page.can_sort) {
    const text = "It has too many rows to be sorted and searched here: download it, or sort in SQL.";
    return [copy, el("span", { class: "hint" }, text)];
  }
  const input = el("input", { type: "search", placeholder: "Search rows", "aria-label": "Search rows" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      view.search = input.value;
      markUse(view, 0);
      readFirst(view);
    }, WAIT_MILLISECONDS);
  });
  return [input, copy];
}

/** @param {Ui.RowsView} view */
async function copyRows({ shown }) {
  if (!shown) return;
  const { columns, rows, offset } = shown;
  const isCopied = await writeClipboard(
    writeTable([columns.map((column) => column.name), ...rows].map((row) => [...row])),
  );
  const range = `Rows ${number(offset + 1)} to ${number(offset + rows.length)} of ${number(shown.found_count)}`;
  const isCut = rows.some((row) => row.some((cell) => cell !== null && CUT.test(cell)));
  if (!isCopied) tell("This browser cannot copy here: download the rows", "bad");
  else
    tell(isCut ? `${range} copied, with long cells cut off: download them for the rest` : `${range} copied`);
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

/**
 * @param {Ui.RowsView} view
 * @param {Api.Rows} page
 */
function makePage(view, { columns, rows, offset, can_sort }) {
  if (!rows.length && !view.search)
    return el(
      "p",
      { class: "hint" },
      columns.length ? `No rows, with the columns ${listNames(columns.map((one) => one.name))}.` : "No rows.",
    );
  const isNumber = columns.map((one) => /^(u?int|float|double|decimal)/.test(one.type));
  /** @type {Ui.Column<(string | null)[]>[]} */
  const cells = columns.map((column, index) => [
    el("span", { title: column.type }, column.name),
    (row) => makeCell(row[index]),
    isNumber[index] ? "number" : null,
    String(index),
  ]);
  /** @param {string} column */
  const sort = async (column) => {
    const [before, order] = [view.order, turnOrder(view.order, column)];
    view.order = order;
    try {
      await showRows(view, 0);
    } catch (error) {
      if (view.order === order) view.order = before;
      throw error;
    }
  };
  const shown = rows.length ? `Rows ${number(offset + 1)} to ${number(offset + rows.length)}` : "No rows";
  return makeTable(cells, rows, `${shown} of ${view.name}`, can_sort ? { order: view.order, sort } : null);
}

/**
 * Say which of how many rows are shown; nothing if it is all of them.
 *
 * @param {Ui.RowsView} view
 * @param {Api.Rows} page
 */
function describePage({ search }, { found_count: total, row_count: all, offset, rows }) {
  const found = total < all ? ` (${number(all)} rows in all)` : "";
  if (!total && search) return `No matching rows${found}.`;
  if (total <= PAGE_SIZE) return found && `${count(total, "matching row")}${found}`;
  return `Rows ${number(offset + 1)} to ${number(offset + rows.length)} of ${number(total)}${found}`;
}
