// Values of parameters as texts of a form, and back. The service checks them again, by the same rules.

import { isolate, quote } from "../elements/format.js";
import { ExactNumber, parseJson, writeJson } from "../http/exact_json.js";

/** @type {Record<string, string>} */
const NAMES = {
  text: "a text",
  integer: "a whole number, such as 12",
  number: "a number, such as 12.5",
  boolean: "true or false",
  date: "a date, such as 2026-03-01",
  timestamp: "a time, such as 2026-03-01T12:00:00",
};

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME = /^([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d([.,]\d{1,6})?)?)?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)?$/;

/** @type {Record<string, (text: string) => boolean>} */
const CHECKS = {
  integer: (text) => /^[+-]?\d+(_\d+)*$/.test(text),
  number: (text) => /^[+-]?(\d+(_\d+)*\.?(\d+)?|\.\d+)(e[+-]?\d+)?$/i.test(text),
  boolean: (text) => /^(true|t|yes|y|on|1|false|f|no|n|off|0)$/i.test(text),
  date: isDate,
  timestamp: (text) => {
    const [date, time] = [text.slice(0, 10), text.slice(10)];
    return isDate(date) && (time === "" || TIME.test(time.slice(1)));
  },
};

/** @param {string} text */
function isDate(text) {
  const match = DATE.exec(text);
  if (!match) return false;
  const [year, month, day] = match.slice(1).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/**
 * Write a value as the text that stands for it in a form; a list with commas, or as JSON if a value has one.
 *
 * @param {Api.Content} content The content of the Parameter block.
 * @param {unknown} value
 * @returns {string}
 */
export function writeValue(content, value) {
  if (value === null || value === undefined) return "";
  if (!content.multiple) return typeof value === "string" ? value : writeJson(value);
  const values = listValues(value);
  const isPlain = values.every(
    (one) =>
      (typeof one !== "object" || one instanceof ExactNumber) && !/[,[\]"]|^\s|\s$|^$/.test(String(one)),
  );
  return isPlain ? values.map(String).join(", ") : writeJson(values);
}

/**
 * List the values that a parameter with a list has: a text is one as the service reads it, such as that of a URL.
 *
 * @param {unknown} value
 * @returns {unknown[]}
 */
export function listValues(value) {
  if (value === null || value === undefined) return [];
  if (typeof value !== "string") return [value].flat();
  if (!value.trim()) return [];
  if (value.trimStart().startsWith("[")) {
    try {
      const values = parseJson(value);
      if (Array.isArray(values)) return values;
    } catch {
      // The service reads it as values with commas between.
    }
  }
  return value.split(",").map((one) => one.trim());
}

/**
 * Name the type of a parameter.
 *
 * @param {Api.Content} content
 */
export function describeType({ type = "any", multiple }) {
  if (type === "any") return multiple ? "list of any type" : "any type";
  return multiple ? `list of ${type}` : type;
}

/**
 * Describe what a parameter takes.
 *
 * @param {Api.Content} content
 */
export function describeParameter(content) {
  const hasDefault = content.default !== null && content.default !== undefined;
  return [
    describeType(content) + (content.multiple ? ", with commas between" : ""),
    content.required && "required",
    hasDefault && `default ${writeValue(content, content.default)}`,
  ]
    .filter(Boolean)
    .join(", ");
}

/**
 * Say what is wrong with a text; null if nothing is.
 *
 * @param {{ name: string, content: Api.Content }} block
 * @param {string} text
 * @returns {string | null}
 */
export function checkText({ name, content }, text) {
  if (!text.trim()) return content.required ? `Enter a value for ${isolate(name)}.` : null;
  const check = CHECKS[content.type];
  const texts = content.multiple ? listValues(text).filter((one) => typeof one === "string") : [text];
  const wrong = check && texts.find((one) => !check(one.trim()));
  if (wrong === undefined) return null;
  const shown = wrong.length > 40 ? `${wrong.slice(0, 40)}…` : wrong;
  return `${describeWanted({ name, content })} ${quote(shown.trim())} is not.`;
}

/** @param {{ name: string, content: Api.Content }} block */
export const describeWanted = ({ name, content }) =>
  `${content.multiple ? `Each value of ${isolate(name)}` : isolate(name)} must be ${NAMES[content.type]}.`;

/**
 * Give the value that a text of a form stands for; undefined if the service is to choose the default.
 *
 * @param {Api.Content} content
 * @param {string} text
 * @param {string} begin The text that the form began with. It stands for the value that it was made of, whatever its type is.
 * @param {unknown} initial That value; undefined for the default.
 */
export function readValue(content, text, begin, initial) {
  if (text === begin) return initial;
  if (text.trim()) return text;
  const isText = !content.multiple && ["text", "any"].includes(content.type ?? "any");
  return isText ? "" : null;
}

/**
 * Tell whether a browser's own field for a type can show a value: its fields for moments have no zone.
 *
 * @param {Api.Content} content
 * @param {string} text
 */
export function fitsOwnField(content, text) {
  if (!text) return true;
  if (content.type === "date") return isDate(text);
  return content.type !== "timestamp" || /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/.test(text);
}
