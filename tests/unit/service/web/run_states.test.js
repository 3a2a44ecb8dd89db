// What the states of the blocks of a run mean together.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  describeLook,
  describeRuns,
  findFirstFailed,
  measureBars,
  nameState,
  placeBar,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/runs/run_states.js";

const at = (seconds) => new Date(Date.UTC(2026, 2, 1, 12, 0, seconds)).toISOString();
const block = (name, status, started, finished) => ({
  block_uid: name,
  name,
  type: "sql",
  status,
  started_on: started === null ? null : at(started),
  finished_on: finished === null ? null : at(finished),
});

test("the block that failed first is the one that ended first, wherever it stands", () => {
  const late = block("late", "failed", 0, 9);
  const early = block("early", "failed", 5, 6);
  const rows = [block("good", "success", 0, 1), late, early, block("after", "not_run", null, 6)];
  assert.equal(findFirstFailed(rows)?.name, "early");
  assert.equal(findFirstFailed([late])?.name, "late");
  assert.equal(findFirstFailed([block("unknown", "failed", 0, null), late])?.name, "late");
  assert.equal(
    findFirstFailed([block("good", "success", 0, 1), block("after", "not_run", null, null)]),
    null,
  );
});

test("a block that a cancelled run did not complete is cancelled, and one that failed before has failed", () => {
  assert.equal(nameState({ status: "cancelled" }, { status: "not_run" }), "cancelled");
  assert.equal(nameState({ status: "cancelled" }, { status: "failed" }), "failed");
  assert.equal(nameState({ status: "failed" }, { status: "not_run" }), "not_run");
});

test("a bar covers the part of the run in which its block ran", () => {
  const run = { start_time: at(0), end_time: at(10) };
  assert.deepEqual(placeBar(run, block("a", "success", 2, 7), 0), { start: 20, width: 50 });
  assert.equal(placeBar(run, block("a", "not_run", null, 7), 0), null);
  assert.equal(placeBar({ start_time: null, end_time: null }, block("a", "pending", null, null), 0), null);
});

test("the bar of a running block reaches to now, and none leaves its place", () => {
  const run = { start_time: at(0), end_time: null };
  const now = new Date(at(8)).getTime();
  assert.deepEqual(placeBar(run, block("a", "running", 4, null), now), { start: 50, width: 50 });
  // The clock of this machine is late.
  assert.deepEqual(placeBar(run, block("a", "running", 4, null), new Date(at(2)).getTime()), {
    start: 100,
    width: 0,
  });
});

test("the end of its run does not change how a truncated result looks", () => {
  const running = { ...block("rows", "success", 0, 1), is_truncated: true, max_rows: 10 };
  const ended = { ...running, messages: [], output: null };
  assert.equal(describeLook({ status: "running" }, running), describeLook({ status: "success" }, ended));
  const text = { ...running, type: "text" };
  assert.notEqual(describeLook({ status: "running" }, text), describeLook({ status: "success" }, text));
});

test("what becomes of its messages does not change the look of a block, which shows them by themselves", () => {
  const mail = { ...block("mail", "success", 0, 1), type: "email" };
  const looks = ["pending", "sent"].map((status) =>
    describeLook({ status: "success" }, { ...mail, messages: [{ uid: "m", status }] }),
  );
  assert.equal(looks[0], looks[1]);
});

test("the bars of the last runs are the oldest first, and as high as the runs were long", () => {
  const run = (status, seconds) => ({ id: 1, status, duration_ms: seconds && seconds * 1000 });
  const bars = measureBars([run("running", null), run("failed", 1), run("success", 10), run("success", 5)]);
  assert.deepEqual(bars, [
    { status: "success", height: 50 },
    { status: "success", height: 100 },
    { status: "failed", height: 25 },
    { status: "running", height: 100 },
  ]);
  assert.deepEqual(measureBars([]), []);
});

test("the last runs are counted by their states", () => {
  const runs = ["failed", "success", "success"].map((status) => ({ status }));
  assert.equal(describeRuns(runs), "Last 3 runs: 1 failed, 2 success");
  assert.equal(describeRuns(runs.slice(0, 1)), "Last run: failed");
});
