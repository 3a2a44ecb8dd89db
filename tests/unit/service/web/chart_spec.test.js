// The form of a chart and its specification are two views of one thing.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AGGREGATES,
  MARKS,
  SORTS,
  STACKS,
  TIME_UNITS,
  TYPES,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/charts/chart_options.js";
import {
  EMPTY_FORM,
  readSpec,
  trimForm,
  writeSpec,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/charts/chart_spec.js";

const list = (options) => options.map(([value]) => value);

const CHOICES = {
  mark: list(MARKS),
  x: ["", "day", "a.b[0]\\c", "ü {"],
  xType: list(TYPES),
  timeUnit: list(TIME_UNITS),
  sort: list(SORTS),
  y: ["", "n", "a.b"],
  aggregate: list(AGGREGATES),
  color: ["", "kind", "x\\.y"],
  colorType: list(TYPES),
  stack: list(STACKS),
  isHorizontal: [false, true],
  title: ["", "Flights"],
  width: [640, null, 1.5],
  height: [280, null],
  schema: ["", "s"],
};

/** Combine each value of each choice with each value of each other one. */
function* listPairs() {
  const names = Object.keys(CHOICES);
  for (const one of names)
    for (const other of names)
      for (const first of CHOICES[one])
        for (const second of CHOICES[other]) yield { [one]: first, [other]: second };
}

/** Combine all values of what decides about the shape of a specification. */
function* combine(names, chosen = {}) {
  const [name, ...rest] = names;
  if (!name) yield chosen;
  else for (const value of CHOICES[name]) yield* combine(rest, { ...chosen, [name]: value });
}

const FULL = {
  ...EMPTY_FORM,
  x: "day",
  xType: "temporal",
  timeUnit: "yearmonth",
  y: "n",
  aggregate: "sum",
  color: "kind",
  colorType: "ordinal",
  stack: "normalize",
  title: "t",
};

function comesBack(form) {
  const spec = JSON.parse(JSON.stringify(writeSpec(form)));
  const read = readSpec(spec);
  assert.deepEqual(read, trimForm(form), JSON.stringify({ form, spec }));
  assert.deepEqual(writeSpec(read), writeSpec(form));
}

test("every pair of choices comes back from its specification", () => {
  for (const base of [EMPTY_FORM, FULL])
    for (const pair of listPairs()) {
      const form = { ...base, ...pair };
      if (isWhole(form)) comesBack(form);
    }
});

test("every combination of what shapes a specification comes back from it", () => {
  let count = 0;
  for (const chosen of combine(["mark", "xType", "sort", "aggregate", "stack", "isHorizontal", "color"])) {
    comesBack({ ...EMPTY_FORM, x: "day", y: "n", ...chosen });
    count += 1;
  }
  assert.ok(count > 15_000);
});

/** The form is complete: it can be saved. */
const isWhole = (form) => form.x !== "" && (form.y !== "" || form.aggregate === "count");

test("an empty form is a specification that the form can show again", () => {
  const spec = writeSpec(EMPTY_FORM);
  assert.deepEqual(spec, { width: 640, height: 280, mark: "bar", encoding: {} });
  assert.deepEqual(writeSpec(readSpec(spec)), spec);
});

test("what is chosen for bars waits while the chart has lines", () => {
  const bars = { ...FULL, xType: "nominal", sort: "-value", isHorizontal: true, stack: "beside" };
  const lines = { ...bars, mark: "line" };
  assert.equal(JSON.stringify(writeSpec(lines)).includes("stack"), false);
  assert.deepEqual(writeSpec({ ...lines, mark: "bar" }), writeSpec(bars));
});

test("a horizontal bar has its categories on y, sorted by the values on x", () => {
  const form = { ...EMPTY_FORM, x: "carrier", y: "n", aggregate: "sum", sort: "-value", isHorizontal: true };
  assert.deepEqual(writeSpec(form).encoding, {
    y: { field: "carrier", type: "nominal", sort: "-x" },
    x: { aggregate: "sum", field: "n", type: "quantitative" },
  });
});

test("a specification that the form cannot express is not read, whatever the difference", () => {
  const spec = writeSpec(FULL);
  const { encoding } = spec;
  for (const other of [
    null,
    [],
    "bar",
    7,
    {},
    { ...spec, mark: { type: "bar" } },
    { ...spec, mark: "rule" },
    { ...spec, transform: [] },
    { ...spec, width: "container" },
    { ...spec, title: { text: "t" } },
    { ...spec, config: {} },
    { ...spec, encoding: { ...encoding, tooltip: true } },
    { ...spec, encoding: { ...encoding, x: { ...encoding.x, axis: null } } },
    { ...spec, encoding: { ...encoding, x: { ...encoding.x, type: "geojson" } } },
    { ...spec, encoding: { ...encoding, y: { ...encoding.y, aggregate: "variance" } } },
    { ...spec, encoding: { ...encoding, y: { ...encoding.y, stack: "center" } } },
    { ...spec, encoding: { ...encoding, color: "red" } },
    { ...spec, encoding: { ...encoding, x: "day" } },
    { ...spec, encoding: null },
    { ...spec, encoding: [] },
    JSON.parse(`{"__proto__": {"mark": "bar"}, "encoding": {}}`),
  ])
    assert.equal(readSpec(other), null, JSON.stringify(other));
});

test("the charts of reports that exist already are shown by the form", () => {
  const first = {
    width: 640,
    height: 280,
    mark: "bar",
    encoding: {
      x: { field: "carrier", type: "nominal", sort: null },
      y: { field: "flights", type: "quantitative" },
    },
  };
  assert.equal(readSpec(first).sort, "rows");
  assert.equal(readSpec({ mark: "line", encoding: {} }).width, null);
});
