// The schedules of one report, on its page.

import { button } from "../elements/buttons.js";
import { el, fill } from "../elements/dom.js";
import { restoreFocus } from "../elements/focus.js";
import { moment, state } from "../elements/format.js";
import { makeTable } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { getAll, getRow } from "../http/api.js";
import { makeMenu } from "../notebook/menu.js";
import { deleteSchedule, describeWhole, runNow, toggle } from "./schedule_actions.js";
import { editSchedule } from "./schedule_form.js";

/** The schedules of one report: a table, or a short list where there is little room. */
export class ReportSchedules {
  node = el("div", {});
  #report;
  #signal;
  #isShort;
  #turn = 0;
  /** @type {Api.Schedule[]} */
  #schedules = [];

  /**
   * @param {Api.Report} report
   * @param {{ signal: AbortSignal, isShort: boolean }} settings
   */
  constructor(report, { signal, isShort }) {
    this.#report = report;
    this.#signal = signal;
    this.#isShort = isShort;
  }

  async read() {
    this.#turn += 1;
    const turn = this.#turn;
    const found = await getAll("api/v1/schedule/", {
      filters: [["report_id", "eq", this.#report.id]],
      signal: this.#signal,
    });
    if (turn === this.#turn) this.#schedules = found;
  }

  draw() {
    const reports = [this.#report];
    const after = () => this.#update();
    const actions = (/** @type {Api.Schedule} */ schedule) => makeScheduleMenu(schedule, reports, after);
    const add = button("New schedule", () => editSchedule({ reports, whenDone: after }));
    const giveBack = restoreFocus(this.node);
    fill(
      this.node,
      !this.#schedules.length && el("p", { class: "hint" }, `This ${this.#report.type} has no schedule.`),
      this.#schedules.length > 0 &&
        (this.#isShort
          ? el(
              "ul",
              { class: "recent" },
              this.#schedules.map((one) => makeItem(one, actions(one))),
            )
          : makeTable(makeColumns(actions), this.#schedules, "Schedules")),
      el("div", { class: "actions" }, add),
    );
    if (this.node.isConnected) giveBack();
  }

  async #update() {
    await this.read();
    this.draw();
  }
}

/**
 * @param {(schedule: Api.Schedule) => Ui.Child} actions
 * @returns {Ui.Column<Api.Schedule>[]}
 */
const makeColumns = (actions) => [
  ["Name", (schedule) => schedule.name],
  ["State", (schedule) => state(schedule.active ? "active" : "paused")],
  ["When", describeWhole],
  ["Next", (schedule) => moment(schedule.next_run_on), "tight"],
  ["Runs", (schedule) => schedule.run_count, "number"],
  ["", (schedule) => el("div", { class: "actions end" }, actions(schedule)), "actions-cell"],
];

/**
 * @param {Api.Schedule} schedule
 * @param {Ui.Child} actions
 */
const makeItem = (schedule, actions) =>
  el(
    "li",
    {},
    el(
      "div",
      { class: "recent-line" },
      el("strong", {}, schedule.name),
      state(schedule.active ? "active" : "paused"),
      el("div", { class: "actions end" }, actions),
    ),
    el("div", { class: "hint" }, describeWhole(schedule)),
    schedule.next_run_on && el("div", { class: "hint" }, "next ", moment(schedule.next_run_on)),
  );

/**
 * @param {Api.Schedule} schedule
 * @param {Api.Report[]} reports
 * @param {() => Promise<unknown>} after
 */
function makeScheduleMenu(schedule, reports, after) {
  const path = `api/v1/schedule/${part(schedule.uid)}`;
  return makeMenu(`Actions for ${schedule.name}`, () => [
    { label: "Run now", work: () => runNow(path, schedule, after) },
    { label: schedule.active ? "Pause" : "Resume", work: () => toggle(path, schedule, after) },
    {
      label: "Edit",
      work: async () => editSchedule({ schedule: await getRow(path), reports, whenDone: after }),
    },
    { label: "Delete", kind: "danger", work: () => deleteSchedule(path, schedule, after) },
  ]);
}
