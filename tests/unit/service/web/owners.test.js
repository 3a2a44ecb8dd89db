// How the owners of reports are called in their list.

import assert from "node:assert/strict";
import { test } from "node:test";
import { nameOwners } from "../../../../airflow_provider_pushmetrics/service/web/page/assets/report_list/owners.js";

test("an owner is called without what is behind the @", () => {
  const names = nameOwners(["ann@example.com", null, "bob@example.com", "ann@example.com", "admin"]);
  assert.deepEqual(Object.fromEntries(names), {
    "ann@example.com": "ann",
    "bob@example.com": "bob",
    admin: "admin",
  });
});

test("owners who would have one name are called by their addresses", () => {
  const names = nameOwners(["ann@a.com", "ann@b.com", "bob@b.com", "constructor@a.com"]);
  assert.deepEqual(Object.fromEntries(names), {
    "ann@a.com": "ann@a.com",
    "ann@b.com": "ann@b.com",
    "bob@b.com": "bob",
    "constructor@a.com": "constructor",
  });
});
