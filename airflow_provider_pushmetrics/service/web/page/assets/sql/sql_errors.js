// The line of an SQL text that an error of a database is about, if it tells.

import { listTokens, readName } from "./sql_names.js";

const EXCERPT = /(?:^|\n)LINE (\d+): (.*)/;
const NEAR_LINE = /near '([\s\S]*)' at line (\d+)$/;
/** What names something that is wrong, in the words of SQLite, MariaDB and DuckDB. */
const NAMES = [
  /^near "([^"]+)": syntax error/,
  /^no such (?:column|table|function): (\S+)$/,
  /^Unknown column '([^']+)' in /,
  /^Table '([^']+)' doesn't exist/,
  /Referenced column "([^"]+)" not found/,
  /(?:Table|Function) with name (\S+) does not exist/,
];
const TEMPLATE = /\{\{.*?\}\}|\{#.*?#\}/g;

/**
 * Find the line, from 1; null if it is not known for sure.
 *
 * @param {string} error what the database said
 * @param {string} sql what was run, with its `{{ … }}`
 * @param {readonly string[]} queries the names of the queries that the SQL may be composed of
 * @returns {number | null}
 */
export function findErrorLine(error, sql, queries) {
  if (!keepsLines(sql, queries)) return null;
  const lines = sql.split("\n");
  const excerpt = EXCERPT.exec(error);
  if (excerpt) return check(Number(excerpt[1]), lines, (line) => isExcerpt(excerpt[2], line));
  const near = NEAR_LINE.exec(error);
  if (near) return check(Number(near[2]), lines, (line) => startsIn(near[1], line));
  for (const expression of NAMES) {
    const name = expression.exec(error)?.[1];
    if (name) return findOnly(name, sql);
  }
  return null;
}

/**
 * Tell whether the text that the database got has the same lines.
 *
 * @param {string} sql
 * @param {readonly string[]} queries
 */
function keepsLines(sql, queries) {
  const templates = sql.match(TEMPLATE) ?? [];
  const isComposed = templates.some((one) => queries.some((name) => one.includes(name)));
  return !isComposed && !/\{[{%#]/.test(sql.replace(TEMPLATE, ""));
}

/**
 * @param {number} number
 * @param {string[]} lines
 * @param {(line: string) => boolean} fits
 */
const check = (number, lines, fits) => (number <= lines.length && fits(lines[number - 1]) ? number : null);

/**
 * Tell whether what a database shows is of a line, in which it got other text for each `{{ … }}`.
 *
 * @param {string} excerpt
 * @param {string} line
 */
function isExcerpt(excerpt, line) {
  const parts = line.split(TEMPLATE);
  const shown = excerpt.replace(/^\.\.\./, "").replace(/\.\.\.$/, "");
  if (parts.length === 1)
    return excerpt === shown ? line.trimEnd() === shown.trimEnd() : line.includes(shown);
  if (excerpt !== shown) return parts.some((part) => part.trim() && shown.includes(part.trim()));
  const literal = parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return parts.join("").trim() !== "" && new RegExp(`^${literal.join(".*")}$`).test(shown);
}

/**
 * Tell whether the text near an error begins in a line; at the end of the SQL there is none.
 *
 * @param {string} near
 * @param {string} line
 */
const startsIn = (near, line) => line.includes(/^\S*/.exec(near)?.[0] ?? "");

/**
 * Find the line of the only place where SQL has a name.
 *
 * @param {string} name perhaps with the name of its table or schema before it
 * @param {string} sql
 */
function findOnly(name, sql) {
  const wanted = (name.split(".").at(-1) ?? name).toLowerCase();
  const found = listTokens(sql).filter(({ whole, word }) => readName(word ?? whole).toLowerCase() === wanted);
  return found.length === 1 ? sql.slice(0, found[0].index).split("\n").length : null;
}

/**
 * Shorten what a database said to what is worth a line.
 *
 * @param {string} error
 */
export const shortenError = (error) => error.split(/\n+LINE \d+:/)[0].trim();
