// The clock of the service.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  getServerTime,
  readServerTime,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/http/server_time.js";

const NOW = Date.UTC(2026, 2, 1, 12, 0, 0);

test("a machine whose clock is wrong shows the time of the service", () => {
  readServerTime("Sun, 01 Mar 2026 12:10:00 GMT", NOW);
  assert.equal(getServerTime(NOW + 5000), NOW + 605_000);
});

test("a difference of whole seconds is none, and an answer without a time changes nothing", () => {
  readServerTime("Sun, 01 Mar 2026 12:00:02 GMT", NOW);
  assert.equal(getServerTime(NOW), NOW);
  readServerTime("Sun, 01 Mar 2026 11:00:00 GMT", NOW);
  for (const unknown of [null, "", "yesterday"]) readServerTime(unknown, NOW);
  assert.equal(getServerTime(NOW), NOW - 3_600_000);
});
