// The form of a chart and its Vega-Lite specification: two views of one thing.
//
// What the form shows of a specification is right by construction: the specification that the form would write is
// compared with the one that was read. Where they differ, the form cannot express it.

import { AGGREGATES, MARKS, TIME_UNITS, TYPES } from "./chart_options.js";

/** The smallest width and height, in pixels, of the form. */
export const MIN_SIZE = 1;

/** @type {Ui.ChartForm} */
export const EMPTY_FORM = {
  mark: "bar",
  x: "",
  xType: "nominal",
  timeUnit: "",
  sort: "rows",
  y: "",
  aggregate: "",
  color: "",
  colorType: "nominal",
  stack: "zero",
  isHorizontal: false,
  title: "",
  width: 640,
  height: 280,
  schema: "",
};

/** @param {Ui.ChartForm} form */
const isDiscrete = ({ xType }) => xType === "nominal" || xType === "ordinal";

/**
 * Tell which parts of a form its chart has.
 *
 * @param {Ui.ChartForm} form
 */
export function listParts(form) {
  const isPie = form.mark === "arc";
  return {
    y: form.aggregate !== "count",
    timeUnit: form.xType === "temporal",
    sort: isDiscrete(form),
    sortByValue: isDiscrete(form) && !isPie,
    color: !isPie,
    stack: !isPie && form.color !== "" && ["bar", "area"].includes(form.mark),
    beside: form.mark === "bar",
    isHorizontal: form.mark === "bar" && form.xType !== "quantitative",
  };
}

/**
 * Leave out what a form holds for other charts: what was chosen for bars waits while lines are shown.
 *
 * @param {Ui.ChartForm} form
 * @returns {Ui.ChartForm}
 */
export function trimForm(form) {
  const parts = listParts(form);
  const sort = form.sort.endsWith("value") && !parts.sortByValue ? "rows" : form.sort;
  const stack = form.stack === "beside" && !parts.beside ? "zero" : form.stack;
  return {
    ...form,
    y: parts.y ? form.y : "",
    timeUnit: parts.timeUnit ? form.timeUnit : "",
    sort: parts.sort ? sort : EMPTY_FORM.sort,
    color: parts.color ? form.color : "",
    colorType: parts.color && form.color ? form.colorType : EMPTY_FORM.colorType,
    stack: parts.stack ? stack : EMPTY_FORM.stack,
    isHorizontal: parts.isHorizontal && form.isHorizontal,
  };
}

/**
 * Write the specification of a form.
 *
 * @param {Ui.ChartForm} whole
 * @returns {Ui.ChartSpec}
 */
export function writeSpec(whole) {
  const form = trimForm(whole);
  return dropAbsent({
    $schema: form.schema || undefined,
    title: form.title || undefined,
    width: form.width ?? undefined,
    height: form.height ?? undefined,
    mark: form.mark,
    encoding: dropAbsent(form.mark === "arc" ? writeSlices(form) : writeAxes(form)),
  });
}

/** @param {Ui.ChartForm} form */
function writeAxes(form) {
  const [along, across] = form.isHorizontal ? ["y", "x"] : ["x", "y"];
  const color = form.color && { field: writeField(form.color), type: form.colorType };
  return {
    [along]: writeCategory(form, across),
    ...(form.stack === "beside" ? { [`${along}Offset`]: color } : {}),
    [across]: writeMeasure(form),
    color: color || undefined,
  };
}

/** @param {Ui.ChartForm} form */
const writeSlices = (form) => ({ theta: writeMeasure(form), color: writeCategory(form, "") });

/**
 * @param {Ui.ChartForm} form
 * @param {string} across The channel of the values.
 */
function writeCategory(form, across) {
  if (!form.x) return undefined;
  /** @type {Record<string, unknown>} */
  const sorts = {
    rows: null,
    ascending: undefined,
    descending: "descending",
    value: across,
    "-value": `-${across}`,
  };
  return dropAbsent({
    field: writeField(form.x),
    type: form.xType,
    timeUnit: form.timeUnit || undefined,
    sort: isDiscrete(form) ? sorts[form.sort] : undefined,
  });
}

/** @param {Ui.ChartForm} form */
function writeMeasure({ y, aggregate, stack }) {
  if (!y && aggregate !== "count") return undefined;
  return dropAbsent({
    aggregate: aggregate || undefined,
    field: y ? writeField(y) : undefined,
    type: "quantitative",
    stack: stack === "normalize" ? stack : stack === "none" ? null : undefined,
  });
}

/**
 * Read the form of a specification; null if the form cannot express it.
 *
 * @param {unknown} spec
 * @returns {Ui.ChartForm | null}
 */
export function readSpec(spec) {
  if (!isObject(spec) || !isObject(spec.encoding)) return null;
  for (const isHorizontal of [false, true]) {
    const form = readForm(spec, spec.encoding, isHorizontal);
    if (isSame(writeSpec(form), spec)) return trimForm(form);
  }
  return null;
}

/**
 * Read what a form may show. Whatever else the specification has is found by the comparison.
 *
 * @param {Record<string, any>} spec
 * @param {Record<string, any>} encoding
 * @param {boolean} isHorizontal
 * @returns {Ui.ChartForm}
 */
function readForm(spec, encoding, isHorizontal) {
  const isPie = spec.mark === "arc";
  const [along, across] = isPie ? ["color", "theta"] : isHorizontal ? ["y", "x"] : ["x", "y"];
  const [category, measure] = [encoding[along] ?? {}, encoding[across] ?? {}];
  const color = (!isPie && encoding.color) || {};
  return {
    mark: read(spec.mark, MARKS),
    x: readField(category.field),
    xType: read(category.type, TYPES),
    timeUnit: read(category.timeUnit ?? "", TIME_UNITS),
    sort: readSort(category, across),
    y: readField(measure.field),
    aggregate: read(measure.aggregate ?? "", AGGREGATES),
    color: readField(color.field),
    colorType: read(color.type, TYPES),
    stack: encoding[`${along}Offset`] ? "beside" : readStack(measure),
    isHorizontal,
    title: typeof spec.title === "string" ? spec.title : "",
    width: readSize(spec.width),
    height: readSize(spec.height),
    schema: typeof spec.$schema === "string" ? spec.$schema : "",
  };
}

/**
 * @param {Record<string, unknown>} category
 * @param {string} across
 */
function readSort({ sort }, across) {
  if (sort === undefined) return "ascending";
  if (sort === "descending") return "descending";
  return sort === across ? "value" : sort === `-${across}` ? "-value" : "rows";
}

/** @param {Record<string, unknown>} measure */
const readStack = ({ stack }) => (stack === null ? "none" : stack === "normalize" ? "normalize" : "zero");

/** @type {(value: unknown) => number | null} */
const readSize = (value) => (typeof value === "number" && value >= MIN_SIZE ? value : null);

/**
 * Read one of the values that options have, or else the first of them.
 *
 * @param {unknown} value
 * @param {readonly Ui.Option[]} options
 */
const read = (value, options) => String((options.find(([one]) => one === value) ?? options[0])[0]);

/** @type {(column: string) => string} Vega reads dots and brackets as paths into a value. */
const writeField = (column) => column.replace(/[\\.[\]]/g, "\\$&");

/** @param {unknown} field */
const readField = (field) => (typeof field === "string" ? field.replace(/\\([\\.[\]])/g, "$1") : "");

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {Record<string, unknown>} value */
const dropAbsent = (value) =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));

/** @type {(one: unknown, other: unknown) => boolean} */
function isSame(one, other) {
  if (!isObject(one) || !isObject(other)) return one === other;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]))
  );
}
