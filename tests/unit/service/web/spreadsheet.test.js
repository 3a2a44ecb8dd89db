// Rows as the text that spreadsheets paste.

import assert from "node:assert/strict";
import { test } from "node:test";
import { writeTable } from "../../../../airflow_provider_pushmetrics/service/web/page/assets/results/spreadsheet.js";

test("cells have tabs between them, and rows end with a line", () => {
  assert.equal(
    writeTable([
      ["n", "name"],
      ["1", "a"],
      ["0.10", "NaN"],
    ]),
    "n\tname\n1\ta\n0.10\tNaN\n",
  );
  assert.equal(writeTable([]), "");
});

test("null is an empty cell and the empty text is quoted", () => {
  assert.equal(writeTable([[null, "", null]]), '\t""\t\n');
});

test("a cell with a tab, a line break or a quote stays one cell", () => {
  assert.equal(writeTable([["a\tb", "a\nb", 'say "a"', "a\r"]]), '"a\tb"\t"a\nb"\t"say ""a"""\t"a\r"\n');
});
