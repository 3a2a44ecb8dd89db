// The tab of a task instance: its run of a report, looked at again while that may change.

import { ask, el, find, followTheme, isDark, makeLink, makeTime, showProblem } from "./page.js";

/**
 * @typedef {object} Block
 * @property {string | null} name
 * @property {string | null} type
 * @property {string | null} status
 * @property {string} [error]
 * @property {string} [output]
 * @property {string} [block_uid]
 * @property {number} [query_id]
 * @property {number} [row_count]
 * @property {number} [duration_seconds]
 */

/** @typedef {{ created_on: string | null, effective_level: string | null, message: string | null }} LogLine */

/**
 * @typedef {object} Run
 * @property {string} id
 * @property {string} report_id
 * @property {string | null} query_id The query, if it ran outside of its report.
 * @property {string} url
 * @property {string} report_url
 * @property {string | null} status
 * @property {boolean} is_finished
 * @property {string | null} [name]
 * @property {string | null} [start_time]
 * @property {string | null} [end_time]
 * @property {string | null} [error]
 * @property {Record<string, string>} [parameters] Their values in JSON.
 * @property {Block[]} blocks
 * @property {LogLine[] | null} log null if PushMetrics has none
 * @property {boolean} [is_log_cut]
 */

/**
 * @typedef {object} Task
 * @property {string | null} state
 * @property {number} try_number
 * @property {boolean} is_final
 * @property {Run | null} run
 * @property {string} [message] Why there is no run.
 */

/**
 * @typedef {object} Rows
 * @property {{ name: string, is_number: boolean }[]} columns
 * @property {(string | null)[][]} rows
 * @property {boolean} has_more
 * @property {boolean | null} is_truncated
 * @property {number | null} row_limit
 */

const REFRESH_SECONDS = 3;
const SECONDS_AFTER_A_PROBLEM = 15;
const SHOWN_AT_ONCE = 3;
const PARAMETER = "parameter";

/** The task instance, as a query. Airflow 3.1 writes the ids as they are, so a "+" is a plus. */
const task = readTask(location.search);
/** @type {Map<string, string>} What each block was made of. */
const shown = new Map();
/** @type {string | null} */
let shownRun = null;
let shownLog = "";

