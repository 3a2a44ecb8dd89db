// Calls of the service.

import { ApiError, isOutage } from "./errors.js";
import { parseJson, writeJson } from "./exact_json.js";
import { readServerTime } from "./server_time.js";
import { askForSignIn, countSignIns, OWN_PAGE } from "./session.js";
import { reach, readMessage } from "./wire.js";

/** Lists and rows that have values of users, whose numbers keep their digits. */
const USER_VALUES = /^(api\/v1\/(block|noteflow_run|webhook_delivery)|app\/notebook)\//;

/**
 * Wait for a read that is repeated: an outage of the service does not end that, unless nobody is signed in.
 *
 * @param {Promise<unknown>} reading
 * @returns {Promise<boolean>} Whether it was read.
 */
export async function endureOutage(reading) {
  try {
    await reading;
    return true;
  } catch (error) {
    if (!isOutage(error) || error.status === 401) throw error;
    return false;
  }
}

/**
 * Call the service and give what it answers; who is signed out signs in first.
 *
 * @template [Answer=unknown]
 * @param {string} method
 * @param {string} path
 * @param {Ui.CallSettings} settings
 * @returns {Promise<Answer>}
 */
export async function call(method, path, { body, text, query, signal, isUnasked } = {}) {
  const signIns = countSignIns();
  const answer = await send(method, path, { body, text, query, signal, isUnasked });
  if (answer.status !== 401) return readAnswer(answer, path);
  if (isUnasked) throw new ApiError(401, findReason(answer) || "You are signed out.");
  // Another call may have been answered, and somebody have signed in, since this one was sent.
  if (signIns === countSignIns()) await askForSignIn(findReason(answer));
  return readAnswer(await send(method, path, { body, text, query, signal }), path);
}

/** @type {<Answer = unknown>(path: string, settings?: Ui.CallSettings) => Promise<Answer>} */
export const get = (path, settings) => call("GET", path, settings);
/** @type {<Answer = unknown>(path: string, body?: unknown, settings?: Ui.CallSettings) => Promise<Answer>} */
export const post = (path, body, settings) => call("POST", path, { body, ...settings });
/** @type {<Answer = unknown>(path: string, body?: unknown, settings?: Ui.CallSettings) => Promise<Answer>} */
export const put = (path, body, settings) => call("PUT", path, { body, ...settings });
/** @type {<Answer = unknown>(path: string, settings?: Ui.CallSettings) => Promise<Answer>} */
export const remove = (path, settings) => call("DELETE", path, settings);

/**
 * Get one row.
 *
 * @template Row
 * @param {string} path
 * @param {Ui.CallSettings} [settings]
 * @returns {Promise<Row>}
 */
export async function getRow(path, settings) {
  /** @type {{ result: Row }} */
  const { result } = await get(path, settings);
  return result;
}

/**
 * Get a page of a list: `filters` are [column, operator, value].
 *
 * @template {keyof Api.Lists} Path
 * @param {Path} path
 * @param {Ui.ListSettings} settings
 * @returns {Promise<Api.List<Api.Lists[Path]>>}
 */
export async function getList(
  path,
  { filters = [], page = 0, size = 25, order, signal, query = {}, isUnasked } = {},
) {
  const [order_column, order_direction] = order ?? [];
  const wanted = filters.flatMap((one) => (one ? [{ col: one[0], opr: one[1], value: one[2] }] : []));
  const q = { filters: wanted, page, page_size: size, order_column, order_direction };
  return get(path, { query: { ...query, q: JSON.stringify(q) }, signal, isUnasked });
}

/**
 * Get a whole list, page by page; for lists that stay short.
 *
 * @template {keyof Api.Lists} Path
 * @param {Path} path
 * @param {Ui.ListSettings} settings
 * @returns {Promise<Api.Lists[Path][]>}
 */
export async function getAll(path, settings = {}) {
  const rows = [];
  for (let page = 0; ; page += 1) {
    const answer = await getList(path, { ...settings, page, size: 100 });
    rows.push(...answer.result);
    if (!answer.result.length || rows.length >= answer.count) return rows;
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Ui.CallSettings} settings
 */
async function send(method, path, { body, text, ...settings }) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...OWN_PAGE };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (text !== undefined) headers["Content-Type"] = "text/plain; charset=utf-8";
  const payload = text ?? (body === undefined ? undefined : writeJson(body));
  const answer = await reach(path, { method, headers, body: payload, ...settings });
  // What the browser may have kept has the time at which it was sent.
  if (!answer.headers.get("cache-control")?.includes("max-age"))
    readServerTime(answer.headers.get("date"), answer.begunAt);
  return answer;
}

/**
 * Find why one is to sign in, unless it is only that nobody is signed in.
 *
 * @param {Ui.Answer} answer
 */
const findReason = ({ headers, text }) =>
  headers.get("x-pushmetrics-reason") === "other-user" ? readMessage(text) : "";

/**
 * @param {Ui.Answer} answer
 * @param {string} path
 */
function readAnswer({ headers, ok, status, text }, path) {
  const isJson = (headers.get("content-type") ?? "").includes("json");
  const value = isJson && text ? (USER_VALUES.test(path) ? parseJson : JSON.parse)(text) : text;
  if (ok) return value;
  const wait = headers.get("retry-after");
  const message = value?.message ?? `The service answers ${status}`;
  throw new ApiError(status, wait && status === 429 ? `${message} (in ${wait} s)` : message);
}
