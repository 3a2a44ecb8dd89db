// Tables, and lists that are read page by page.

import { getList } from "./api.js";
import { button } from "./buttons.js";
import { el, fill } from "./dom.js";
import { count } from "./format.js";
import { pause } from "./waiting.js";

/**
 * Make a table: `columns` are [heading, make the content of a cell from a row, class of the cells].
 *
 * @template Row
 * @param {readonly Ui.Optional<Ui.Column<Row>>[]} columns
 * @param {readonly Row[]} rows
 * @param {string} caption
 */
export function makeTable(columns, rows, caption) {
  const shown = columns.flatMap((column) => (column ? [column] : []));
  const head = el(
    "tr",
    {},
    shown.map(([title, , kind]) =>
      el("th", { scope: "col", class: kind }, title || el("span", { class: "unseen" }, "Actions")),
    ),
  );
  const body = rows.map((row) =>
    el(
      "tr",
      {},
      shown.map(([, build, kind]) => el("td", { class: kind }, build(row))),
    ),
  );
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
  signal,
}) {
  const place = el("div", {});
  const list = { node: place, page: 0, turn: 0, looks: 0, show };

  /**
   * @param {number} page
   * @returns {Promise<unknown>}
   */
  async function show(page = list.page) {
    list.page = page;
    list.turn += 1;
    const answer = await getList(path, { filters: getFilters(), page, size, order, query, signal });
    if (!answer.count) return fill(place, whenEmpty());
    if (!answer.result.length) return show(Math.max(0, Math.ceil(answer.count / size) - 1));
    fill(place, makeTable(columns, answer.result, caption), makePager(answer.count));
    if (answer.result.some(isMoving)) lookAgain(list.turn);
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
        ? button(label, () => show(page), { kind: "quiet reads" })
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
