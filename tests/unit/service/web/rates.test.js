// How the share of accepted deliveries is written.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  describeRate,
  rankRate,
  writeRate,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/webhooks/rates.js";

/**
 * @param {number} delivered
 * @param {number} failed
 * @param {number} retried
 */
const make = (delivered, failed = 0, retried = 0) => ({ delivered, failed, retried, success_rate: null });

test("a rate is 100% only if everything was delivered, and 0% only if nothing was", () => {
  assert.equal(writeRate(make(500000)), "100%");
  assert.equal(writeRate(make(499999, 1)), "99.9%");
  assert.equal(writeRate(make(1, 500000)), "< 0.1%");
  assert.equal(writeRate(make(0, 0, 7)), "0%");
  assert.equal(writeRate(make(57, 43)), "57%");
  assert.equal(writeRate(make(2, 1)), "66.6%");
});

test("an endpoint without deliveries has no rate and no color", () => {
  assert.equal(writeRate(make(0)), "–");
  assert.equal(describeRate(make(0)), "no deliveries");
  assert.equal(rankRate(make(0)), "");
});

test("retries that are pending are told, and count against the endpoint", () => {
  assert.equal(describeRate(make(3, 1, 2)), "3 of 6 deliveries, 1 failure, 2 retries pending");
  assert.deepEqual(
    [rankRate(make(9, 1)), rankRate(make(8, 0, 2)), rankRate(make(8))],
    ["warn", "bad", "good"],
  );
});
