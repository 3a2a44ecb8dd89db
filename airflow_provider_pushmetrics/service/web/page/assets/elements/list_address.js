// What of a list is shown, in the address of its page: so that Back works, and the address can be sent to somebody.

/**
 * Read the parameters of an address; what it does not have is as by default, and what the page does not know is left out.
 *
 * @template {Record<string, string>} State
 * @param {string} search
 * @param {State} defaults
 * @returns {State}
 */
export function readAddress(search, defaults) {
  const given = new URLSearchParams(search);
  const entries = Object.entries(defaults).map(([name, value]) => [name, given.get(name) ?? value]);
  return /** @type {State} */ (Object.fromEntries(entries));
}

/**
 * Write them, without those that are as by default.
 *
 * @template {Record<string, string>} State
 * @param {State} state
 * @param {State} defaults
 */
export function writeAddress(state, defaults) {
  const written = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) if (value !== defaults[name]) written.set(name, value);
  const text = written.toString();
  return text && `?${text}`;
}

/**
 * Read a number of a page as people count them; the first if it is none.
 *
 * @param {string} text
 */
export const readPage = (text) => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) - 1 : 0);

/** @param {number} page */
export const writePage = (page) => String(page + 1);

/**
 * Read an order such as `name`, or `-name` for the other direction.
 *
 * @param {string} text
 * @param {readonly string[]} columns The columns that the list can be ordered by, the default first.
 * @returns {[column: string, direction: "asc" | "desc"]}
 */
export function readOrder(text, columns) {
  const column = text.replace(/^-/, "");
  if (!columns.includes(column)) return [columns[0], "desc"];
  return [column, text.startsWith("-") ? "desc" : "asc"];
}

/** @param {readonly [column: string, direction: "asc" | "desc"]} order */
export const writeOrder = ([column, direction]) => (direction === "desc" ? `-${column}` : column);
