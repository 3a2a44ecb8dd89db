// What the states of the blocks of a run mean together: what failed first, and when each block ran.

import { isFinished } from "../elements/format.js";

/**
 * Find the block that failed first: others may have failed because of it, or after it.
 *
 * @param {readonly Ui.ShownResult[]} results
 * @returns {Ui.ShownResult | null}
 */
export function findFirstFailed(results) {
  let first = null;
  for (const result of results) {
    if (result.status === "failed" && (!first || getEnd(result) < getEnd(first))) first = result;
  }
  return first;
}

/** @param {Ui.ShownResult} result */
const getEnd = ({ finished_on }) =>
  finished_on ? new Date(finished_on).getTime() : Number.POSITIVE_INFINITY;

/**
 * Name the state of a block. One that a cancelled run did not complete is cancelled: the service records that it was not run.
 *
 * @param {Pick<Api.Run, "status">} run
 * @param {Pick<Ui.ShownResult, "status">} result
 */
export const nameState = (run, result) =>
  run.status === "cancelled" && result.status === "not_run" ? "cancelled" : result.status;

/**
 * Find where the bar of a block begins and ends, in percent of the time of its run until now; null if it did not run.
 *
 * @param {Pick<Api.Run, "start_time" | "end_time">} run
 * @param {Ui.ShownResult} result
 * @param {number} now
 * @returns {{ start: number, width: number } | null}
 */
export function placeBar(run, result, now) {
  if (!run.start_time || !result.started_on) return null;
  const begin = new Date(run.start_time).getTime();
  const total = Math.max(1, (run.end_time ? new Date(run.end_time).getTime() : now) - begin);
  const from = limit((new Date(result.started_on).getTime() - begin) / total);
  const to = limit(((result.finished_on ? new Date(result.finished_on).getTime() : now) - begin) / total);
  return { start: round(from), width: round(Math.max(0, to - from)) };
}

/** @param {number} share */
const round = (share) => Math.round(share * 1000) / 10;

/** @param {number} share */
const limit = (share) => Math.min(1, Math.max(0, share));

/**
 * Measure the bars of the last runs, the oldest first: as high as they took long, beside the longest.
 *
 * @param {Api.ReportActivity["runs"]} runs The newest first.
 */
export function measureBars(runs) {
  const lengths = runs.map(({ duration_ms }) => duration_ms);
  const longest = Math.max(1, ...lengths.map((length) => length ?? 0));
  return runs
    .map(({ status }, index) => {
      const length = lengths[index];
      // One that has not ended is as high as any; none is so low that it cannot be seen.
      return { status, height: length === null ? 100 : Math.max(25, Math.round((length / longest) * 100)) };
    })
    .reverse();
}

/**
 * Say what the last runs were.
 *
 * @param {Api.ReportActivity["runs"]} runs
 */
export function describeRuns(runs) {
  if (runs.length === 1) return `Last run: ${runs[0].status}`;
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { status } of runs) counts.set(status, (counts.get(status) ?? 0) + 1);
  const parts = [...counts].map(([status, count]) => `${count} ${status}`);
  return `Last ${runs.length} runs: ${parts.join(", ")}`;
}

/**
 * Write what the picture of a block is made of: while this stays, the block stays as it is, but for its messages.
 *
 * @param {Api.Run} run
 * @param {Ui.ShownResult} result
 */
export const describeLook = (run, result) =>
  JSON.stringify([
    nameState(run, result),
    result.started_on,
    result.is_truncated ?? false,
    // Rows and charts are there before the run has ended, and stay.
    ["sql", "chart"].includes(result.type) || isFinished(run.status),
  ]);
