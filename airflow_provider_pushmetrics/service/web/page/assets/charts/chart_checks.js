// What the service will refuse of a chart: said while it is written, in its words.

import { listNames, quote } from "../elements/format.js";

export const MAX_CHART_ROWS = 10_000;

const VIEWS = ["mark", "layer", "concat", "hconcat", "vconcat", "facet", "repeat"];
const ROWS = ["values", "datasets"];

/**
 * Find what is wrong with a specification; null if nothing is known.
 *
 * @param {Ui.ChartSpec} spec
 * @param {string[]} columns Those of the query.
 */
export function findChartFault(spec, columns) {
  if (!VIEWS.some((key) => key in spec)) return `It draws nothing: it must have one of ${VIEWS.join(", ")}.`;
  const found = [...walk(spec)];
  if (found.some(([key, value]) => key === "data" && has(value, "url")))
    return "It has data.url: charts load nothing, and draw the rows of their query.";
  if (found.some(([key, value]) => key === "data" && countSequence(value) > MAX_CHART_ROWS))
    return `It has a data.sequence of more than ${MAX_CHART_ROWS} rows.`;
  if (found.some(([key, value]) => key === "mark" && [value, value?.type].includes("image")))
    return "It has an image mark: charts load no images.";
  if (found.some(([key]) => key === "href")) return "It has href: charts have no links.";
  return findUnknownField(spec, found, columns);
}

/**
 * Find a field that is no column: Vega would draw an axis without values. What a specification transforms, or draws of
 * data of its own, has other fields.
 *
 * @param {Ui.ChartSpec} spec
 * @param {[string, any][]} found
 * @param {string[]} columns
 */
function findUnknownField({ data: _replaced, ...views }, found, columns) {
  const hasOthers =
    found.some(([key]) => key === "transform") || [...walk(views)].some(([key]) => key === "data");
  if (hasOthers) return null;
  const unknown = found.find(
    ([key, value]) =>
      key === "field" && typeof value === "string" && value !== "*" && !columns.includes(readColumn(value)),
  );
  return unknown ? `${quote(unknown[1])} is not a column of the query: ${listNames(columns)}.` : null;
}

/**
 * Read the column of a field: Vega's paths name parts of values, as in `a.b`, `a[0]` or `a\.b`.
 *
 * @param {string} field
 */
export function readColumn(field) {
  if (field.startsWith("["))
    return field
      .slice(1)
      .split("]")[0]
      .replace(/^["']+|["']+$/g, "");
  const path = /^(?:\\.|[^.[\\])*/su.exec(field)?.[0] ?? "";
  return path.replace(/\\(.)/gsu, "$1");
}

/** @param {any} data */
function countSequence(data) {
  const { start = 0, stop = 0, step = 1 } = data?.sequence ?? {};
  return Math.abs(stop - start) / (Math.abs(step) || 1);
}

/** @type {(value: unknown, name: string) => boolean} */
const has = (value, name) => typeof value === "object" && value !== null && name in value;

/**
 * Walk through all keys of a specification, except rows.
 *
 * @param {unknown} value
 * @returns {Generator<[string, any]>}
 */
function* walk(value) {
  if (Array.isArray(value)) for (const one of value) yield* walk(one);
  else if (typeof value === "object" && value !== null) {
    for (const [key, one] of Object.entries(value)) {
      yield [key, one];
      if (!ROWS.includes(key)) yield* walk(one);
    }
  }
}
