// Calls of the service.

import { locate } from "./addresses.js";
import { isAbort, NO_ANSWER } from "./errors.js";
import { parseJson, writeJson } from "./exact_json.js";
import { readServerTime } from "./server_time.js";
import { askForSignIn, countSignIns, OWN_PAGE } from "./session.js";

/** Lists and rows that have values of users, whose numbers keep their digits. */
const USER_VALUES = /^(api\/v1\/(block|noteflow_run|webhook_delivery)|app\/notebook)\//;

/** An answer that is not 2xx; its message is the service's. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Tell whether the same call may succeed later: the service does not answer, is overloaded, or nobody is signed in.
 *
 * @param {unknown} error
 * @returns {error is ApiError}
 */
export const isOutage = (error) =>
  error instanceof ApiError && ([0, 401, 429].includes(error.status) || error.status >= 500);

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
  const answer = await send(method, path, { body, text, query, signal });
  if (answer.status !== 401) return readAnswer(answer, path);
  if (isUnasked) throw new ApiError(401, (await findReason(answer)) || "You are signed out.");
  // Another call may have been answered, and somebody have signed in, since this one was sent.
  if (signIns === countSignIns()) await askForSignIn(await findReason(answer));
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
async function send(method, path, { body, text, query, signal }) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...OWN_PAGE };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (text !== undefined) headers["Content-Type"] = "text/plain; charset=utf-8";
  const payload = text ?? (body === undefined ? undefined : writeJson(body));
  try {
    const answer = await fetch(locate(path, query), {
      method,
      headers,
      body: payload,
      signal,
      credentials: "same-origin",
    });
    // What the browser may have kept has the time at which it was sent.
    if (!answer.headers.get("cache-control")?.includes("max-age")) readServerTime(answer.headers.get("date"));
    return answer;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, NO_ANSWER);
  }
}

/**
 * Find why one is to sign in, unless it is only that nobody is signed in.
 *
 * @param {Response} answer
 * @returns {Promise<string>}
 */
async function findReason(answer) {
  const { message } = await answer.json().catch(() => ({}));
  return answer.headers.get("x-pushmetrics-reason") === "other-user" ? message : "";
}

/**
 * Say that an answer was cut off, as it is when the service ends.
 *
 * @param {unknown} error
 * @returns {never}
 */
function refuseCut(error) {
  if (isAbort(error)) throw error;
  throw new ApiError(0, NO_ANSWER);
}

/**
 * @param {Response} answer
 * @param {string} path
 */
async function readAnswer(answer, path) {
  const text = await answer.text().catch(refuseCut);
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const value = isJson && text ? (USER_VALUES.test(path) ? parseJson : JSON.parse)(text) : text;
  if (answer.ok) return value;
  const wait = answer.headers.get("retry-after");
  const message = value?.message ?? `The service answers ${answer.status}`;
  throw new ApiError(answer.status, wait && answer.status === 429 ? `${message} (in ${wait} s)` : message);
}
