// What the states of the blocks of a run mean together: what failed first, and when each block ran.

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
