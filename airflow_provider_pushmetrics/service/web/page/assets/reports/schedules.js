// Schedules: when reports and single queries run by themselves.

import { button } from "../elements/buttons.js";
import { card, el, empty } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import { confirmFirst, tell } from "../elements/notices.js";
import { link, reload } from "../elements/router.js";
import { makeList } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { getAll, getRow, post, remove } from "../http/api.js";
import { editSchedule } from "./schedule_form.js";

/** @type {Ui.Show} */
export async function showSchedules(_, signal) {
  const reports = await getAll("api/v1/report/", { signal });
  const list = await makeScheduleList({ reports, signal });
  const add = makeNewButton(reports);
  return [
    el(
      "div",
      { class: "head" },
      el("h1", {}, "Schedules"),
      el("div", { class: "actions" }, reports.length ? add : null),
    ),
    list.node,
  ];
}

/**
 * Make the schedules of one report.
 *
 * @param {{ report: Api.Report, signal: AbortSignal }} settings
 */
export async function makeSchedules({ report, signal }) {
  const list = await makeScheduleList({ reports: [report], report, signal });
  return card("Schedules", list.node, el("div", { class: "actions" }, makeNewButton([report], report)));
}

/**
 * @param {Api.Report[]} reports
 * @param {Api.Report | null} report
 */
function makeNewButton(reports, report = null) {
  const choices = report ? [report] : reports;
  return button("New schedule", () => editSchedule({ reports: choices, whenDone: reload }), {
    kind: "primary",
  });
}

/** @param {{ reports: Api.Report[], report?: Api.Report | null, signal: AbortSignal }} settings */
async function makeScheduleList({ reports, report = null, signal }) {
  const names = new Map(reports.map((one) => [one.id, one.name]));
  const list = makeList({
    path: "api/v1/schedule/",
    caption: "Schedules",
    noun: "schedule",
    signal,
    getFilters: () => [report && ["report_id", "eq", report.id]],
    columns: [
      ["Name", (schedule) => schedule.name],
      !report && [
        "Report",
        (schedule) =>
          link(
            `reports/${part(schedule.report_uid)}/triggers`,
            names.get(schedule.report_id) ?? schedule.report_uid,
          ),
      ],
      ["State", (schedule) => state(schedule.active ? "active" : "paused")],
      [
        "When",
        (schedule) => [
          describe(schedule),
          schedule.query_id && el("div", { class: "hint" }, `query ${schedule.query_id} alone`),
        ],
      ],
      ["Next", (schedule) => moment(schedule.next_run_on), "tight"],
      ["Runs", (schedule) => schedule.run_count, "number"],
      ["", (schedule) => makeActions(schedule, reports), "actions-cell"],
    ],
    whenEmpty: () =>
      empty(
        "There are no schedules",
        "A schedule runs a report, or one of its queries, by the hour, the day, the week or by a cron line.",
      ),
  });
  await list.show(0);
  return list;
}

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
 * @param {Api.Schedule} schedule
 * @param {Api.Report[]} reports
 */
function makeActions(schedule, reports) {
  const path = `api/v1/schedule/${part(schedule.uid)}`;
  return el(
    "div",
    { class: "actions end" },
    button("Run now", () => runNow(path, schedule)),
    button(schedule.active ? "Pause" : "Resume", async () => {
      await post(`${path}/${schedule.active ? "pause" : "resume"}`);
      await reload();
    }),
    button("Edit", async () => editSchedule({ schedule: await getRow(path), reports, whenDone: reload })),
    button(
      "Delete",
      async () => {
        if (
          !(await confirmFirst("Delete the schedule?", `“${schedule.name}” does not run any more.`, "Delete"))
        )
          return;
        await remove(path);
        await reload();
        tell("The schedule is deleted");
      },
      { kind: "danger" },
    ),
  );
}

/**
 * @param {string} path
 * @param {Api.Schedule} schedule
 */
async function runNow(path, schedule) {
  await post(`${path}/run`);
  await reload();
  tell(schedule.query_id ? "The query runs now" : "The report runs now: see its runs");
}