/** @param {string} search */
function readTask(search) {
  const found = new URLSearchParams();
  for (const pair of search.slice(1).split("&")) {
    const [name, ...value] = pair.split("=");
    found.set(name, decode(value.join("=")));
  }
  // Airflow leaves the name in braces if a task is not mapped.
  if (!/^-?[0-9]+$/.test(found.get("map_index") ?? "")) found.set("map_index", "-1");
  return found;
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * @param {string} path
 * @param {Record<string, string>} more
 */
const build = (path, more = {}) => `${path}?${new URLSearchParams([...task, ...Object.entries(more)])}`;

/** @param {number} seconds */
function describeSeconds(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.floor(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {string | null | undefined} status */
const makeState = (status) => el("span", { class: `state ${status ?? ""}` }, status ?? "");

/** @param {Task} found */
function show(found) {
  const { run, message } = found;
  find("message", HTMLElement).textContent = message ?? "";
  find("message", HTMLElement).hidden = !message;
  if (!run || run.id !== shownRun) {
    find("blocks", HTMLElement).replaceChildren();
    shown.clear();
    shownRun = run?.id ?? null;
  }
  showHead(run);
  showFacts(found);
  if (!run) return;
  const blocks = run.query_id === null ? run.blocks : [{ name: "Result", type: "sql", status: null }];
  for (const [index, block] of blocks.entries()) showBlock(run, block, index);
  showLog(run);
}

/** @param {Run | null} run */
function showHead(run) {
  const what = run?.query_id ? `Run ${run.id} of query ${run.query_id}` : `Run ${run?.id}`;
  find("title", HTMLElement).textContent = run ? `${what}${run.name ? `: ${run.name}` : ""}` : "PushMetrics";
  find("state", HTMLElement).replaceWith(
    el("span", { id: "state", class: `state ${run?.status ?? ""}` }, run?.status ?? ""),
  );
  const links = find("links", HTMLElement);
  if (links.dataset.url === (run?.url ?? "")) return;
  links.dataset.url = run?.url ?? "";
  links.replaceChildren();
  if (!run) return;
  links.append(
    makeLink(run.url, "Open the run", { opensTab: true }),
    " · ",
    makeLink(run.report_url, "Open the report", { opensTab: true }),
  );
}

/** @param {Task} found */
function showFacts({ run, state, try_number: tries }) {
  const facts = find("facts", HTMLElement);
  facts.hidden = !run;
  if (!run) return;
  const { start_time: start, end_time: end } = run;
  const seconds = start && end ? (new Date(end).getTime() - new Date(start).getTime()) / 1000 : Number.NaN;
  const parts = [
    el("span", {}, `Report ${run.report_id}`),
    start && el("span", {}, "Started ", makeTime(start)),
    Number.isFinite(seconds) && el("span", {}, `Duration ${describeSeconds(seconds)}`),
    el("span", {}, `Task ${state ?? "not scheduled"}, try ${tries}`),
  ];
  facts.replaceChildren(...parts.filter((part) => part instanceof Node));
  const error = find("run-error", HTMLElement);
  error.textContent = run.error ?? "";
  error.hidden = !run.error;
}

/**
 * Show a block; one that has not changed stays as the reader left it.
 *
 * @param {Run} run
 * @param {Block} block
 * @param {number} index
 */
function showBlock(run, block, index) {
  const list = find("blocks", HTMLUListElement);
  const key = String(index);
  const content = JSON.stringify([block, run.is_finished]);
  if (shown.get(key) === content) return;
  shown.set(key, content);
  const seconds = block.duration_seconds;
  const item = el(
    "li",
    {},
    el(
      "div",
      { class: "head" },
      el("h2", {}, block.name ?? ""),
      el("span", { class: "kind" }, block.type ?? ""),
      makeState(block.status),
      block.type === PARAMETER && el("code", {}, run.parameters?.[block.name ?? ""] ?? ""),
      block.type !== PARAMETER &&
        typeof seconds === "number" &&
        el("span", { class: "hint" }, describeSeconds(seconds)),
      typeof block.row_count === "number" &&
        el("span", { class: "hint" }, `${block.row_count} ${block.row_count === 1 ? "row" : "rows"}`),
    ),
    block.error && el("p", { class: "error" }, block.error),
    ...makeOutput(run, block, index),
  );
  const before = list.children[index];
  if (before) before.replaceWith(item);
  else list.append(item);
}

/**
 * @param {Run} run
 * @param {Block} block
 * @param {number} index
 * @returns {Node[]}
 */
function makeOutput(run, block, index) {
  const isQuery = run.query_id !== null || typeof block.query_id === "number";
  if (block.type === "chart" && block.status === "success" && block.block_uid)
    return [makeChart(block.block_uid, block.name ?? "")];
  if (isQuery && (block.status === "success" || run.query_id !== null) && run.is_finished)
    return [makeRows(block, countQueries(run, index) < SHOWN_AT_ONCE)];
  if (block.output && block.type !== "chart")
    return [el("pre", { class: "text", tabindex: "0" }, block.output)];
  return [];
}

/**
 * @param {Run} run
 * @param {number} before
 */
const countQueries = ({ blocks }, before) =>
  blocks.slice(0, before).filter((block) => typeof block.query_id === "number").length;

/**
 * @param {Block} block
 * @param {boolean} isShown Whether the rows are fetched without a click.
 */
function makeRows(block, isShown) {
  const place = el("div", {});
  const load = async () => {
    place.replaceChildren(el("p", { class: "hint" }, "Loading…"));
    try {
      /** @type {Record<string, string>} */
      const wanted = {};
      if (block.query_id !== undefined) wanted.query_id = String(block.query_id);
      /** @type {Rows} */
      const rows = await ask(build("rows", wanted));
      place.replaceChildren(...makeTable(rows, block));
    } catch (error) {
      place.replaceChildren(
        el("p", { class: "error" }, error instanceof Error ? error.message : String(error)),
      );
    }
  };
  if (isShown) {
    load();
  } else {
    const button = el("button", { type: "button", class: "quiet" }, "Show the first rows");
    button.addEventListener("click", load);
    place.append(button);
  }
  return place;
}

/**
 * @param {Rows} found
 * @param {Block} block
 */
function makeTable({ columns, rows, has_more: hasMore, is_truncated: isTruncated, row_limit: limit }, block) {
  const truncated =
    isTruncated && el("p", { class: "error" }, `Truncated at the row limit${limit ? ` of ${limit}` : ""}.`);
  if (!rows.length)
    return [el("p", { class: "hint" }, "The result has no rows."), ...(truncated ? [truncated] : [])];
  const head = columns.map(({ name, is_number: isNumber }) =>
    el("th", { scope: "col", ...(isNumber && { class: "number" }) }, name),
  );
  const body = rows.map((row) =>
    el(
      "tr",
      {},
      ...row.map((cell, at) =>
        cell === null
          ? el("td", { class: columns[at].is_number ? "null number" : "null" }, "null")
          : el("td", columns[at].is_number ? { class: "number" } : {}, cell),
      ),
    ),
  );
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
  const label = `First rows of ${block.name ?? "the result"}`;
  const total = typeof block.row_count === "number" ? ` of ${block.row_count}` : "";
  return [
    el("div", { class: "scroll rows", tabindex: "0", role: "region", "aria-label": label }, table),
    ...(hasMore ? [el("p", { class: "hint" }, `The first ${rows.length} rows${total}.`)] : []),
    ...(truncated ? [truncated] : []),
  ];
}

/**
 * @param {string} uid
 * @param {string} name
 */
function makeChart(uid, name) {
  const address = build("chart", { block_uid: uid, is_dark: String(isDark()) });
  const place = el("div", {});
  const image = el("img", { src: address, alt: `Chart ${name}` });
  image.addEventListener("error", async () => {
    const reason = await ask(address).catch((error) => error);
    const text = reason instanceof Error ? reason.message : "The chart cannot be shown.";
    place.replaceChildren(el("p", { class: "hint" }, text));
  });
  place.append(image);
  return place;
}

/** @param {Run} run */
function showLog({ log, is_log_cut: isCut }) {
  const section = find("log-section", HTMLDetailsElement);
  section.hidden = !log?.length;
  const content = JSON.stringify(log);
  if (!log || content === shownLog) return;
  shownLog = content;
  const hint = find("log-hint", HTMLElement);
  hint.textContent = isCut ? `The first ${log.length} lines. Open the run to see all.` : "";
  hint.hidden = !isCut;
  const lines = log.map(({ created_on: moment, effective_level: level, message }) =>
    el(
      "div",
      { class: /^[A-Z]+$/.test(level ?? "") ? (level ?? "") : "" },
      ...(moment ? [makeTime(moment), " "] : []),
      `${level ?? ""} ${message ?? ""}`,
    ),
  );
  find("log", HTMLElement).replaceChildren(...lines);
}

/** Look, and again while the task or its run may change; not while nobody sees the page. */
async function look() {
  let seconds = REFRESH_SECONDS;
  if (!document.hidden) {
    try {
      /** @type {Task} */
      const found = await ask(build("run"));
      showProblem(null);
      show(found);
      if (found.is_final && (!found.run || found.run.is_finished)) return;
    } catch (error) {
      find("message", HTMLElement).hidden = true;
      showProblem(error);
      seconds = SECONDS_AFTER_A_PROBLEM;
    }
  }
  setTimeout(look, seconds * 1000);
}

followTheme();
look();
