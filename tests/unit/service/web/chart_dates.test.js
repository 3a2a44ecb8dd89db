// Dates are read as days of the place where a chart is drawn, by the same rules as in the service.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  listDateFormats,
  putRows,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/charts/chart_dates.js";

const FORMAT = "date:'%Y-%m-%d'";
const vectors = JSON.parse(
  readFileSync(new URL("../../../vectors/chart_dates.json", import.meta.url), "utf8"),
);

for (const { says, spec, fields } of vectors)
  test(`dates that are drawn as time have a format: ${says}`, () => {
    assert.deepEqual(
      Object.entries(listDateFormats(spec, ["day", "a.b"])),
      fields.map((/** @type {string} */ field) => [field, FORMAT]),
    );
  });

test("rows are put in with the formats of their dates, and without one if they need none", () => {
  const spec = { mark: "bar", encoding: { x: { field: "day", type: "temporal" } } };
  const rows = [{ day: "2026-03-01" }];
  assert.deepEqual(putRows(spec, [{ name: "day", type: "date32[day]" }], rows).data, {
    values: rows,
    format: { parse: { day: FORMAT } },
  });
  assert.deepEqual(putRows(spec, [{ name: "day", type: "timestamp[us]" }], rows).data, { values: rows });
});
