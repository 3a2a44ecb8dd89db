// Tables, and lists that are read page by page.

import { getList } from "../http/api.js";
import { watchRuns } from "../http/live.js";
import { pause } from "../http/waiting.js";
import { button } from "./buttons.js";
import { el, fill } from "./dom.js";
import { count } from "./format.js";
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
 * Make a heading that sorts: first in its own direction, then in the other.
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
      () => sort([key, direction === "asc" ? "desc" : "asc"]),
      { kind: "sort reads" },
      title,
      el("span", { class: "mark", "aria-hidden": "true" }, direction ? mark[direction] : "↕"),
    ),
  );
}

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

const MOST_LOOKS = 200;

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
  const list = { node: place, page: 0, turn: 0, looks: 0, order, show };
  if (isLive) watchRuns(() => show(), signal);

  /**
   * @param {number} page
   * @returns {Promise<unknown>}
   */
  async function show(page = list.page) {
    list.page = page;
    list.turn += 1;
    const { turn } = list;
    const answer = await getList(path, {
      filters: getFilters(),
      page,
      size,
      order: list.order,
      query,
      signal,
    });
    const rows = complete && answer.result.length ? await complete(answer.result) : answer.result;
    if (turn !== list.turn) return; // another page, or another look at this one, was asked for meanwhile
    if (!answer.count) return fill(place, whenEmpty());
    if (!answer.result.length) return show(Math.max(0, Math.ceil(answer.count / size) - 1));
    draw(answer.count, rows);
    if (!isLive && answer.result.some(isMoving)) lookAgain(list.turn);
  }

  /**
   * @param {number} total
   * @param {Api.Lists[Path][]} rows
   */
  function draw(total, rows) {
    const table = place.querySelector(".scroll");
    const body = place.querySelector("tbody");
    const pager = place.querySelector("nav");
    if (!table || !body || !pager) return fill(place, makeBody(rows), makePager(total));
    if (drawnOrder === list.order) updateRows(body, rows);
    else replaceKeeping(table, makeBody(rows));
    replaceKeeping(pager, makePager(total));
  }

  /** @type {Ui.ListView["order"]} */
  let drawnOrder;

  /** @param {Api.Lists[Path][]} rows */
  function makeBody(rows) {
    drawnOrder = list.order;
    const table = makeTable(columns, [], caption, { order: list.order, sort });
    const body = table.querySelector("tbody");
    if (body) updateRows(body, rows);
    return table;
  }

  /** @param {readonly [column: string, direction: "asc" | "desc"]} wanted */
  function sort(wanted) {
    list.order = wanted;
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
  async function lookAgain(turn) {
    list.looks += 1;
    if (list.looks > MOST_LOOKS) return;
    try {
      await pause(list.looks, signal);
      if (turn === list.turn) await show();
    } catch {
      // The page was left, or the service is away: whoever acts next is told.
    }
  }

  /** @param {number} total */
  function makePager(total) {
    const pages = Math.ceil(total / size);
    /**
     * @param {string} label
     * @param {number} page
     * @param {boolean} isPossible
     */
    const turn = (label, page, isPossible) =>
      isPossible
        ? button(label, () => turnTo(page), { kind: "quiet reads" })
        : el("button", { type: "button", class: "quiet reads", disabled: true }, label);
    return el(
      "nav",
      { class: "pager", "aria-label": `Pages of ${caption.toLowerCase()}` },
      el(
        "span",
        { class: "hint" },
        count(total, noun, nouns),
        pages > 1 ? `, page ${list.page + 1} of ${pages}` : "",
      ),
      pages > 1 && [
        turn("Previous", list.page - 1, list.page > 0),
        turn("Next", list.page + 1, list.page + 1 < pages),
      ],
    );
  }

  return list;
}
