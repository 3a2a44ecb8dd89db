// What of a list is shown, in the address of its page.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  readAddress,
  readOrder,
  readPage,
  writeAddress,
  writeOrder,
  writePage,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/elements/list_address.js";

const DEFAULTS = { search: "", folder: "", order: "-updated_on", page: "1" };

test("what is written in an address is read from it, whatever it is", () => {
  for (const search of ["", "a b", "100% & more", "größe=1?#", "\u202e<script>", "+"]) {
    const state = { ...DEFAULTS, search, folder: "Sales/EMEA", page: "3" };
    assert.deepEqual(readAddress(writeAddress(state, DEFAULTS), DEFAULTS), state);
  }
});

test("an address has nothing that is as by default, and nothing unknown is read", () => {
  assert.equal(writeAddress(DEFAULTS, DEFAULTS), "");
  assert.equal(writeAddress({ ...DEFAULTS, page: "2" }, DEFAULTS), "?page=2");
  assert.deepEqual(readAddress("?other=1&__proto__=x", DEFAULTS), DEFAULTS);
});

test("pages are counted from one, and a page that is none is the first", () => {
  assert.equal(readPage(writePage(4)), 4);
  for (const wrong of ["0", "-1", "x", "1.5", "", "99999999999"]) assert.equal(readPage(wrong), 0);
});

test("an order is a column and its direction, and an unknown column is the default", () => {
  const columns = ["updated_on", "name"];
  for (const order of [
    ["name", "asc"],
    ["updated_on", "desc"],
  ])
    assert.deepEqual(readOrder(writeOrder(order), columns), order);
  assert.deepEqual(readOrder("no_such_column", columns), ["updated_on", "desc"]);
});
