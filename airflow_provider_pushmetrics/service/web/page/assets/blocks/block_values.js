// Values of blocks: as the texts of fields, and read from them.

import { isolate } from "../elements/format.js";
import { describeError } from "../http/errors.js";
import { parseJson, writeJson } from "../http/exact_json.js";

/**
 * Read a number; undefined if there is none.
 *
 * @param {string} text
 */
export const readNumber = (text) => (text === "" ? undefined : Number(text));

/**
 * Keep what a block uses among the options of a field also when it was deleted: otherwise the field would show another
 * one, and saving the block would move it there.
 *
 * @param {readonly Ui.Option[]} options
 * @param {string | null | undefined} value What the block uses; a new block uses nothing yet.
 * @param {string} name
 * @returns {readonly Ui.Option[]}
 */
export function keepDeleted(options, value, name = "") {
  if (!value || options.some(([one]) => String(one) === String(value))) return options;
  return [[value, `${isolate(name)} (deleted)`.trim()], ...options];
}

/**
 * Read the JSON of a specification. Its numbers keep their digits.
 *
 * @param {string} text
 */
export function readJson(text) {
  try {
    return parseJson(text);
  } catch (error) {
    throw new Error(`The specification is not JSON: ${describeError(error)}`);
  }
}

/**
 * Write a value as the text of a field; a text is written as it is.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function writeDefault(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : writeJson(value);
}

/**
 * Write the choices of a parameter, one a line.
 *
 * @param {unknown[] | { query: string } | null | undefined} choices
 */
export function writeChoices(choices) {
  if (!choices) return "";
  return Array.isArray(choices) ? choices.map(writeDefault).join("\n") : `query: ${choices.query}`;
}

/**
 * Read the choices of a parameter; null for any value.
 *
 * @param {string} text
 * @param {string} type
 * @returns {unknown[] | { query: string } | null}
 */
export function readChoices(text, type) {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  if (!lines.length) return null;
  const query = lines.length === 1 && /^query:\s*(.+)$/.exec(lines[0]);
  return query ? { query: query[1] } : lines.map((line) => readDefault(line, type));
}

const NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi;

/**
 * Read a value of a parameter of a type; null for none.
 *
 * @param {string} text
 * @param {string} type
 * @returns {unknown}
 */
export function readDefault(text, type) {
  if (text === "") return null;
  // These stay texts, which the service reads exactly: JavaScript would round some numbers.
  if (["text", "date", "timestamp", "number"].includes(type)) return text;
  const value = tryJson(text);
  if (value === undefined) return text;
  if (!roundsNumber(text)) return value;
  if (type !== "any") return text;
  throw new Error(`A number in ${text} has too many digits: choose a type, or write the number in quotes.`);
}

/**
 * Parse JSON; undefined if the text is none.
 *
 * @param {string} text
 * @returns {unknown}
 */
function tryJson(text) {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/**
 * Tell whether the service would round a number in JSON. Whole numbers have all their digits there.
 *
 * @param {string} json
 */
function roundsNumber(json) {
  return (json.match(NUMBER) ?? []).some((token) => {
    if (token.startsWith('"') || /^-?\d+$/.test(token)) return false;
    const value = Number(token);
    const digits = token
      .replace(/e.*$/i, "")
      .replace(/[^0-9]/g, "")
      .replace(/^0+/, "");
    if (!Number.isFinite(value) || (value === 0 && digits !== "")) return true;
    // A double keeps 15 decimal digits, and more of some numbers.
    return digits.length > 15 && String(value) !== token;
  });
}
