// Tables, and lists that are read page by page.

import { endureOutage, getList } from "../http/api.js";
import { watchRuns } from "../http/live.js";
import { pause } from "../http/waiting.js";
import { button } from "./buttons.js";
import { el, fill } from "./dom.js";
import { count } from "./format.js";
import { makePager } from "./pager.js";
import { replaceKeeping, updateChildren } from "./redraw.js";

/**
 * Make a table: `columns` are [heading, make the content of a cell from a row, class of the cells, name to sort by].
 *
 * @template Row
 * @param {readonly Ui.Optional<Ui.Column<Row>>[]} columns
 * @param {readonly Row[]} rows
 * @param {string} caption
 * @param {Ui.Sorting | null} [sorting]
 */
export function makeTable(columns, rows, caption, sorting = null) {
  const shown = columns.flatMap((column) => (column ? [column] : []));
  const head = el(
    "tr",
    {},
    shown.map(([title, , kind, key]) =>
      sorting && key
        ? makeSortHead(title, kind, key, sorting)
        : el("th", { scope: "col", class: kind }, title || el("span", { class: "unseen" }, "Actions")),
    ),
  );
  const body = rows.map((row) => makeRow(shown, row));
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", { class: "unseen" }, caption),
      el("thead", {}, head),
      el("tbody", {}, body),
    ),
  );
}

/**
 * Make a heading that sorts.
 *
 * @param {Ui.Child} title
 * @param {string | null | undefined} kind
 * @param {string} key
 * @param {Ui.Sorting} sorting
 */
function makeSortHead(title, kind, key, { order, sort }) {
  const direction = order?.[0] === key ? order[1] : null;
  const mark = { asc: "▲", desc: "▼" };
  return el(
    "th",
    {
      scope: "col",
      class: kind,
      "aria-sort": direction && { asc: "ascending", desc: "descending" }[direction],
    },
    button(
      "",
      () => sort(key),
      { kind: "sort reads" },
      title,
      el("span", { class: "mark", "aria-hidden": "true" }, direction ? mark[direction] : "↕"),
    ),
  );
}

/**
 * Give the order that the heading of a column stands for: up, and down if it is up already.
 *
 * @param {Ui.Order | undefined} order
 * @param {string} column
 * @returns {Ui.Order}
 */
export const turnOrder = (order, column) => [
  column,
  order?.[0] === column && order[1] === "asc" ? "desc" : "asc",
];

/**
 * @template Row
 * @param {readonly Ui.Optional<Ui.Column<Row>>[]} columns
 * @param {Row} row
 */
function makeRow(columns, row) {
  return el(
    "tr",
    {},
    columns.map((column) => column && el("td", { class: column[2] }, column[1](row))),
  );
}

/**
 * Make a column that has its name in each cell too, for the cards of small screens.
 *
 * @template Row
 * @param {string} title
 * @param {(row: Row) => Ui.Child} build
 * @param {string | null} kind
 * @returns {Ui.Column<Row>}
 */
export const named = (title, build, kind = null) => [
  title,
  (row) => [el("span", { class: "cell-name", "aria-hidden": "true" }, title), build(row)],
  kind,
];

const MAX_POLLS = 200;

/**
 * Make a list that shows one page at a time: `getFilters()` says what of it, `isMoving(row)` what will soon change.
 *
 * @template {keyof Api.Lists} Path
 * @param {Ui.ListViewSettings<Path>} settings
 * @returns {Ui.ListView}
 */
export function makeList({
  path,
  columns,
  isMoving = () => false,
  caption,
  noun,
  nouns,
  whenEmpty,
  getFilters = () => [],
  order,
  query,
  size = 25,
  isLive = false,
  complete,
  onChange,
  signal,
}) {
  const place = el("div", {});
  /** @type {Ui.ListView} */
  const list = { node: place, page: 0, turn: 0, polls: 0, order, show };
  const pager = makePager(`Pages of ${caption.toLowerCase()}`, (step) => turnTo(list.page + step));
  /** What stands on the page: if something else cannot be read, this is still what is shown. */
  let drawn = { page: 0, order };
  if (isLive) watchRuns(() => show(list.page, { isUnasked: true }), signal);

  /**
   * @param {number} page
   * @param {{ isUnasked?: boolean }} settings
   * @returns {Promise<unknown>}
   */
  async function show(page = list.page, { isUnasked } = {}) {
    list.page = page;
    list.turn += 1;
    const { turn } = list;
    const wanted = { filters: getFilters(), page, size, order: list.order, query, signal, isUnasked };
    let answer;
    let rows;
    try {
      answer = await getList(path, wanted);
      rows = complete && answer.result.length ? await complete(answer.result, { isUnasked }) : answer.result;
    } catch (error) {
      if (turn === list.turn) Object.assign(list, drawn);
      throw error;
    }
    if (turn !== list.turn) return; // another page, or a newer read of this one, was asked for meanwhile
    if (!answer.count) return fill(place, whenEmpty());
    if (!answer.result.length) return show(Math.max(0, Math.ceil(answer.count / size) - 1), { isUnasked });
    draw(answer.count, rows);
    if (!isLive && answer.result.some(isMoving)) poll(list.turn);
  }

  /**
   * @param {number} total
   * @param {Api.Lists[Path][]} rows
   */
  function draw(total, rows) {
    const table = place.querySelector(".scroll");
    const body = place.querySelector("tbody");
    const isSame = drawn.order === list.order;
    drawn = { page: list.page, order: list.order };
    if (!table || !body) fill(place, makeBody(rows), pager.node);
    else if (isSame) updateRows(body, rows);
    else replaceKeeping(table, makeBody(rows));
    updatePager(total);
  }

  /** @param {Api.Lists[Path][]} rows */
  function makeBody(rows) {
    const table = makeTable(columns, [], caption, { order: list.order, sort });
    const body = table.querySelector("tbody");
    if (body) updateRows(body, rows);
    return table;
  }

  /** @param {string} column */
  function sort(column) {
    list.order = turnOrder(list.order, column);
    return turnTo(0);
  }

  /** @param {number} page */
  async function turnTo(page) {
    await show(page);
    onChange?.();
  }

  /**
   * @param {HTMLElement} body
   * @param {Api.Lists[Path][]} rows
   */
  function updateRows(body, rows) {
    updateChildren(body, rows, {
      getKey: (row) => row.id,
      getLook: (row) => JSON.stringify(row),
      make: (row) => makeRow(columns, row),
    });
  }

  /**
   * Show the page anew after a while, unless somebody did so meanwhile or left.
   *
   * @param {number} turn
   */
  async function poll(turn) {
    list.polls += 1;
    if (list.polls > MAX_POLLS) return;
    try {
      await pause(list.polls, signal);
      if (turn === list.turn && !(await endureOutage(show(list.page, { isUnasked: true })))) poll(list.turn);
    } catch {
      // The page was left, or nobody is signed in: whoever acts next is told.
    }
  }

  /** @param {number} total */
  function updatePager(total) {
    const pages = Math.ceil(total / size);
    const place = pages > 1 ? `, page ${list.page + 1} of ${pages}` : "";
    pager.update({
      text: count(total, noun, nouns) + place,
      hasPrevious: list.page > 0,
      hasNext: list.page + 1 < pages,
    });
  }

  return list;
}
