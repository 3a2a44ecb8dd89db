// What a schedule says of itself in lists, and what is done with one.

import { el } from "../elements/dom.js";
import { quote } from "../elements/format.js";
import { confirmFirst, tell } from "../elements/notices.js";
import { post, remove } from "../http/api.js";

/**
 * @param {Api.Schedule} schedule
 * @returns {Ui.Child}
 */
export const describeWhole = (schedule) => [
  describe(schedule),
  schedule.query_id && el("div", { class: "hint" }, `query ${schedule.query_id} alone`),
];

/**
 * @param {Api.Schedule} schedule
 * @returns {Ui.Child}
 */
function describe({ recurrence, cron, time_zone: zone, ends_on: end, max_runs: most }) {
  return [
    recurrence === "cron" ? el("code", {}, cron) : recurrence,
    ` (${zone})`,
    end ? ` until ${end}` : "",
    most ? `, ${most} times` : "",
  ];
}

/**
 * @param {string} path
 * @param {Api.Schedule} schedule
 * @param {() => Promise<unknown>} after
 */
export async function toggle(path, schedule, after) {
  await post(`${path}/${schedule.active ? "pause" : "resume"}`);
  await after();
}

/**
 * @param {string} path
 * @param {Api.Schedule} schedule
 * @param {() => Promise<unknown>} after
 */
export async function deleteSchedule(path, schedule, after) {
  const text = `${quote(schedule.name)} does not run any more.`;
  if (!(await confirmFirst("Delete the schedule?", text, "Delete"))) return;
  await remove(path);
  await after();
  tell("The schedule is deleted");
}

/**
 * @param {string} path
 * @param {Api.Schedule} schedule
 * @param {() => Promise<unknown>} after
 */
export async function runNow(path, schedule, after) {
  await post(`${path}/run`);
  await after();
  tell(schedule.query_id ? "The query runs now" : "The report runs now: see its runs");
}
