// Schedules: when reports and single queries run by themselves.

import { button } from "../elements/buttons.js";
import { el, empty } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import { link, reload } from "../elements/router.js";
import { makeList, named } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { getAll, getRow } from "../http/api.js";
import { makeMenu } from "../notebook/menu.js";
import { deleteSchedule, describeWhole, runNow, toggle } from "./schedule_actions.js";
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
    el("div", { class: "as-cards" }, list.node),
  ];
}

/** @param {Api.Report[]} reports */
const makeNewButton = (reports) =>
  button("New schedule", () => editSchedule({ reports, whenDone: reload }), { kind: "primary" });

/** @param {{ reports: Api.Report[], signal: AbortSignal }} settings */
async function makeScheduleList({ reports, signal }) {
  const names = new Map(reports.map((one) => [one.id, one.name]));
  /** @type {Ui.Column<Api.Schedule>[]} */
  const columns = [
    named("Name", (schedule) => el("div", { class: "lines" }, schedule.name), "name"),
    named(
      "Report",
      (schedule) =>
        el(
          "div",
          { class: "lines" },
          link(
            `reports/${part(schedule.report_uid)}/triggers`,
            names.get(schedule.report_id) ?? schedule.report_uid,
          ),
        ),
      "name",
    ),
    named("State", (schedule) => state(schedule.active ? "active" : "paused")),
    named("When", describeWhole),
    named("Next", (schedule) => moment(schedule.next_run_on), "tight"),
    named("Runs", (schedule) => schedule.run_count, "number"),
    ["", (schedule) => makeActions(schedule, reports), "actions-cell"],
  ];
  const list = makeList({
    path: "api/v1/schedule/",
    caption: "Schedules",
    noun: "schedule",
    signal,
    columns,
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
 * @param {Api.Report[]} reports
 */
function makeActions(schedule, reports) {
  const path = `api/v1/schedule/${part(schedule.uid)}`;
  return el(
    "div",
    { class: "actions end" },
    button("Run now", () => runNow(path, schedule, reload)),
    button(schedule.active ? "Pause" : "Resume", () => toggle(path, schedule, reload)),
    button("Edit", async () => editSchedule({ schedule: await getRow(path), reports, whenDone: reload })),
    makeMenu(`More actions for ${schedule.name}`, () => [
      { label: "Delete", kind: "danger", work: () => deleteSchedule(path, schedule, reload) },
    ]),
  );
}
