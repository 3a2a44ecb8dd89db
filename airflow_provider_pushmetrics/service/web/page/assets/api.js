// Calls of the service.

import { locate } from "./addresses.js";
import { askForSignIn, OWN_PAGE } from "./session.js";

/** An answer that is not 2xx; its message is the service's. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Call the service and give what it answers; who is signed out signs in first. */
export async function call(method, path, { body, text, query, signal } = {}) {
  const answer = await send(method, path, { body, text, query, signal });
  if (answer.status !== 401) return readAnswer(answer);
  await askForSignIn();
  return readAnswer(await send(method, path, { body, text, query, signal }));
}

export const get = (path, settings) => call("GET", path, settings);
export const post = (path, body, settings) => call("POST", path, { body, ...settings });
export const put = (path, body, settings) => call("PUT", path, { body, ...settings });
export const remove = (path, settings) => call("DELETE", path, settings);

/** Get one row. */
export async function getRow(path, settings) {
  return (await get(path, settings)).result;
}

/** Get a page of a list: `filters` are [column, operator, value]. */
export async function getList(path, { filters = [], page = 0, size = 25, order, signal, query = {} } = {}) {
  const q = { filters: filters.map(([col, opr, value]) => ({ col, opr, value })), page, page_size: size };
  if (order) [q.order_column, q.order_direction] = order;
  return get(path, { query: { ...query, q: JSON.stringify(q) }, signal });
}

/** Get a whole list, page by page; for lists that stay short. */
export async function getAll(path, settings = {}) {
  const rows = [];
  for (let page = 0; ; page += 1) {
    const answer = await getList(path, { ...settings, page, size: 100 });
    rows.push(...answer.result);
    if (!answer.result.length || rows.length >= answer.count) return rows;
  }
}

async function send(method, path, { body, text, query, signal }) {
  const headers = { Accept: "application/json", ...OWN_PAGE };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (text !== undefined) headers["Content-Type"] = "text/plain; charset=utf-8";
  const payload = text ?? (body === undefined ? undefined : JSON.stringify(body));
  try {
    return await fetch(locate(path, query), {
      method,
      headers,
      body: payload,
      signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The service does not answer. Is it running, and is there a network?");
  }
}

async function readAnswer(answer) {
  const text = await answer.text();
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const value = isJson && text ? JSON.parse(text) : text;
  if (answer.ok) return value;
  const wait = answer.headers.get("retry-after");
  const message = value?.message ?? `The service answers ${answer.status}`;
  throw new ApiError(answer.status, wait && answer.status === 429 ? `${message} (in ${wait} s)` : message);
}
