// How a chart reads dates without a time: as days of the place where it is drawn. Vega reads `2026-03-01` as midnight in
// UTC and draws it in local time, which west of Greenwich is the day before. The service has the same rules (dates.py).

import { readColumn } from "./chart_checks.js";

const LOCAL_DAY = "date:'%Y-%m-%d'";
const TIME_TYPES = ["temporal", "t"];
/** The keys of a filter whose value may be a moment, as `{"year": 2026}`: it makes the field one too. */
const BOUNDS = ["equal", "lt", "lte", "gt", "gte", "range", "oneOf"];
const ROWS = ["values", "datasets"];

/**
 * Put rows into a specification, as the service does.
 *
 * @param {Ui.ChartSpec} spec
 * @param {Api.Column[]} columns
 * @param {unknown[]} values
 * @returns {Record<string, unknown>}
 */
export function putRows(spec, columns, values) {
  const dates = columns.filter(({ type }) => type.startsWith("date")).map(({ name }) => name);
  const parse = listDateFormats(spec, dates);
  return { ...spec, data: Object.keys(parse).length ? { values, format: { parse } } : { values } };
}

/**
 * List the formats of the fields which are dates and are drawn as time; what is drawn in UTC, or is replaced by a
 * transform, is left as it is.
 *
 * @param {Ui.ChartSpec} spec
 * @param {string[]} dates The columns of dates.
 */
export function listDateFormats(spec, dates) {
  const parts = [...listParts(spec)];
  const left = new Set(parts.flatMap((part) => listTexts(part.as)));
  const repeated = parts.flatMap((part) => listTexts(part.repeat));
  /** @type {Map<string, string>} The field of each column. */
  const found = new Map();
  for (const part of parts.filter(isTime)) {
    const { field } = part;
    for (const one of isObject(field) ? repeated : listTexts(field)) {
      const column = readColumn(one);
      if (isUtc(part)) left.add(column);
      else if (dates.includes(column) && !found.has(column)) found.set(column, one);
    }
  }
  const kept = [...found].filter(([column]) => !left.has(column));
  return Object.fromEntries(kept.map(([, field]) => [field, LOCAL_DAY]));
}

/** @param {Record<string, any>} part */
function isTime(part) {
  if (TIME_TYPES.includes(String(part.type).toLowerCase()) || part.timeUnit || part.scale?.type === "time")
    return true;
  return BOUNDS.some((name) => [part[name], ...list(part[name])].some(isObject));
}

/** @param {Record<string, any>} part */
function isUtc({ timeUnit, scale }) {
  if (timeUnit?.utc === true || scale?.type === "utc") return true;
  return String(isObject(timeUnit) ? timeUnit.unit : timeUnit).startsWith("utc");
}

/**
 * List all objects of a specification, except rows.
 *
 * @param {unknown} value
 * @returns {Generator<Record<string, any>>}
 */
function* listParts(value) {
  if (isObject(value)) {
    yield value;
    for (const [key, one] of Object.entries(value)) if (!ROWS.includes(key)) yield* listParts(one);
  }
  for (const one of list(value)) yield* listParts(one);
}

/**
 * List the texts of `as` and `repeat`: one, several, or several for each direction.
 *
 * @param {unknown} value
 * @returns {string[]}
 */
function listTexts(value) {
  if (isObject(value)) return Object.values(value).flatMap(listTexts);
  return [value, ...list(value)].filter((one) => typeof one === "string");
}

/** @type {(value: unknown) => unknown[]} */
const list = (value) => (Array.isArray(value) ? value : []);

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
